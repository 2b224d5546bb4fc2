# One task: fence, start, limits, status. The part of job.sh that every runtime shares; POSIX sh and coreutils only.
#
# Set above by the server: job_dir attempt mark user uid gid seconds signal_before packed parameters grace.
# Defined above by the runtime: launch (turns into the container's client), attend (is called once that has begun, and
# may start something beside it), signal_program NAME, stop_program,
# settle (may correct $code, $oom and $reason), measure (may set $cpu_seconds, $peak_memory, $measured_by),
# tidy (removes what is left; runs after the status is written).
# A runtime may have more to do (by default nothing): open_element and close_element, before the first task and after
# the last; prepare, before launch (if it fails it says why in $reason); conclude, before the status is written.
set -u
umask 022

attempt_dir=$job_dir/attempts/$attempt
native=${CLIF_NATIVE_ID:-${SLURM_ARRAY_JOB_ID:-${SLURM_JOB_ID:-${PBS_JOBID:-${JOB_ID:-none}}}}}
node=$(uname -n)
nodes=$node
[ -r "${PBS_NODEFILE:-}" ] && nodes=$(cat "$PBS_NODEFILE")
[ -r "${PE_HOSTFILE:-}" ] && nodes=$(cut -d ' ' -f 1 "$PE_HOSTFILE")
read -r boot </proc/sys/kernel/random/boot_id
nl='
'

# Set $now to the time, in seconds: what date(1) said once, and by how much the machine has got older since.
tell_time() {
    read -r age _ </proc/uptime
    age=${age%.*}${age#*.}
    if [ -z "${date_then:-}" ]; then
        date_then=$(date +%s.%N) age_then=$age
    fi
    since=$((age - age_then + 1${date_then#*.} / 10000000 - 100)) # hundredths
    rest=$((100 + since % 100))
    now=$((${date_then%.*} + since / 100)).${rest#1}
}

# Set $line to a line of a file (number, from 0); several are read at once, since tasks come one after the other.
line_of() {
    if [ "$1" != "${lines_of:-}" ] || [ "$2" != "$next_line" ] || [ -z "$lines" ]; then
        lines=$(tail -n "+$(($2 + 1))" "$1" | head -n 50 && echo .)
        lines=${lines%.} lines_of=$1
    fi
    line=${lines%%"$nl"*} lines=${lines#*"$nl"} next_line=$(($2 + 1))
}

run_task() {
    claim=$attempt_dir/claim/$task
    out=$attempt_dir/log/$task.out
    err=$attempt_dir/log/$task.err
    enter || return
    code=null oom=false reason='' limit='' cpu_seconds=null peak_memory=null measured_by=''
    tell_time
    started=$now
    accounts "$claim"
    prepared=no
    if load_parameters && mounts_stay && mounts_hold && lend && prepared=yes && prepare; then
        carry_out
        settle
        measure
    fi
    [ -L "$claim/limit" ] && limit='time'
    [ "$prepared" = no ] || conclude
    write_status || trouble=1
    [ "$prepared" = no ] || tidy
    [ "$code" = null ] && trouble=${trouble:-125} # something may be left: whoever started us looks for it
    return 0
}

# --- the fence: the task of an attempt is run once, whatever the scheduler does
enter() {
    if ! mkdir "$claim" 2>/dev/null; then
        [ -d "$claim" ] && return 1
        echo "job.sh: $mark-$task cannot begin: $claim cannot be made. Is the disk full, or the job directory gone?" >&2
        trouble=1
        return 1
    fi
    printf 'native_id=%s\nhost=%s\nboot_id=%s\npid=%s\n' "$native" "$node" "$boot" "$$" >"$claim/owner"
}

# --- accounts as the program sees them
accounts() {
    printf 'root:x:0:0:root:/root:/usr/sbin/nologin\n%s:x:%s:%s::/home/%s:/bin/sh\nnobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n' \
        "$user" "$uid" "$gid" "$user" >"$1/passwd"
    printf 'root:x:0:\n%s:x:%s:\nnogroup:x:65534:\n' "$user" "$gid" >"$1/group"
}

# --- parameters: written by the server, every value quoted
load_parameters() {
    values=''
    [ "$parameters" = yes ] || return 0
    line_of "$attempt_dir/parameters" "$task" 2>/dev/null
    values=$line
    [ -n "$values" ] && eval "$values" && return
    reason='the parameters of this task cannot be read'
    return 1
}

# --- what is mounted must be where it was when it was planned: who owns a directory could put a link in its place, which
# a container engine with more rights than the account would follow
unmoved() {
    for mounted in "$@"; do
        [ "$(as_the_user readlink -e -- "$mounted")" = "$mounted" ] && as_the_user test -d "$mounted/." && continue
        echo "$mounted is not there on $node, or leads elsewhere than when the job was planned" >>"${err:-/dev/stderr}"
        reason='input_unavailable: a directory to be mounted is not there, or leads elsewhere by now: the error log of the task says which'
        return 1
    done
}

# --- and must hold what it held: paths, kinds, sizes, whole seconds of times, where links lead (staging/manifests.py).
# An element looks once, where find(1) is the one that can tell. A network's filesystem may show for a minute what was.
unchanged() { # DIRECTORY SHA256 ...
    [ -z "${all_held:-}" ] || return 0
    [ "$(find / -maxdepth 0 -printf %Ts)" = "$(stat -c %Y /)" ] || return 0
    while [ $# -gt 0 ]; do
        if ! holds "$1" "$2" && ! { remembers "$1" && nap 61 && holds "$1" "$2"; }; then
            reason="input_unavailable: the mounted directory $(printf %s "$1" | tr -d '[:cntrl:]') changed since it was"
            reason="$reason described: rerun the job to take it as it is now"
            return 1
        fi
        shift 2
    done
    all_held=yes
} 2>/dev/null

holds() { # whoever needs longer than half a minute to tell is believed
    seen=$({ { list "$1" || [ $? -lt 124 ] || echo late >&3; } | LC_ALL=C sort -z | sha256sum; } 3>&1)
    case $seen in *late* | "$2"*) ;; *) return 1 ;; esac
}

list() {
    as_the_user timeout -k 5 30 find "$1/" -mindepth 1 '(' -type f -printf 'f %s %Ts /%P\0' ')' -o \
        '(' -type l -printf 'l %l/ /%P\0' ')' -o -printf '%y /%P\0'
}

remembers() {
    case $(stat -f -c %T "$1") in nfs* | smb* | cifs* | fuse*) ;; *) return 1 ;; esac
}

# --- what a container is lent of the host: the trees are there, and the modules say what they set (modules.sh), once for
# all tasks of an element
host_is_there() {
    for tree in "$@"; do
        as_the_user test -r "$tree/." && as_the_user test -x "$tree/." && continue
        reason="input_unavailable: $tree, in which software of the host is, is not there on $node or not for this account"
        return 1
    done
}

ask_modules() {
    [ -n "$asking" ] && [ -z "$loaded" ] || return 0
    loaded=$(as_the_user env -i PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin "HOME=$home_outside" "USER=$user" \
        "LOGNAME=$user" LANG=C.UTF-8 timeout -k 5 120 sh -c "command exec 2>>\"\$1\"; shift; $asking" sh "${err:-/dev/tty}") &&
        [ "${#loaded}" -le 65536 ] && return
    loaded=''
    reason="input_unavailable: the modules of the host cannot be loaded on $node: the error log of the task says why"
    return 1
}

as_the_user() {
    if [ "$(id -u)" = 0 ]; then PATH=$PATH:/usr/sbin:/sbin chroot --userspec="$uid:$gid" --skip-chdir / "$@"; else "$@"; fi
} 2>/dev/null

# --- run it, and wait for its end while signals come and go
carry_out() {
    watcher='' clock='' reaper=''
    launch >>"$out" 2>>"$err" </dev/null &
    child=$!
    attend
    if [ "$packed" = yes ] || [ "$signal_before" -gt 0 ]; then
        watch_time &
        clock=$!
    fi
    if [ -n "$ending" ] && [ -z "$reaper" ]; then # the signal came before there was anything to signal
        stop_at_once &
        reaper=$!
    fi
    while :; do
        interrupted=''
        wait "$child"
        got=$?
        [ "$got" -eq 127 ] && [ "$code" != null ] && break # it had ended while a signal was handled
        code=$got
        [ -z "$interrupted" ] && break
    done
    child=''
    for beside in $reaper $clock; do # a signal of theirs that is under way must not reach the next task
        kill -s ALRM "$beside" 2>/dev/null
        wait "$beside"
    done
    reaper=''
}

# These run beside the task, and end with what they started when they are told to: by a signal that job.sh does not
# handle, since one that it does is lost on a process that was just forked and still has its handlers.
after_grace() {
    before=$!
    trap 'wake; exit' ALRM
    nap "$grace"
    stop_program
}

stop_at_once() {
    before=$!
    trap 'wake; exit' ALRM
    stop_program
}

# The scheduler knows the time of the whole element; where that has several tasks, the task's own is kept here.
watch_time() {
    before=$!
    trap 'wake; exit' ALRM
    rest=$seconds
    if [ "$signal_before" -gt 0 ] && [ "$signal_before" -lt "$seconds" ]; then
        nap $((seconds - signal_before))
        signal_program USR1
        rest=$signal_before
    fi
    [ "$packed" = yes ] || exit 0
    nap "$rest"
    ln -s time "$claim/limit"
    signal_program TERM
    nap "$grace"
    stop_program
}

nap() {
    sleep "$1" &
    wait "$!"
}

wake() { [ "$!" = "$before" ] || kill -s KILL "$!" 2>/dev/null; }

# --- the status: all of it or nothing, and never silently nothing
write_status() {
    signal=null
    [ "$code" != null ] && [ "$code" -gt 128 ] && [ "$code" -le 192 ] && signal=$((code - 128))
    [ "$code" = 0 ] && oom=false
    quote measured_by "$measured_by"
    quote limit "$limit"
    told=false
    [ -z "$ending" ] || told=true # it was told to end; why, the scheduler knows
    quote reason "$reason"
    tell_time
    text="{\"exit_code\": $code, \"signal\": $signal, \"started\": $started, \"ended\": $now"
    text="$text, \"cpu_seconds\": $cpu_seconds, \"peak_memory\": $peak_memory, \"measured_by\": $measured_by"
    text="$text, \"oom\": $oom, \"limit\": $limit, \"told\": $told, \"reason\": $reason}"
    place=$attempt_dir/status/$task.json
    for pause in 0 1 2 4; do # a full disk may be over in a moment: others' temporary files go
        [ "$pause" = 0 ] || sleep "$pause"
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

# Set a variable to a text as JSON has it (ours have neither quotes nor backslashes), or to null.
quote() { if [ -n "$2" ]; then eval "$1=\"\\\"\$2\\\"\""; else eval "$1=null"; fi; }

# --- what the kernel counted for a cgroup: its directories in the memory and in the processor hierarchy, which are
# one in version 2. Nothing is set that cannot be read; what was counted before this task is taken off.
measure_cgroup() {
    if read -r number <"$1/memory.peak" || read -r number <"$1/memory.max_usage_in_bytes"; then
        peak_memory=$number measured_by=$3
    fi 2>/dev/null
    if count_processor "$2"; then
        number=$((used - used_before)) measured_by=$3
        cpu_seconds=$(printf '%d.%09d' $((number / 1000000000)) $((number % 1000000000)))
    fi
}

count_processor() { # -> $used, nanoseconds
    read -r used <"$1/cpuacct.usage" || { read -r word used <"$1/cpu.stat" && used=${used}000; }
} 2>/dev/null

used_before=0

# Where the local scheduler put us: "job" holds this script, "box" is the parent for others' containers.
measure_task() {
    find_cgroups
    measure_cgroup "$memory_root/$CLIF_CGROUP/$1" "$processor_root/$CLIF_CGROUP/$1" cgroup
}

find_cgroups() {
    memory_root=/sys/fs/cgroup processor_root=/sys/fs/cgroup
    [ -d "/sys/fs/cgroup/memory/$CLIF_CGROUP" ] || return
    memory_root=/sys/fs/cgroup/memory processor_root=/sys/fs/cgroup/cpuacct
}
