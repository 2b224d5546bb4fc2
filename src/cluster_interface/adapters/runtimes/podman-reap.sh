# Ends what podman left of a mark: conmon outlives job.sh, and the container outlives conmon. conmon's name for it
# (-n) is the mark and the element.
for file in /proc/[0-9]*/cmdline; do
    words=$(tr '\0' ' ' <"$file") || continue
    case " $words" in *conmon" "*" -n $mark-"* | *conmon" "*" -n $mark "*) ;; *) continue ;; esac
    conmon=${file%/cmdline}
    conmon=${conmon#/proc/}
    room=${words#*--exit-dir }
    room=${room%%/tmp/exits *}
    for first in $(cat "/proc/$conmon/task/$conmon/children"); do
        kill -s KILL "$first"
    done
    for pause in 1 2 3 4 5 6 7 8 9 10; do
        [ -e "/proc/$conmon" ] || break
        sleep 0.2
    done
    kill -s KILL "$conmon"
    case $room in
        */"$mark"*)
            kill "$(cat "$room/tmp/pause.pid")"
            rm -rf "$room"
            ;;
    esac
done 2>/dev/null
:
