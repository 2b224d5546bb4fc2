# Runs the tasks of an element one after the other, in a container that they share; it is the first process there.
# POSIX sh and coreutils. $1 is the program, $2 its environment as words of shell that know $task and $CLIF_PARAM_name,
# $3 the home directory (its name has no spaces). Each line of standard input sets these; each task gives two lines on standard output:
#     begun TASK
#     done TASK EXIT-STATUS NANOSECONDS-OF-PROCESSOR PEAK-OF-MEMORY KILLED-FOR-MEMORY clean|spent
#
# What keeps a program from speaking for another task, though all have the same uid: as the first process of its pid
# namespace the driver takes no KILL or STOP from within; its executable cannot be read by the account, so the kernel
# lets nobody without privilege trace it or look into /proc/1 (proc(5), PR_SET_DUMPABLE), where its standard input and
# output could be opened; and before it says that a task is done, all other processes are dead. A program can still
# send it the signals that it passes on, which reach that program alone, and can fill the memory, which ends the
# container at its own cost.
[ "$$" = 1 ] || exit 1 # it kills whatever it can reach
if [ -r /proc/self/environ ]; then
    echo "the driver of this container cannot be closed to the account's other processes (fs.suid_dumpable?)" >&2
    exit 1
fi
program=$1 exports=$2 places="/tmp /dev/shm /dev/mqueue $3"
# shellcheck disable=SC2034  # lines of standard input use it
nl='
'
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
rm -rf /tmp/.driver
# What a shell starts beside itself ignores INT and QUIT, which no program could undo.
defaults=''
env --default-signal=INT true 2>/dev/null && defaults="$(command -v env) --default-signal=INT,QUIT"

pass() {
    interrupted=yes
    kill -s "$1" -- -1
} 2>/dev/null

trap 'pass TERM' TERM
trap 'pass INT' INT
trap 'pass USR1' USR1
trap 'pass KILL' USR2 # time or patience is over

# Read what the kernel has counted for this container so far (cgroup versions 1 and 2): $used, $peak, $kills.
look() {
    used=- peak=- kills=0
    read -r used </sys/fs/cgroup/cpuacct/cpuacct.usage || { read -r _ used && used=${used}000; } </sys/fs/cgroup/cpu.stat
    read -r peak </sys/fs/cgroup/memory/memory.max_usage_in_bytes || read -r peak </sys/fs/cgroup/memory.peak
    while read -r word number; do
        [ "$word" = oom_kill ] && kills=$number
    done </sys/fs/cgroup/memory/memory.oom_control || while read -r word number; do
        [ "$word" = oom_kill ] && kills=$number
    done </sys/fs/cgroup/memory.events
} 2>/dev/null

# Empty what a task may have written to but /job; false if something stays.
clean() {
    left && for place in $places; do
        rm -rf -- "${place:?}"/* "${place:?}"/.[!.]* "${place:?}"/..?*
    done
    left && return 1
    for kind in shm msg sem; do # a headline, then what is there
        { read -r _ && read -r _ && return 1; } </proc/sysvipc/$kind
    done
    return 0
} 2>/dev/null

left() {
    for place in $places; do
        for entry in "$place"/* "$place"/.[!.]* "$place"/..?*; do
            if [ -e "$entry" ] || [ -L "$entry" ]; then return 0; fi
        done
    done
    return 1
}

while :; do
    if ! IFS= read -r line; then
        [ -n "${interrupted:-}" ] || exit 0 # job.sh has gone
        interrupted=''
        continue
    fi
    task=''
    eval "$line"
    echo "begun $task"
    look
    used_before=$used kills_before=$kills
    (
        cd /job || exit
        eval "$exports"
        # shellcheck disable=SC2086  # several words
        exec $defaults /bin/sh -c "$program"
    ) </dev/null >>"/io/$task.out" 2>>"/io/$task.err" &
    child=$! code=''
    while :; do
        interrupted=''
        wait "$child"
        got=$?
        [ "$got" -eq 127 ] && [ -n "$code" ] && break # it had ended while a signal was handled
        code=$got
        [ -z "$interrupted" ] && break
    done
    interrupted=''
    kill -s KILL -- -1 2>/dev/null
    look
    [ "$used" = - ] || used=$((used - used_before))
    if clean; then state=clean; else state=spent; fi
    echo "done $task $code $used $peak $((kills - kills_before)) $state"
done
