# Make a task's directory the shared container's /job, and the other way round. Run by job.sh as the job's account.
# Words: in|out, the job's directory, the attempt's, the pack's, the task.
#
# A kill may come at any moment. While the link `now` of the pack names a task, what lies in the pack's `job` is that
# task's and belongs into tasks/<n>, as does what is still there: the server moves it back (staging/packs.py). Links
# and renames need no free block.
set -u
umask 022
way=$1 own=$2/tasks/$5 log=$3/log/$5 pack=$4 task=$5

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

if [ "$way" = in ]; then
    : >>"$log.out" && : >>"$log.err" || exit
    ln -t "$pack/io" -- "$log.out" "$log.err" || exit
    ln -s "$task" "$pack/now" && move_all "$own" "$pack/job"
else
    if ! [ -r "$pack/job" ] || ! [ -w "$pack/job" ] || ! [ -x "$pack/job" ]; then chmod 755 "$pack/job"; fi
    move_all "$pack/job" "$own" && rm -rf "$pack"/io/* "$pack"/io/.[!.]* "$pack"/io/..?* "$pack/now"
fi
