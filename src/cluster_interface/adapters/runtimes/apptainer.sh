# apptainer's part of job.sh. Set above: apptainer image layer.

runtime=apptainer

# Its own first process would pass on what it hears, and the program hear it twice.
contain() {
    if [ -f "$image" ]; then
        mount_image "$image" || return
        image=$rootfs
    fi
    set -- --no-init --pwd /job "$image" "$@"
    eval "set -- $mounts \"\$@\""
    [ -n "$layer" ] && set -- --bind "$layer:/opt/env:ro" "$@"
    [ "$gpus" -gt 0 ] && set -- --nv "$@"
    # In the namespaces that are there already: as the account itself, and nothing of its environment.
    cleanly "PATH=$PATH" unshare --user --map-user="$uid" --map-group="$gid" -- \
        env -i "PATH=$PATH" "HOME=$room" "USER=$user" "APPTAINER_CONFIGDIR=$room/apptainer" "APPTAINER_TMPDIR=$room" \
        GOMAXPROCS=2 MALLOC_ARENA_MAX=1 \
        "$apptainer" --silent exec --userns --containall --no-mount tmp,home,hostfs,cwd,devpts,bind-paths,sys,dev \
        --bind "$room/dev:/dev,$room/tmp:/tmp,$room/home:/home,$room/hosts:/etc/hosts:ro" \
        --bind "$room/passwd:/etc/passwd:ro,$room/group:/etc/group:ro" \
        --bind "$job_dir/inputs:/inputs:ro,$place:/job" "$@"
}
