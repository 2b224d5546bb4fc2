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
    mount -o remount,bind,ro "$room" || return
    set -- --cd=/job "$rootfs" -- "$@"
    [ -n "$layer" ] && set -- --bind="$room/layer:/opt/env" "$@"
    cleanly "PATH=$PATH" "USER=$user" "HOME=/home/$user" \
        "$chrun" --uid="$uid" --gid="$gid" --private-tmp --no-passwd --unset-env='*' \
        --bind="$room/tmp:/tmp" --bind="$room/home:/home" --bind="$room/hosts:/etc/hosts" \
        --bind="$room/passwd:/etc/passwd" --bind="$room/group:/etc/group" \
        --bind="$room/inputs:/inputs" --bind="$place:/job" "$@"
}

read_only() { mkdir -p "$room/$2" && mount --bind "$1" "$room/$2" && mount -o remount,bind,ro "$room/$2"; }
