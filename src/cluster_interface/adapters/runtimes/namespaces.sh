# The part of job.sh of runtimes that an ordinary account starts: namespaces of its own around the runtime's, which
# end with their first process, have no network and a /dev, /tmp and home with bounds.
# Set above: memory network nested (user namespaces that the runtime makes) interactive.
# Defined by the runtime: contain WORDS… (runs them in the image, from in here).

prepare() { count_before; }

launch() {
    enter_image "$job_dir/tasks/$task"
}

enter_image() {
    place=$1
    # No --mount-proc: the first process still has to learn its pid outside.
    set -- unshare --user --map-root-user --mount --pid --ipc --fork --kill-child
    [ "$network" = yes ] || set -- "$@" --net
    [ "$interactive" = yes ] || set -- "$@" setsid
    # Who is killed takes it along: the first process goes with unshare, and unshare with job.sh.
    setpriv --pdeathsig KILL true 2>/dev/null && set -- setpriv --pdeathsig KILL "$@"
    # A script's background process starts with INT and QUIT ignored, which no program could undo.
    # Some schedulers signal every process of a job: what is around the program must not die of what the program may
    # take in its stride, and `contain` lets it hear of it again.
    if env --default-signal=INT true 2>/dev/null; then
        [ "$interactive" = yes ] || trap '' TERM USR2
        set -- env --default-signal=INT,QUIT "$@"
    fi
    become "$@" /bin/sh "$0" inside "$claim" "$place"
}

# The first process in there: it reaps what was left to it, and leads the session and group that the program is in.
inside() {
    claim=$1 place=$2
    shift 2
    room=$claim/room
    trap : TERM INT USR1
    furnish || exit 125
    contain "$@" 3>"$claim/began"
}

# Run something without our environment, and with the signals as a program expects them.
cleanly() {
    if env --default-signal=INT true 2>/dev/null; then set -- "--default-signal=$heard" -i "$@"; else set -- -i "$@"; fi
    env "$@"
}

furnish() {
    read -r first _ </proc/self/stat
    echo "$first" >"$claim/sandbox"
    half=$((memory / 2))
    mount -t proc proc /proc && mkdir -p "$room" && mount -t tmpfs -o mode=0755,size=4m room "$room" &&
        mkdir "$room/tmp" "$room/home" "$room/home/$user" "$room/dev" &&
        mount -t tmpfs -o "mode=1777,size=$half" tmp "$room/tmp" &&
        mount -t tmpfs -o "mode=0700,size=$half" home "$room/home/$user" &&
        cp "$claim/passwd" "$claim/group" "$room" && hosts >"$room/hosts" && devices || return
    # What runs in the image makes no more user namespaces, in which it would have capabilities.
    echo "$nested" >/proc/sys/user/max_user_namespaces
}

# A squashfs file as $rootfs. The runtime's own program for it would not live through signals as this does.
mount_image() {
    rootfs=$room/image
    mkdir "$rootfs" || return
    for squashfuse in squashfuse_ll squashfuse; do
        command -v "$squashfuse" >/dev/null && break
    done
    "$squashfuse" "$1" "$rootfs"
}

devices() {
    mount -t tmpfs -o mode=0755 dev "$room/dev" && mkdir "$room/dev/shm" "$room/dev/pts" || return
    for device in null zero full random urandom tty $([ "$gpus" -eq 0 ] || gpu_devices); do
        [ -e "/dev/$device" ] || continue
        : >"$room/dev/$device" && mount --bind "/dev/$device" "$room/dev/$device" || return
    done
    if terminal=$(tty); then # of another instance of devpts, so it wants a name in here
        : >"$room/dev/console" && mount --bind "$terminal" "$room/dev/console" || return
    fi
    ln -s /proc/self/fd "$room/dev/fd"
    ln -s /proc/self/fd/0 "$room/dev/stdin"
    ln -s /proc/self/fd/1 "$room/dev/stdout"
    ln -s /proc/self/fd/2 "$room/dev/stderr"
    ln -s pts/ptmx "$room/dev/ptmx"
    mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 pts "$room/dev/pts" &&
        mount -t tmpfs -o "mode=1777,size=$half" shm "$room/dev/shm"
}

find_sandbox() { read -r first <"$claim/sandbox"; } 2>/dev/null

signal_program() {
    find_sandbox && kill -s "$1" -- "-$first" 2>/dev/null
}

# unshare does not always say by which signal its child ended.
stop_program() {
    : >"$claim/killed"
    if find_sandbox; then kill -s KILL "$first"; else kill -s KILL "$child"; fi 2>/dev/null
}

settle() {
    [ -e "$claim/killed" ] && [ "$code" -ne 0 ] && code=137
    settle_entered "$runtime could not start the image: the error log of the task says why"
    count_oom
}

measure() { measure_own; }

tidy() {
    rm -f "$claim/sandbox"
    rmdir "$claim/room" 2>/dev/null
    :
}

# The terminal must not be the caller's own: whoever has that could type into it (ioctl_tty(2), TIOCSTI). Where script(1)
# is, it makes another, with job control; else the shell is in a session without one.
open_shell() {
    if [ "${CLIF_TERMINAL:-}" = own ]; then
        enter_image "$place"
    elif [ -r "$0" ] && command -v script >/dev/null; then
        export CLIF_TERMINAL=own CLIF_SELF="$0" SHELL=/bin/sh
        exec script -q -e -c 'exec sh "$CLIF_SELF"' /dev/null
    else
        interactive=no
        enter_image "$place"
    fi
}

close_shell() { rmdir "$claim/room" 2>/dev/null; }

if [ "${1:-}" = inside ]; then
    shift
    inside "$@"
    exit
fi
