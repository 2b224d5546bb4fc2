# docker's part of job.sh. Set above: docker host memory cpus pids network init parents
# job_source (the job's directory as docker's --mount wants it, the last quote left open).
# `become` runs the words it is given with the environment, the image and the command. $box is the container's name.
[ -n "$host" ] && export DOCKER_HOST="$host"

bring() { :; } # see docker_bring.sh

prepare() {
    box=$mark-$task
    listen_for_client
    bring
}

# A client that is signalled tells the program; under Grid Engine it does not (see below).
listen_for_client() { [ -n "${SGE_TASK_ID:-}" ] || listen; }

launch() {
    set -- --mount "type=bind,target=/job,$job_source/tasks/$task\""
    [ "$init" = yes ] && set -- "$@" --init --env TINI_KILL_PROCESS_GROUP=1
    start_container "$job_source/attempts/$attempt/claim/$task" \
        --label "cluster-interface.mark=$mark" --cidfile "$claim/container" "$@"
}

# Turn into the client of a new container; passwd and group are in $1 (as $job_source is), the rest are options of its own.
start_container() {
    half=$((memory / 2)) names=$1
    shift
    [ -n "${SGE_TASK_ID:-}" ] && set -- "$@" --sig-proxy=false # Grid Engine's USR2 is not for the program
    [ "$parents" = yes ] && [ -n "${CLIF_CGROUP:-}" ] && set -- "$@" --cgroup-parent "/$CLIF_CGROUP/box"
    if [ "$gpus" -gt 0 ]; then
        given_gpus
        if [ -n "$given" ]; then set -- "$@" --gpus "\"device=$given\""; else set -- "$@" --gpus "$gpus"; fi
    fi
    for line in $(license_lines | tr ' ' ,); do
        case $line in 127.* | ::1,*) ;; *) set -- "$@" --add-host "${line#*,}:${line%%,*}" ;; esac
    done
    become "$docker" run --pull never --name "$box" \
        --user "$uid:$gid" --cap-drop ALL --security-opt no-new-privileges --read-only \
        --memory "$memory" --memory-swap "$memory" --cpus "$cpus" --pids-limit "$pids" --ulimit core=0 \
        --shm-size "$half" --tmpfs "/tmp:rw,exec,nosuid,nodev,mode=1777,size=$half" \
        --tmpfs "/home/$user:rw,exec,nosuid,nodev,mode=0700,uid=$uid,gid=$gid,size=$half" \
        --mount "type=bind,readonly,target=/inputs,$job_source/inputs\"" --workdir /job \
        --mount "type=bind,readonly,target=/etc/passwd,$names/passwd\"" \
        --mount "type=bind,readonly,target=/etc/group,$names/group\"" \
        --log-driver none --network "$network" --entrypoint /bin/sh "$@"
}

attend() {
    [ -n "${CLIF_CGROUP:-}" ] && [ "$parents" = yes ] && return
    watch >/dev/null 2>&1 &
    watcher=$!
}

# Where our cgroup cannot be the container's parent, what the kernel counts is gone with the container: look at it
# each second while it is there, under the names that docker's two cgroup drivers give it.
watch() {
    while sleep 1 && [ -e "/proc/$$" ]; do
        id=$(cat "$claim/container" 2>/dev/null) || continue
        for memory_dir in "/sys/fs/cgroup/system.slice/docker-$id.scope" "/sys/fs/cgroup/docker/$id" \
            "/sys/fs/cgroup/memory/system.slice/docker-$id.scope" "/sys/fs/cgroup/memory/docker/$id"; do
            [ -d "$memory_dir" ] || continue
            measure_cgroup "$memory_dir" "/sys/fs/cgroup/cpuacct${memory_dir#/sys/fs/cgroup/memory}" samples
            [ "$cpu_seconds" = null ] && measure_cgroup "$memory_dir" "$memory_dir" samples
            [ -n "$measured_by" ] && echo "$peak_memory $cpu_seconds" >"$claim/sample.new" &&
                mv "$claim/sample.new" "$claim/sample"
        done
    done
}

signal_program() { "$docker" kill -s "$1" "$box" >/dev/null 2>&1; }

stop_program() { "$docker" kill "$box" >/dev/null 2>&1 || kill -s KILL "$child" 2>/dev/null; }

# The client's exit status may be the program's or its own. Ask only where it matters: asking takes 50 ms.
settle() { settle_container; }

settle_container() {
    [ -n "$watcher" ] && kill "$watcher" 2>/dev/null
    [ "$code" = 0 ] && return
    for pause in 0 1 2 4 8; do
        sleep "$pause"
        if found=$("$docker" inspect -f '{{.State.Status}} {{.State.ExitCode}} {{.State.OOMKilled}}' "$box" 2>&1); then
            settled "$found"
            return
        fi
        case $found in *"No such"*) break ;; esac
    done
    [ -n "$ending" ] && [ "$code" -gt 128 ] && return
    code=null
    reason='docker does not know this container any more or does not answer: how the program ended is not known'
}

# Take what docker says of the container: its state, exit status and whether memory ran out.
settled() {
    status=${1%% *}
    oom=${1##* }
    case $status in
        running | paused | restarting) # the client lost its connection, the program runs on
            code=$("$docker" wait "$box" 2>/dev/null) || code=null
            reason='the connection to docker was lost while the program ran: its log may be cut'
            oom=$("$docker" inspect -f '{{.State.OOMKilled}}' "$box" 2>/dev/null) || oom=false
            [ "$code" = 0 ] && reason=''
            ;;
        created)
            code=null oom=false
            reason='docker could not start the container: the error log of the task says why'
            [ -n "$ending" ] && reason='it was ended before it began'
            ;;
        *) code=${1#* } code=${code%% *} ;;
    esac
}

measure() {
    if [ -n "${CLIF_CGROUP:-}" ] && [ "$parents" = yes ]; then
        measure_task box
    elif [ -s "$claim/sample" ]; then
        read -r peak_memory cpu_seconds <"$claim/sample"
        measured_by=samples
    fi
}

# Removing takes docker a while, and nobody needs to wait for it but the one who wants all gone.
tidy() {
    if [ -n "${CLIF_NATIVE_ID:-}" ] && [ -z "$ending" ]; then
        "$docker" rm -f "$box" >/dev/null 2>&1 &
    else
        "$docker" rm -f "$box" >/dev/null 2>&1
    fi
}

# A shell has a label of its own: it may stay when the attempt's containers are removed.
open_shell() {
    start_container "\"source=$claim" --label "cluster-interface.shell=$mark" --rm --interactive --tty \
        --mount "type=bind,target=/job,$2\""
}

close_shell() { "$docker" rm -f "$box" >/dev/null 2>&1; }
