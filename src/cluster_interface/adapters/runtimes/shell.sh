# An interactive shell where a task runs or ran: the same image, mounts, user, limits and environment, but no time limit.
# Run on a terminal as `sh FILE`. Set above: task; defined above by the runtime: open_shell PLACE PLACE-FOR-DOCKER
# (turns into the client; passwd and group are in $claim, $box is a free name) and close_shell. Nothing that belongs to the attempt is touched.
claim=$(mktemp -d) || exit
# Told again while it cleans up, as it is by the watcher, it would go without having done so.
trap 'trap "" HUP TERM; close_shell; rm -rf "$claim"; kill $watcher 2>/dev/null' EXIT
trap 'trap "" HUP TERM; kill "$child" 2>/dev/null; exit 129' HUP TERM
child='' watcher='' box=$mark-$task-shell-$$

if [ -r "$attempt_dir/claim/$task/owner" ]; then
    while IFS='=' read -r key value; do
        [ "$key" = native_id ] && native=$value
    done <"$attempt_dir/claim/$task/owner"
fi
accounts "$claim"
if ! load_parameters || ! mounts_stay || ! lend; then
    echo "$reason" >&2
    exit 1
fi

# While a task shares its container with others, its directory is with the pack; a shell that is opened then sees the
# next task's files afterwards.
place=$job_dir/tasks/$task place_source=$job_source/tasks/$task
for now in "$attempt_dir"/pack/*/now; do
    [ "$(readlink "$now")" = "$task" ] || continue
    pack=${now%/now}
    place=$pack/job place_source=$job_source/attempts/$attempt/pack/${pack##*/}/job
done

# A signal says that the terminal is gone, but not to who was started with it ignored (no shell can undo that), nor to
# script(1), which blocks it.
watch_terminal() {
    trap 'kill "$!" 2>/dev/null; exit' TERM
    while [ -t 3 ]; do
        sleep 2 &
        wait "$!"
    done
    kill "$child" "$$" 2>/dev/null
}

# Beside us, with our terminal, so that we hear of the terminal's end.
exec 3<&0
open_shell "$place" "$place_source" <&3 3<&- &
child=$!
if [ -t 3 ]; then
    watch_terminal &
    watcher=$!
fi
wait "$child"
