# docker's part of job.sh where the tasks of an element share one container, which is started once: see driver.sh for
# what happens in there. Set above: moves, the text of moves.sh.
#
# attempts/<k>/pack/<element>/ has job/ (/job in the container), io/ (its /io: the present task's logs, under second
# names), now (a link that names the task whose directory is in job/), passwd and group. The container is called after
# the first task it runs.

# Paths below the job's directory are the account's: as root we would follow whatever link it puts there.
as_account() {
    if [ "$superuser" = yes ]; then PATH=$PATH:/usr/sbin:/sbin chroot --userspec="$uid:$gid" --skip-chdir / "$@"; else "$@"; fi
}

open_element() {
    superuser=no client=''
    [ "$(id -u)" = 0 ] && superuser=yes
    pack=$attempt_dir/pack/$element pack_source=$job_source/attempts/$attempt/pack/$element
    as_account mkdir "$attempt_dir/pack" 2>/dev/null
    if ! as_account mkdir "$pack" 2>/dev/null; then
        [ -d "$pack" ] && exit 0 # another has it, or had it: what it has not claimed is for another attempt
        echo "job.sh: $pack cannot be made. Is the disk full, or the job directory gone?" >&2
        exit 1
    fi
    as_account mkdir "$pack/job" "$pack/io"
    accounts "$pack"
    start_mover
}

close_element() {
    [ -z "$canary" ] || kill -s KILL "$canary"
    [ -z "$client" ] || end_container
}

# The mover can be stopped by whoever has the account, and another is started. It ends when we do.
start_mover() {
    pipes=$(mktemp -d) && mkfifo "$pipes/orders" "$pipes/answers" || return
    exec 6<>"$pipes/orders" 7<>"$pipes/answers"
    exec 8<"$pipes/orders" 9<"$pipes/answers"
    rm -rf "$pipes"
    (
        exec <&8 >&7 2>>"$pack/errors" 4>&- 5>&- 6>&- 7>&- 8<&- 9<&- # a shell that keeps 6 would keep the mover, too
        as_account sh -c "$moves" move "$job_dir" "$attempt_dir" "$pack"
    ) &
    exec 7>&- 8<&-
}

move() { ask_mover "$1" || { start_mover && ask_mover "$1"; } && [ "$answer" = 0 ]; }

ask_mover() { echo "$1 $task" >&6 && read -r answer <&9; }

prepare() {
    listen_for_client
    [ -n "$client" ] || bring || return
    if ! move in; then
        reason="the task's files could not be put in place: is the disk full?"
        return 1
    fi
    if [ -z "$client" ]; then
        begin_container
        alone=yes
    elif forget_peak; then
        alone=yes
    else
        alone=no
    fi 2>/dev/null
}

# The calls are named pipes of ours alone, away from what the account can reach.
begin_container() {
    box=$mark-$task errors=$claim/errors identity=$claim/container
    calls=$(mktemp -d) && mkfifo "$calls/to" "$calls/from" && exec 4<>"$calls/to" 5<>"$calls/from"
    rm -rf "$calls"
    {
        (start_container "$pack_source" --interactive \
            --label "cluster-interface.mark=$mark" --cidfile "$claim/container" \
            --mount "type=bind,target=/job,$pack_source/job\"" --mount "type=bind,target=/io,$pack_source/io\"")
        printf '\ngone %s\n' "$?"
    } <&4 >&5 2>"$errors" 6>&- 9<&- &
    client=$!
}

end_container() {
    if [ -n "${CLIF_NATIVE_ID:-}" ] && [ -z "$ending" ]; then
        "$docker" rm -f "$box" >/dev/null 2>&1 &
    else
        "$docker" rm -f "$box" >/dev/null 2>&1
    fi
    exec 4>&- 5>&-
    client=''
}

# Say which task is next, and turn into its end.
launch() {
    begun=no
    printf '%s\n' "task=$task $values" >&4
    while IFS= read -r answer <&5; do
        case $answer in
            "begun $task")
                begun=yes
                tell_time
                ;;
            "done $task "*)
                keep_answer
                answer=${answer#done "$task" }
                exit "${answer%% *}"
                ;;
            "gone "*)
                answer="gone $begun"
                keep_answer
                exit 125
                ;;
        esac
    done
    exit 125
}

# Its last word is when the program began, and not its container. A full disk still takes a link.
keep_answer() {
    answer="$answer $now"
    echo "$answer" >"$claim/answer" || ln -s "$answer" "$claim/answer.lost"
} 2>/dev/null

attend() { :; }

signal_program() { "$docker" kill -s "$1" "$box" >/dev/null 2>&1; }

# The driver ends the task alone; if it cannot, the container goes.
stop_program() {
    "$docker" kill -s USR2 "$box" >/dev/null 2>&1 && nap 3
    "$docker" kill "$box" >/dev/null 2>&1 || kill -s KILL "$child" 2>/dev/null
}

settle() {
    used=- peak=- state=spent
    { read -r answer <"$claim/answer"; } 2>/dev/null || answer=$(readlink "$claim/answer.lost")
    case $answer in
        "done "*)
            # shellcheck disable=SC2086  # its words
            set -- $answer
            code=$3 used=$4 peak=$5 state=$7 started=$8
            [ "$6" -gt 0 ] && oom=true
            ;;
        *)
            settle_container
            if [ "${answer% *}" = "gone no" ] && [ "$code" != null ]; then
                code=null
                reason='the container ended before the program began: the error log of the task says why'
                [ -n "$ending" ] && reason='it was ended before it began'
            fi
            cat "$errors" >>"$err" 2>/dev/null
            ;;
    esac
    [ "$state" = clean ] || end_container
}

measure() {
    if [ "$used" != - ]; then
        cpu_seconds=$(printf '%d.%09d' $((used / 1000000000)) $((used % 1000000000)))
        measured_by=cgroup
    fi
    if [ "$alone" = yes ] && [ "$peak" != - ]; then
        peak_memory=$peak measured_by=cgroup
    fi
}

# The highest use of memory is the present task's only if it can be set back before: by root, in version 1.
forget_peak() {
    read -r id <"$identity" # without an end of line
    for counted in "/sys/fs/cgroup/memory${CLIF_CGROUP:+/$CLIF_CGROUP/box}/$id" "/sys/fs/cgroup/memory/docker/$id" \
        "/sys/fs/cgroup/memory/system.slice/docker-$id.scope"; do
        [ -w "$counted/memory.max_usage_in_bytes" ] || continue
        echo 0 >"$counted/memory.force_empty" # what earlier tasks left in the page cache
        echo 0 >"$counted/memory.max_usage_in_bytes" && return
    done
    return 1
}

conclude() {
    move out || reason=${reason:-"the task's files could not be put back yet"}
}

tidy() { :; }
