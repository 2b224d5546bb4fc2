# What runtimes share whose containers stay where the scheduler put job.sh: in its cgroup, among its processes.

# What the program is to hear of again where it was kept from what is around it; and what a shell does in the image
# before that. Grid Engine's USR2 is for us: to everything else of a job it would be the end, and programs in Go, such
# as may be around the program, forget what they were told to ignore.
heard=TERM,USR2 opening=''
[ -z "${SGE_TASK_ID:-}" ] || heard=TERM opening="trap '' USR2; "
# Nor is the address space the program's that its scheduler allows for what is around it.
# shellcheck disable=SC3045  # dash, bash and busybox have it; where it is not known there is no limit
most=$(ulimit -v)
case $most in '' | *[!0-9]*) most=0 ;; esac
[ "$reserved" -eq 0 ] || [ "$most" -le $((reserved / 1024)) ] || opening="${opening}ulimit -v $((most - reserved / 1024)); "
alone=yes # no other task of this element has run before
PATH=${PATH:-/bin}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin

# Without a byte in `began` the image was never entered, and the exit status is not the program's. Where a process of
# ours is the first in there, it has said how the program ended (see entry.py): what is around it may know less.
settle_entered() {
    while read -r word number kills _; do
        case $word:$number:$kills in ended:*[!0-9]*:* | ended::* | ended:????*:* | ended:*:*[!0-9]*) ;;
        ended:*) code=$number kills_inside=${kills:-0} ;; esac
    done <"$claim/began" 2>/dev/null
    [ -s "$claim/began" ] && return
    [ "$code" -gt 128 ] && [ -n "$ending" ] && return
    code=null
    reason=$1
    [ -n "$ending" ] && reason='it was ended before it began'
}

# Where the kernel counts what runs in here: the local scheduler's cgroup of this element, or Slurm's of this job (in
# version 1 perhaps for memory alone). Any other may hold strangers.
find_own_cgroup() {
    memory_dir='' processor_dir=''
    if [ -n "${CLIF_CGROUP:-}" ]; then
        find_cgroups
        memory_dir=$memory_root/$CLIF_CGROUP/job processor_dir=$processor_root/$CLIF_CGROUP/job
        return
    fi
    while IFS=: read -r _ controllers path; do
        case $path/ in */job_"${SLURM_JOB_ID:-none}"/*) ;; *) continue ;; esac
        case ,$controllers, in
            *,memory,*) memory_dir=/sys/fs/cgroup/memory$path ;;
            *,cpuacct,*) processor_dir=/sys/fs/cgroup/cpuacct$path ;;
            ,,) [ -e /sys/fs/cgroup/cgroup.controllers ] && memory_dir=/sys/fs/cgroup$path processor_dir=$memory_dir ;;
        esac
    done </proc/self/cgroup
}

# What has been counted before a task is not the task's.
count_before() {
    [ -n "${memory_dir+known}" ] || find_own_cgroup
    kills_before=0 kills_inside=0
    listen
    [ "$alone" = yes ] || { count_processor "$processor_dir" && used_before=$used; }
    count_kills && kills_before=$kills
    return 0
}

count_kills() {
    kills=''
    for control in "$memory_dir/memory.oom_control" "$memory_dir/memory.events"; do
        while read -r word number; do
            [ "$word" = oom_kill ] && kills=$number
        done <"$control"
    done 2>/dev/null
    [ -n "$kills" ]
}

count_oom() {
    [ "$kills_inside" -gt 0 ] && oom=true
    count_kills && [ "$kills" -gt "$kills_before" ] && oom=true
    return 0
}

# Where the kernel does not count for us, and no dispatcher does: look each few seconds.
attend() {
    [ -z "${CLIF_CGROUP:-}" ] || return
    [ "$packed" = no ] && [ -n "${CLIF_PEAK:-}" ] && return
    sample >/dev/null 2>&1 &
    watcher=$!
}

sample() {
    before=$!
    trap 'wake; exit' TERM
    page=$(getconf PAGESIZE) || page=4096
    most_held=0 most_spent=0
    set -- 0.3 1 2 3 4
    while [ -e "/proc/$$" ]; do # nobody tells us if job.sh is killed
        sample_after "${1:-5}"
        [ $# -eq 0 ] || shift
    done
}

sample_after() {
    nap "$1"
    held=0 spent=0
    # shellcheck disable=SC2046  # several words, or none
    look_at $(family)
    [ "$held" -gt "$most_held" ] && most_held=$held
    [ "$spent" -gt "$most_spent" ] && most_spent=$spent
    echo "$((most_held * page)) $(printf '%d.%02d' $((most_spent / 100)) $((most_spent % 100)))" >"$claim/sample.new" &&
        mv "$claim/sample.new" "$claim/sample"
}

# The process from which all came that belongs to the task.
family() { echo "$child"; }

# Add up, for processes and all that came from them, the pages they hold, and the hundredths of a second that they and
# those they have waited for took (proc(5); the kernel counts hundredths for users whatever its own clock does).
look_at() {
    while [ $# -gt 0 ]; do
        read -r _ pages _ <"/proc/$1/statm" && read -r line <"/proc/$1/stat" || pages=0 line=''
        held=$((held + pages))
        # shellcheck disable=SC2086  # its words
        add_times ${line##*) }
        for thread in "/proc/$1/task"/*/children; do
            children=''
            read -r children <"$thread" # without an end of line
            # shellcheck disable=SC2086  # several
            set -- "$@" $children
        done
        shift
    done
}

add_times() {
    [ $# -gt 15 ] || return
    shift 11
    spent=$((spent + $1 + $2 + $3 + $4))
}

# The highest use of memory in a cgroup is known of the first task alone: an account cannot set it back.
measure_own() {
    [ -z "$watcher" ] || { kill "$watcher" && wait "$watcher"; } 2>/dev/null
    [ -z "$memory_dir$processor_dir" ] || measure_cgroup "$memory_dir" "$processor_dir" cgroup
    if [ "$alone" = no ]; then
        peak_memory=null
        [ "$cpu_seconds" = null ] && measured_by=''
    fi
    alone=no
    [ "$packed" = no ] && take_samples "${CLIF_PEAK:-}"
    take_samples "$claim/sample"
}

# Fill what the kernel did not count; measured_by then says both.
take_samples() {
    [ "$peak_memory" = null ] || [ "$cpu_seconds" = null ] || return
    read -r held spent <"$1" || return
    [ "$peak_memory" = null ] && peak_memory=$held
    [ "$cpu_seconds" = null ] && cpu_seconds=$spent
    measured_by=${measured_by:+$measured_by, }samples
} 2>/dev/null
