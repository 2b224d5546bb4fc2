# apptainer's part of job.sh. Set above: apptainer image layer gpus.

runtime=apptainer

contain() {
    set -- --pwd /job "$image" "$@"
    [ -n "$layer" ] && set -- --bind "$layer:/opt/env:ro" "$@"
    [ "$gpus" -gt 0 ] && set -- --nv "$@"
    # In the namespaces that are there already: as the account itself, and nothing of its environment.
    cleanly "PATH=$PATH" unshare --user --map-user="$uid" --map-group="$gid" -- \
        env -i "PATH=$PATH" "HOME=$room" "USER=$user" "APPTAINER_CONFIGDIR=$room/apptainer" "APPTAINER_TMPDIR=$room" \
        "$apptainer" --silent exec --userns --containall --no-mount tmp,home,hostfs,cwd,devpts,bind-paths,sys,dev \
        --bind "$room/dev:/dev,$room/tmp:/tmp,$room/home:/home,$room/hosts:/etc/hosts:ro" \
        --bind "$room/passwd:/etc/passwd:ro,$room/group:/etc/group:ro" \
        --bind "$job_dir/inputs:/inputs:ro,$place:/job" "$@"
}

# What apptainer itself started around the program passes on what it gets, so the program would hear all twice: signal
# what is in the innermost namespace of processes alone, but for the first process there.
signal_program() {
    find_sandbox || return
    sent=$1
    set -- "$first"
    while [ $# -gt 0 ]; do
        case $(innermost "$1") in '' | 1) ;; *) kill -s "$sent" "$1" ;; esac
        for thread in "/proc/$1/task"/*/children; do
            children=''
            read -r children <"$thread" # without an end of line
            # shellcheck disable=SC2086  # several
            set -- "$@" $children
        done
        shift
    done
} 2>/dev/null

# Say which number a process has there; nothing if it is not in there. What contains it has one number less.
innermost() { sed -n "s/^NSpid:\([[:space:]][0-9]*\)\{$(($(depth "$first") + 1))\}\$/\1/p" "/proc/$1/status" | tr -d '[:space:]'; }

depth() { sed -n 's/^NSpid://p' "/proc/$1/status" | wc -w; }
