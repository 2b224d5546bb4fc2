# charliecloud's part of job.sh. Set above: chrun rootfs layer image (a squashfs file, in place of rootfs).

runtime=charliecloud

contain() {
    if [ -n "$image" ]; then
        mount_image "$image" || return
    fi
    # ch-run brings /dev, /proc and /sys in as they are here, and everything else writable where that is.
    mount --rbind "$room/dev" /dev && mount -t tmpfs -o ro,size=4k sys /sys &&
        read_only "$job_dir/inputs" inputs || return
    [ -z "$layer" ] || read_only "$layer" layer || return
    [ "$gpus" -eq 0 ] || bring_driver || return
    if [ -n "$mounts" ]; then
        eval "place_mounts $mounts" && compose || return
    fi
    mount -o remount,bind,ro "$room" || return
    set -- --cd=/job "${composed:-$rootfs}" -- "$@"
    [ -n "$layer" ] && set -- --bind="$room/layer:/opt/env" "$@"
    [ "$gpus" -eq 0 ] || set -- --bind="$room/run:/run" "$@"
    eval "set -- $binds \"\$@\""
    cleanly "PATH=$PATH" "USER=$user" "HOME=/home/$user" \
        "$chrun" --uid="$uid" --gid="$gid" --private-tmp --no-passwd --unset-env='*' \
        --bind="$room/tmp:/tmp" --bind="$room/home:/home" --bind="$room/hosts:/etc/hosts" \
        --bind="$room/passwd:/etc/passwd" --bind="$room/group:/etc/group" \
        --bind="$room/inputs:/inputs" --bind="$place:/job" "$@"
}

# ch-fromhost would write into the image.
bring_driver() {
    mkdir -p "$room/run/nvidia" || return
    for library in $(driver_libraries); do
        : >"$room/run/nvidia/${library##*/}" && mount --bind "$library" "$room/run/nvidia/${library##*/}" || return
    done
}

read_only() { mkdir -p "$room/$2" && mount --bind "$1" "$room/$2" && mount -o remount,bind,ro "$room/$2"; }

# ch-run makes no place to mount on in an image: where something is mounted, the image's root is put together anew, with
# these places in it. Called with ro|rw SOURCE TARGET for each of them.
place_mounts() {
    number=0
    while [ $# -gt 0 ]; do
        number=$((number + 1))
        mkdir -p "$room/root$3" "$room/mount$number" && mount --bind "$2" "$room/mount$number" || return
        [ "$1" = rw ] || mount -o remount,bind,ro "$room/mount$number" || return
        shift 3
    done
}

compose() {
    composed=$room/root
    opened=:/opt:
    case $replaced in *:/usr/local/*) opened=:/opt:/usr:/usr/local: ;; esac
    for entry in "$rootfs"/* "$rootfs"/.[!.]* "$rootfs"/opt/* "$rootfs"/usr/* "$rootfs"/usr/local/*; do
        inside=${entry#"$rootfs"}
        case $opened in *":$inside:"*) continue ;; esac
        case $opened in *":${inside%/*}:"*) ;; *) [ -z "${inside%/*}" ] || continue ;; esac
        case $replaced in *":$inside:"*) continue ;; esac
        if [ -L "$entry" ]; then
            ln -s "$(readlink "$entry")" "$composed$inside" || return
        elif [ -d "$entry" ]; then
            mkdir -p "$composed$inside" && mount --bind "$entry" "$composed$inside" &&
                mount -o remount,bind,ro "$composed$inside" || return
        fi
    done
    mkdir -p "$composed/opt/env"
}
