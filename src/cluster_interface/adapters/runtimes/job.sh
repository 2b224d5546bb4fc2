# The part of job.sh that every runtime shares: fence, start, signals, status. POSIX sh and coreutils only.
#
# Set above by the server: job_dir attempt mark user uid gid grace.
# Defined above by the runtime: launch (turns into the container's client), attend (is called once that has begun, and
# may start something beside it), signal_program NAME, stop_program,
# settle (may correct $code, $oom and $reason), measure (may set $cpu_seconds, $peak_memory, $measured_by),
# tidy (removes what is left; runs after the status is written).
set -u
umask 022

task=${CLIF_TASK:-${SLURM_ARRAY_TASK_ID:-}}
if [ -z "$task" ]; then
    case ${SGE_TASK_ID:-undefined} in
        *[!0-9]*) task=0 ;;
        *) task=$((SGE_TASK_ID - 1)) ;;
    esac
fi
native=${CLIF_NATIVE_ID:-${SLURM_ARRAY_JOB_ID:-${SLURM_JOB_ID:-${JOB_ID:-none}}}}
attempt_dir=$job_dir/attempts/$attempt
claim=$attempt_dir/claim/$task
out=$attempt_dir/log/$task.out
err=$attempt_dir/log/$task.err
name=$mark-$task

now() { date +%s.%N; }

# --- the fence: the task of an attempt is run once, whatever the scheduler does
if ! mkdir "$claim" 2>/dev/null; then
    [ -d "$claim" ] && exit 0
    echo "job.sh: $name cannot begin: $claim cannot be made. Is the disk full, or the job directory gone?" >&2
    exit 1
fi
printf 'native_id=%s\nhost=%s\nboot_id=%s\npid=%s\n' "$native" "$(uname -n)" \
    "$(cat /proc/sys/kernel/random/boot_id)" "$$" >"$claim/owner"

code=null oom=false reason='' cpu_seconds=null peak_memory=null measured_by=''
started=$(now)

# --- accounts as the program sees them
printf 'root:x:0:0:root:/root:/usr/sbin/nologin\n%s:x:%s:%s::/home/%s:/bin/sh\nnobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n' \
    "$user" "$uid" "$gid" "$user" >"$claim/passwd"
printf 'root:x:0:\n%s:x:%s:\nnogroup:x:65534:\n' "$user" "$gid" >"$claim/group"

# --- the status: all of it or nothing, and never silently nothing
write_status() {
    signal=null
    [ "$code" != null ] && [ "$code" -gt 128 ] && [ "$code" -le 192 ] && signal=$((code - 128))
    [ "$code" = 0 ] && oom=false
    text=$(printf '{"exit_code": %s, "signal": %s, "started": %s, "ended": %s, "cpu_seconds": %s, "peak_memory": %s, "measured_by": %s, "oom": %s, "reason": %s}' \
        "$code" "$signal" "$started" "$(now)" "$cpu_seconds" "$peak_memory" \
        "$(quoted "$measured_by")" "$oom" "$(quoted "$reason")")
    place=$attempt_dir/status/$task.json
    for pause in 0 1 2 4; do # a full disk may be over in a moment: others' temporary files go
        sleep "$pause"
        if printf '%s\n' "$text" >"$place.new" && sync "$place.new" && mv "$place.new" "$place"; then
            return 0
        fi
    done 2>/dev/null
    rm -f "$place.new"
    echo "job.sh: cannot write $place: is the disk full? It would say: $text" >&2
    # What takes no block of its own can still say how it ended: the name of a link.
    ln -s "$text" "$place.lost" 2>/dev/null
    return 1
}

# Read what the kernel counted for a cgroup: its directories in the memory and in the processor hierarchy,
# which are one in version 2. Nothing is set that cannot be read.
measure_cgroup() {
    if number=$(cat "$1/memory.peak" 2>/dev/null || cat "$1/memory.max_usage_in_bytes" 2>/dev/null); then
        peak_memory=$number measured_by=$3
    fi
    if number=$(cat "$2/cpuacct.usage" 2>/dev/null); then
        cpu_seconds=$(printf '%d.%09d' $((number / 1000000000)) $((number % 1000000000))) measured_by=$3
    elif read -r word number <"$2/cpu.stat" && [ "$word" = usage_usec ]; then
        cpu_seconds=$(printf '%d.%06d' $((number / 1000000)) $((number % 1000000))) measured_by=$3
    fi 2>/dev/null
}

# Where the local scheduler put us: "job" holds this script, "box" is the parent for others' containers.
measure_task() {
    if [ -d "/sys/fs/cgroup/memory/$CLIF_CGROUP" ]; then
        measure_cgroup "/sys/fs/cgroup/memory/$CLIF_CGROUP/$1" "/sys/fs/cgroup/cpuacct/$CLIF_CGROUP/$1" cgroup
    else
        measure_cgroup "/sys/fs/cgroup/$CLIF_CGROUP/$1" "/sys/fs/cgroup/$CLIF_CGROUP/$1" cgroup
    fi
}

quoted() { if [ -n "$1" ]; then printf '"%s"' "$1"; else printf null; fi; }

# --- signals: the program itself gets them; after TERM or INT it has a grace to end
interrupted='' reaper='' ending=''

forward() {
    interrupted=yes
    signal_program "$1"
    if [ "$1" != USR1 ] && [ -z "$reaper" ]; then
        ending=yes
        after_grace &
        reaper=$!
    fi
}

after_grace() {
    trap 'kill "$pause" 2>/dev/null; exit' TERM
    sleep "$grace" &
    pause=$!
    wait "$pause" && stop_program
}

trap 'forward TERM' TERM
trap 'forward INT' INT
trap 'forward USR1' USR1
trap '' HUP

# --- run it
launch >"$out" 2>"$err" </dev/null &
child=$!
attend
[ -n "$ending" ] && stop_program # the signal came before there was anything to signal
while :; do
    interrupted=''
    wait "$child"
    got=$?
    [ "$got" -eq 127 ] && [ "$code" != null ] && break # it had ended while a signal was handled
    code=$got
    [ -z "$interrupted" ] && break
done
[ -n "$reaper" ] && kill "$reaper" 2>/dev/null

settle
measure
write_status
written=$?
tidy
[ "$written" -eq 0 ] || exit 1
[ "$code" = null ] && exit 125 # something may be left: the scheduler's dispatcher looks for it
exit "$code"
