# Ends what podman left of a mark: conmon outlives job.sh, and the container outlives conmon. conmon's name for it
# (-n) is the mark and the element.
#
# Anybody can give a process such a name and such words, so as root we do this as whom it belongs to.
# shellcheck disable=SC2016  # its own words
end_it='
conmon=$1 room=$2 children=
read -r children <"/proc/$conmon/task/$conmon/children"
[ -z "$children" ] || kill -s KILL $children
for pause in 0 0.1 0.2 0.2 0.5 1; do
    [ -e "/proc/$conmon" ] || break
    sleep "$pause"
done
kill -s KILL "$conmon"
[ -z "$room" ] || kill "$(cat "$room/tmp/pause.pid")"
[ -z "$room" ] || rm -rf "$room"
'

as_owner() {
    if [ "$(id -u)" != 0 ]; then
        "$@"
        return
    fi
    [ "$owner" != 0 ] && setpriv "--reuid=$owner" "--regid=$owner" --clear-groups "$@"
}

for file in /proc/[0-9]*/cmdline; do
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
    as_owner sh -c "$end_it" sh "$conmon" "$room"
done 2>/dev/null

# Where conmon was killed as well (Grid Engine does), the first process of the container is known by the job's variable.
for file in /proc/[0-9]*/environ; do
    grep -qzFx "CLIF_MARK=$mark" "$file" || continue
    process=${file%/environ}
    process=${process#/proc/}
    owner=0 numbers=
    while read -r word value more; do
        case $word in Uid:) owner=$value ;; NSpid:) numbers=" $more" ;; esac
    done <"/proc/$process/status"
    case $numbers in *[' 	']1) as_owner kill -s KILL "$process" ;; esac
done 2>/dev/null

# What job.sh had no time to remove, if it was killed: its private directories on this node. Some files in there belong
# to other numbers of the account's namespace.
# shellcheck disable=SC2016  # its own words
clear_room='
room=$1 pauses=$(cat "$1/tmp/pause.pid")
rm -rf "$room" || pauses="$pauses $(HOME=$room XDG_RUNTIME_DIR=$room podman --root "$room/storage" \
    --runroot "$room/runroot" --tmpdir "$room/tmp" --storage-driver vfs --cgroup-manager cgroupfs \
    unshare sh -c "cat \"\$1/tmp/pause.pid\"; rm -rf \"\$1\"" sh "$room")"
[ -z "${pauses## }" ] || kill $pauses
'
for room in "${TMPDIR:-/tmp}/$mark"-*.?????? "${TMPDIR:-/tmp}/$mark".?????? /tmp/"$mark"-*.?????? /tmp/"$mark".??????; do
    if [ ! -d "$room" ] || [ -L "$room" ]; then continue; fi
    owner=$(stat -c %u "$room")
    as_owner sh -c "$clear_room" sh "$room"
done 2>/dev/null
:
