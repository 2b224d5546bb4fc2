# Some schedulers signal every process of a job, the program too (or docker's client, which tells it), which should not
# hear twice: of that dies a process of ours in a session of its own, as the program is, which whoever signals job.sh or
# its group does not reach.
canary=''

listen() {
    if [ -n "$canary" ] || [ -n "${CLIF_NATIVE_ID:-}" ]; then return; fi
    setpriv --pdeathsig KILL true 2>/dev/null || return 0
    setsid setpriv --pdeathsig KILL sleep 2147483647 >/dev/null 2>&1 </dev/null &
    canary=$!
}

has_heard() {
    [ -n "$canary" ] || return
    for pause in 0.02 0.05 0.1 0.2 end; do # they are signalled one after the other
        read -r _ _ state _ <"/proc/$canary/stat" || state=Z
        [ "$state" = Z ] && break
        [ "$pause" = end ] && return 1
        sleep "$pause"
    done
    wait "$canary"
    cause=$?
    canary=''
    listen
    [ "$cause" = 143 ] || [ "$cause" = 138 ] || [ "$cause" = 130 ] # TERM, USR1, INT: the program heeds no other
} 2>/dev/null

close_element() { [ -z "$canary" ] || kill -s KILL "$canary"; }
