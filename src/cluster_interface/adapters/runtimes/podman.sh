# podman's part of job.sh: rootless, no image of its own. Set above: rootfs layer memory network interactive.
# Everything podman writes is in a private directory on the node, made for this task and removed after it.

# The container's root is a directory of links and places to mount on, so that any image will do, and podman, which
# writes into it, leaves the image alone.
prepare() {
    unset -v CLIF_PEAK # the dispatcher does not see what is in a container, see family
    count_before
    make_room
}

make_room() {
    within=${TMPDIR:-/tmp}
    [ $((${#within} + ${#mark} + ${#task})) -le 33 ] || within=/tmp # podman has sockets in it, and wants it short
    podman_room=$(mktemp -d "$within/$mark-$task.XXXXXX") || {
        reason="no private directory can be made in $within of $node"
        return 1
    }
    echo "$podman_room" >"$claim/podman"
    mkdir -p "$podman_room/run" "$podman_room/root" && chmod 700 "$podman_room/run" || return
    for point in dev etc home inputs job opt/env proc run sys tmp var; do
        mkdir -p "$podman_room/root/$point" || return
    done
    chmod 1777 "$podman_room/root/tmp" # a tmpfs on it takes its mode
    hosts >"$podman_room/hosts"
    use_room
    configure
}

# Locks in memory would be all podmans' of the account, of which the first in a new storage frees those of others.
configure() {
    printf '[engine]\nlock_type = "file"\nruntime_supports_nocgroup = ["crun"]\n' >"$CONTAINERS_CONF"
}

# HOME may be another's, or nobody's: some schedulers leave root's. GOMAXPROCS keeps the addresses down that are reserved.
# MALLOC_ARENA_MAX=1 would, too, but podman makes its namespace by a bare clone(2) while it has threads: whatever one of
# them has locked stays so in the new process, which then waits for ever for the one arena that all would share.
use_room() {
    export HOME="$podman_room" XDG_RUNTIME_DIR="$podman_room/run" CONTAINERS_CONF="$podman_room/containers.conf"
    export GOMAXPROCS=2
    unset DBUS_SESSION_BUS_ADDRESS CONTAINER_HOST
}

# A container without a cgroup of its own stays in the scheduler's, with its limits. crun can do that; runc makes none
# where an ordinary account may not, and crun does not work on version 1.
oci_runtime() {
    if [ -e /sys/fs/cgroup/cgroup.controllers ] && command -v crun >/dev/null; then
        echo crun disabled
    elif command -v runc >/dev/null; then
        echo runc enabled
    else
        echo crun disabled
    fi
}

in_podman() {
    "$podman" --log-level error --root "$podman_room/storage" --runroot "$podman_room/runroot" \
        --tmpdir "$podman_room/tmp" --storage-driver vfs --cgroup-manager cgroupfs --events-backend none \
        --runtime "${oci% *}" "$@"
}

# The client of podman dies where a scheduler signals every process of a job; the container, which conmon looks after,
# does not, and its first process says in the end how the program ended.
launch() {
    trap '' TERM USR2
    (enter_image "$job_dir/tasks/$task")
    gone=$?
    first=$(cat "$claim/sandbox") && while read -r _ _ state _ <"/proc/$first/stat" && [ "$state" != Z ]; do
        sleep 0.1
    done 2>/dev/null
    exit "$gone"
}

enter_image() {
    place=$1
    oci=$(oci_runtime)
    half=$((memory / 2))
    # The program writes to the logs itself, whatever becomes of the client; not known to podman before version 4.
    log=none
    case $interactive:$("$podman" --version) in no:*" "[4-9].* | no:*" "[1-9][0-9].*) log=passthrough ;; esac
    set -- "$podman" --log-level error --root "$podman_room/storage" --runroot "$podman_room/runroot" \
        --tmpdir "$podman_room/tmp" --storage-driver vfs --cgroup-manager cgroupfs --events-backend none \
        --runtime "${oci% *}" run --name "$mark-$element" --label "cluster-interface.mark=$mark" \
        --conmon-pidfile "$claim/conmon" --pidfile "$claim/sandbox" --cgroups "${oci#* }" --log-driver "$log" \
        --userns keep-id --user "$uid:$gid" --cap-drop ALL --security-opt no-new-privileges --read-only \
        --read-only-tmpfs=false --passwd=false --no-hosts --preserve-fds 1 --network "$network" --shm-size "$half" \
        --tmpfs "/tmp:rw,exec,nosuid,nodev,mode=1777,size=$half" \
        --tmpfs "/home/$user:rw,exec,nosuid,nodev,mode=1777,size=$half" \
        --volume "$job_dir/inputs:/inputs:ro" --volume "$place:/job" --workdir /job
    [ "$interactive" = yes ] && set -- "$@" --interactive --tty
    if [ "$gpus" -gt 0 ]; then # by the Container Device Interface: what `nvidia-ctk cdi generate` wrote on the node
        given_gpus
        for number in $(echo "${given:-all}" | tr , ' '); do
            set -- "$@" --device "nvidia.com/gpu=$number"
        done
    fi
    for entry in "$rootfs"/* "$rootfs"/.[!.]*; do
        inside=/${entry##*/}
        case $inside in /dev | /home | /inputs | /job | /opt | /proc | /run | /sys | /tmp) continue ;; esac
        case $replaced in *":$inside:"*) continue ;; esac
        if [ -L "$entry" ]; then
            ln -s "$(readlink "$entry")" "$podman_room/root$inside"
        elif [ -e "$entry" ]; then
            set -- "$@" --volume "$entry:$inside:ro"
        fi
    done
    for entry in "$rootfs"/opt/*; do
        case $replaced in *":/opt/${entry##*/}:"*) continue ;; esac
        [ -e "$entry" ] && [ "${entry##*/}" != env ] && set -- "$@" --volume "$entry:/opt/${entry##*/}:ro"
    done
    case $replaced in *:/usr/local/*)
        open_local
        set -- "$@" --volume "$podman_room/local:/usr/local:ro"
        for entry in "$rootfs"/usr/local/*; do
            [ -d "$podman_room/local/${entry##*/}" ] && [ ! -L "$entry" ] && [ -d "$entry" ] &&
                set -- "$@" --volume "$entry:/usr/local/${entry##*/}:ro"
        done
        ;;
    esac
    [ -n "$layer" ] && set -- "$@" --volume "$layer:/opt/env:ro"
    set -- "$@" --volume "$claim/passwd:/etc/passwd:ro" --volume "$claim/group:/etc/group:ro" \
        --volume "$podman_room/hosts:/etc/hosts:ro"
    eval "set -- \"\$@\" $mounts --rootfs \"\$podman_room/root\""
    become "$@" 3>"$claim/began"
}

# A /usr/local of our own, with the places to mount on that are below it.
open_local() {
    mkdir -p "$podman_room/local" || return
    rest=${replaced#:}
    while [ -n "$rest" ]; do
        inside=${rest%%:*} rest=${rest#*:}
        case $inside in /usr/local/*) mkdir -p "$podman_room/local/${inside#/usr/local/}" ;; esac
    done
    for entry in "$rootfs"/usr/local/*; do
        case $replaced in *":/usr/local/${entry##*/}:"*) continue ;; esac
        if [ -L "$entry" ]; then
            ln -s "$(readlink "$entry")" "$podman_room/local/${entry##*/}"
        elif [ -d "$entry" ]; then
            mkdir -p "$podman_room/local/${entry##*/}"
        fi
    done
}

# The container's first process leads the session and the group that the program is in.
signal_program() { first=$(cat "$claim/sandbox") && kill -s "$1" -- "-$first"; } 2>/dev/null

# Where a signal to every process has ended conmon, the client waits 20 s for what only that could tell it.
stop_program() {
    first=$(cat "$claim/sandbox") && kill -s KILL "$first"
    kill -s KILL "$child"
} 2>/dev/null

# The client's exit status is its own where it was signalled, 0 even: a program whose end nobody saw was killed.
settle() {
    if [ "$code" -eq 0 ] || [ "$code" -ge 128 ]; then code=137; fi
    settle_entered 'podman could not start the image: the error log of the task says why'
    count_oom
}

# It is the daemon's that podman leaves behind: no scheduler that goes by the parents of processes signals it.
has_heard() { false; }

# What is in the container is not among our own processes, where the dispatcher looks.
family() { cat "$claim/sandbox"; }

measure() { measure_own; }

# What podman leaves: the process that keeps its user namespace, and its directory, in which some files belong to
# other numbers of that namespace. conmon, where it sees the end, starts a podman that would make the directory anew.
tidy() {
    conmon=$(cat "$claim/conmon") && kill -s KILL "$conmon"
    first=$(cat "$claim/sandbox") && kill -s KILL "$first"
    oci=$(oci_runtime)
    in_podman rm --force --all --time 0 >/dev/null || :
    end_users
    pause=$(cat "$podman_room/tmp/pause.pid")
    rm -rf "$podman_room" || { configure && in_podman unshare rm -rf "$podman_room"; }
    kill "$pause"
} 2>/dev/null

# Again and again: podman goes on in a process that it has just made, which a list made before does not have.
end_users() {
    for round in 1 2 3 4 5 6 7 8 9; do
        users=
        # shellcheck disable=SC2013  # words
        for file in $(grep -laF -- "$podman_room" /proc/[0-9]*/cmdline); do
            process=${file%/cmdline}
            kill -s KILL "${process#/proc/}" && users=$round # not grep, which is over
        done
        [ -n "$users" ] || return 0
    done
}

open_shell() {
    make_room || return
    enter_image "$place"
}

# The room was made beside us.
close_shell() {
    podman_room=$(cat "$claim/podman") && [ -n "$podman_room" ] || return
    use_room
    tidy
}
