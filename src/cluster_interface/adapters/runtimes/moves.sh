# Makes a task's directory the shared container's /job, and the other way round. Started by job.sh as the job's account,
# once for an element. Words: the job's directory, the attempt's, the pack's. Each line of standard input is a way (in or
# out) and a task; it is answered by 0, or another number if that could not be done whole. What was done may be asked
# for again.
#
# A kill may come at any moment. While the link `now` of the pack names a task, what lies in the pack's `job` is that
# task's and belongs into tasks/<n>, as does what is still there: the server moves it back (staging/packs.py). Links
# and renames need no free block.
set -u
umask 022
job=$1 attempt=$2 pack=$3
trap '' HUP INT TERM USR1 USR2 # some schedulers signal every process of a job

move_all() { # FROM TO
    from=$1 to=$2
    set --
    for entry in "$from"/* "$from"/.[!.]* "$from"/..?*; do
        if [ -e "$entry" ] || [ -L "$entry" ]; then set -- "$@" "$entry"; fi
        if [ $# -ge 100 ]; then
            move_some "$@" || return
            set --
        fi
    done
    [ $# -eq 0 ] || move_some "$@"
}

move_some() { mv -f -t "$to" -- "$@" 2>/dev/null || move_each "$@"; }

# A directory that its owner may not write to cannot be moved as it is.
move_each() {
    for entry; do
        [ -e "$entry" ] || [ -L "$entry" ] || continue # it has been moved
        if [ -d "$entry" ] && [ ! -L "$entry" ] && [ ! -w "$entry" ]; then
            chmod u+w "$entry" && mv -f -t "$to" -- "$entry" && chmod u-w "$to/${entry##*/}"
        else
            mv -f -t "$to" -- "$entry"
        fi || return
    done
}

lend() {
    : >>"$log.out" && : >>"$log.err" && ln -f -t "$pack/io" -- "$log.out" "$log.err" &&
        ln -sfn "$task" "$pack/now" && move_all "$own" "$pack/job"
}

take_back() {
    if ! [ -r "$pack/job" ] || ! [ -w "$pack/job" ] || ! [ -x "$pack/job" ]; then chmod 755 "$pack/job"; fi
    move_all "$pack/job" "$own" && rm -rf "$pack"/io/* "$pack"/io/.[!.]* "$pack"/io/..?* "$pack/now"
}

while read -r way task; do
    own=$job/tasks/$task log=$attempt/log/$task
    if [ "$way" = in ]; then lend; else take_back; fi
    echo "$?"
done
