# What runtimes share whose containers stay where the scheduler put job.sh: in its cgroup, among its processes.

alone=yes # no other task of this element has run before
PATH=${PATH:-/bin}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin

# Without a byte in `began` the image was never entered, and the exit status is not the program's.
settle_entered() {
    [ -s "$claim/began" ] && return
    [ "$code" -gt 128 ] && [ -n "$ending" ] && return
    code=null
    reason=$1
    [ -n "$ending" ] && reason='it was ended before it began'
}

# What has been counted before a task is not the task's.
count_before() {
    kills_before=0
    [ -n "${CLIF_CGROUP:-}" ] || return 0
    find_cgroups
    [ "$alone" = yes ] || { count_processor "$processor_root/$CLIF_CGROUP/job" && used_before=$used; }
    count_kills && kills_before=$kills
    return 0
}

count_kills() {
    kills=''
    for control in "memory/$CLIF_CGROUP/job/memory.oom_control" "$CLIF_CGROUP/job/memory.events"; do
        while read -r word number; do
            [ "$word" = oom_kill ] && kills=$number
        done <"/sys/fs/cgroup/$control"
    done 2>/dev/null
    [ -n "$kills" ]
}

count_oom() {
    [ -n "${CLIF_CGROUP:-}" ] && count_kills && [ "$kills" -gt "$kills_before" ] && oom=true
    return 0
}

# The highest use of memory is known of the first task alone: it cannot be set back by an account. The same goes for
# the dispatcher's samples.
measure_own() {
    if [ -n "${CLIF_CGROUP:-}" ]; then
        measure_task job
        [ "$alone" = yes ] || peak_memory=null
    elif [ "$packed" = no ] && [ -s "${CLIF_PEAK:-}" ]; then
        read -r peak_memory cpu_seconds <"$CLIF_PEAK"
        measured_by=samples
    fi
    alone=no
}
