# What runtimes share whose containers stay where the scheduler put job.sh: in its cgroup, among its processes.

PATH=${PATH:-/bin}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin

# Without a byte in `began` the image was never entered, and the exit status is not the program's.
settle_entered() {
    [ -s "$claim/began" ] && return
    [ "$code" -gt 128 ] && [ -n "$ending" ] && return
    code=null
    reason=$1
    [ -n "$ending" ] && reason='it was ended before it began'
}

count_oom() {
    [ -n "${CLIF_CGROUP:-}" ] || return 0
    for control in "memory/$CLIF_CGROUP/job/memory.oom_control" "$CLIF_CGROUP/job/memory.events"; do
        while read -r word number; do
            [ "$word" = oom_kill ] && [ "$number" -gt 0 ] && oom=true
        done <"/sys/fs/cgroup/$control"
    done 2>/dev/null
}

measure_own() {
    if [ -n "${CLIF_CGROUP:-}" ]; then
        measure_task job
    elif [ -s "${CLIF_PEAK:-}" ]; then # the dispatcher has looked from time to time
        read -r peak_memory cpu_seconds <"$CLIF_PEAK"
        measured_by=samples
    fi
}
