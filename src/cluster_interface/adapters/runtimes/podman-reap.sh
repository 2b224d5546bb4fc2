# Ends what podman left of a mark: conmon outlives job.sh, and the container outlives conmon. conmon's name for it
# (-n) is the mark and the element.
#
# Anybody can give a process such a name and such words, so as root we do this as whom it belongs to.
# shellcheck disable=SC2016  # its own words
end_it='
read -r children <"/proc/$2/task/$2/children"
kill -s KILL "$2" # first: where conmon sees the end it starts a podman, which would make the directory anew
[ -z "$children" ] || kill -s KILL $children
'

# The private directory of a task; the job.sh that was to remove it was killed, but maybe not the podman that it waited
# for. Some files in there belong to other numbers of the account's namespace.
# shellcheck disable=SC2016  # its own words
clear_room='
room=$1 pauses=$(cat "$1/tmp/pause.pid")
[ -n "$room" ] || exit
for round in 1 2 3 4 5 6 7 8 9; do # podman goes on in a process that it has just made, which no list has yet
    users=
    for file in $(grep -laF -- "$room" /proc/[0-9]*/cmdline); do
        process=${file%/cmdline}
        [ "${process#/proc/}" != "$$" ] && kill -s KILL "${process#/proc/}" && users=$round
    done
    [ -n "$users" ] || break
done
rm -rf "$room" || pauses="$pauses $(
    export HOME=$room XDG_RUNTIME_DIR=$room CONTAINERS_CONF=$room/containers.conf
    echo "engine.lock_type = \"file\"" >"$CONTAINERS_CONF"
    podman --root "$room/storage" --runroot "$room/runroot" --tmpdir "$room/tmp" --storage-driver vfs \
        --cgroup-manager cgroupfs unshare sh -c "cat \"\$1/tmp/pause.pid\"; rm -rf \"\$1\"" sh "$room"
)"
[ -z "${pauses## }" ] || kill $pauses
'

as_owner() {
    if [ "$(id -u)" != 0 ]; then
        "$@"
        return
    fi
    [ "$owner" != 0 ] && setpriv "--reuid=$owner" "--regid=$owner" --clear-groups "$@"
}

# shellcheck disable=SC2013  # words; one process looks at all: one for each takes minutes where a node is busy
for file in $(grep -laF -- "$mark" /proc/[0-9]*/cmdline); do
    words=$(tr '\0' ' ' <"$file") || continue
    # shellcheck disable=SC2154  # mark is set above
    case " $words" in *conmon" "*" -n $mark-"* | *conmon" "*" -n $mark "*) ;; *) continue ;; esac
    conmon=${file%/cmdline}
    conmon=${conmon#/proc/}
    room=${words#*--exit-dir }
    room=${room%%/tmp/exits *}
    case $room in */"$mark"*) ;; *) room='' ;; esac
    owner=0
    while read -r word uid _; do
        [ "$word" = Uid: ] && owner=$uid
    done <"/proc/$conmon/status"
    as_owner sh -c "$end_it$clear_room" sh "$room" "$conmon"
done 2>/dev/null

# Where conmon was killed as well (Grid Engine does), the first process of the container is known by the job's variable.
# shellcheck disable=SC2013
for file in $(grep -lzFx "CLIF_MARK=$mark" /proc/[0-9]*/environ); do
    process=${file%/environ}
    process=${process#/proc/}
    owner=0 numbers=
    while read -r word value more; do
        case $word in Uid:) owner=$value ;; NSpid:) numbers=" $more" ;; esac
    done <"/proc/$process/status"
    case $numbers in *[' 	']1) as_owner kill -s KILL "$process" ;; esac
done 2>/dev/null

# What is left of those whose conmon is gone as well.
for room in "${TMPDIR:-/tmp}/$mark"-*.?????? "${TMPDIR:-/tmp}/$mark".?????? /tmp/"$mark"-*.?????? /tmp/"$mark".??????; do
    if [ ! -d "$room" ] || [ -L "$room" ]; then continue; fi
    owner=$(stat -c %u "$room")
    as_owner sh -c "$clear_room" sh "$room"
done 2>/dev/null
:
