# bubblewrap's part of job.sh. Set above: bwrap rootfs layer memory network nested. `become` runs the words it
# is given with the environment, the command and, where that works, the signals as a program expects them.

# A script's background process starts with INT and QUIT ignored, which no program could undo.
defaults='' reset=''
env --default-signal=INT true 2>/dev/null && defaults=yes

open_element() {
    number=0
    for entry in "$rootfs"/* "$rootfs"/.[!.]*; do
        [ -L "$entry" ] && eval "link_$((number += 1))=\$(readlink \"\$entry\")"
    done
}

prepare() { count_before; }

# Some schedulers signal every process of a job: bwrap must not die of what the program may take in its stride. What
# it ignores the program would, too, unless the image's own env(1) can undo that.
launch() {
    if [ ! -L "$rootfs/usr/bin/env" ] && grep -q default-signal "$rootfs/usr/bin/env" 2>/dev/null; then
        reset=yes
        trap '' TERM USR2
    fi
    enter_sandbox "$job_dir/tasks/$task" --new-session
}

# Turn into bwrap with a directory as /job; what follows are options of its own.
enter_sandbox() {
    place=$1
    shift
    exec 3>"$claim/sandbox"
    set -- "$bwrap" "$@" --unshare-all --unshare-user --uid "$uid" --gid "$gid" --die-with-parent \
        --cap-drop ALL --json-status-fd 3
    [ "$nested" = no ] && set -- "$@" --disable-userns
    [ "$network" = yes ] && set -- "$@" --share-net
    # The root is a tmpfs of our own, so that every place to mount on can be made in any image.
    number=0
    for entry in "$rootfs"/* "$rootfs"/.[!.]*; do
        target=''
        [ -L "$entry" ] && eval "target=\$link_$((number += 1))"
        at=/${entry##*/}
        case $at in /dev | /etc | /home | /inputs | /job | /opt | /proc | /run | /sys | /tmp) continue ;; esac
        case $replaced in *":$at:"*) continue ;; esac
        if [ -L "$entry" ]; then
            set -- "$@" --symlink "$target" "$at"
        elif [ -e "$entry" ]; then
            set -- "$@" --ro-bind "$entry" "$at"
        fi
    done
    for entry in "$rootfs"/opt/*; do
        case $replaced in *":/opt/${entry##*/}:"*) continue ;; esac
        [ -e "$entry" ] && [ "${entry##*/}" != env ] && set -- "$@" --ro-bind "$entry" "/opt/${entry##*/}"
    done
    case $replaced in *:/usr/local/*)
        set -- "$@" --size 65536 --perms 0755 --tmpfs /usr/local
        for entry in "$rootfs"/usr/local/*; do
            at=/usr/local/${entry##*/}
            case $replaced in *":$at:"*) continue ;; esac
            if [ -L "$entry" ]; then
                set -- "$@" --symlink "$(readlink "$entry")" "$at"
            elif [ -e "$entry" ]; then
                set -- "$@" --ro-bind "$entry" "$at"
            fi
        done
        ;;
    esac
    [ -n "$layer" ] && set -- "$@" --ro-bind "$layer" /opt/env
    set -- "$@" --ro-bind "$rootfs/etc" /etc --ro-bind "$claim/passwd" /etc/passwd --ro-bind "$claim/group" /etc/group
    hosts >"$claim/hosts"
    [ -e "$rootfs/etc/hosts" ] && set -- "$@" --ro-bind "$claim/hosts" /etc/hosts
    if [ "$network" = yes ] && [ -e "$rootfs/etc/resolv.conf" ] && [ -e /etc/resolv.conf ]; then
        set -- "$@" --ro-bind /etc/resolv.conf /etc/resolv.conf
    fi
    half=$((memory / 2))
    set -- "$@" --proc /proc --dev /dev --size "$half" --perms 1777 --tmpfs /dev/shm \
        --size "$half" --perms 1777 --tmpfs /tmp --dir /run --dir /var \
        --dir /home --size "$half" --perms 0700 --tmpfs "/home/$user" \
        --ro-bind "$job_dir/inputs" /inputs --bind "$place" /job --chdir /job
    if [ "$gpus" -gt 0 ]; then
        for device in $(gpu_devices); do
            set -- "$@" --dev-bind "/dev/$device" "/dev/$device"
        done
        for library in $(driver_libraries); do
            set -- "$@" --ro-bind "$library" "/run/nvidia/${library##*/}"
        done
    fi
    [ "$defaults" = yes ] && set -- env --default-signal=INT,QUIT "$@"
    become "$@"
}

# bwrap writes the pid of the sandbox's first process: it reaps orphans in there, takes no signal but KILL, and leads
# the session and group that the program is in.
find_sandbox() {
    found=$(cat "$claim/sandbox" 2>/dev/null)
    case $found in *'"child-pid": '*) ;; *) return 1 ;; esac
    first=${found#*'"child-pid": '}
    first=${first%%[!0-9]*}
}

signal_program() {
    find_sandbox && kill -s "$1" -- "-$first" 2>/dev/null
}

stop_program() {
    if find_sandbox; then kill -s KILL "$first"; else kill -s KILL "$child"; fi 2>/dev/null
}

settle() {
    found=$(cat "$claim/sandbox" 2>/dev/null)
    case $found in
        *'"exit-code": '*)
            code=${found##*'"exit-code": '}
            code=${code%%[!0-9]*}
            ;;
        *)
            if [ "$code" -le 128 ]; then
                code=null
                reason='bubblewrap could not make the sandbox: the error log of the task says why'
            fi
            ;;
    esac
    count_oom
}

measure() { measure_own; }

tidy() { :; }

# The terminal must not be the caller's own: whoever has that could type into it (ioctl_tty(2), TIOCSTI). Where script(1)
# is, it makes another, with job control; else the shell is in a session without one.
open_shell() {
    open_element
    if [ "${CLIF_TERMINAL:-}" = own ]; then
        enter_sandbox "$1"
    elif [ -r "$0" ] && command -v script >/dev/null; then
        export CLIF_TERMINAL=own CLIF_SELF="$0" SHELL=/bin/sh
        exec script -q -e -c 'exec sh "$CLIF_SELF"' /dev/null
    else
        enter_sandbox "$1" --new-session
    fi
}

close_shell() { :; }
