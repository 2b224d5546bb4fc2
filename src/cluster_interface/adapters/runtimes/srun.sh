#!/bin/sh
# What `srun` is inside a container: it starts the processes of a step on the one node that the container is on, with the
# variables, options and exit status of srun(1). Not there: several nodes, --multi-prog, binding to processors. Standard
# input goes to the first process alone. Where the image has an mpirun, that starts them, so that they are one program
# of MPI. Scripts find it as `srun`, see script.program.
set -u

refuse() {
    echo "srun: $1" >&2
    exit 1
}

# named PATTERN NUMBER: the file that a pattern such as out-%j-%t.txt means for one process
named() {
    printf '%s' "$1" | sed -e "s/%[0-9]*t/$2/g; s/%[0-9]*[nNs]/0/g; s/%[0-9]*[jJA]/${SLURM_JOB_ID:-0}/g" \
        -e "s/%[0-9]*a/${SLURM_ARRAY_TASK_ID:-0}/g; s/%u/${USER:-}/g; s/%%/%/g"
}

# one NUMBER PROGRAM...: becomes one of the processes
one() {
    number=$1
    export SLURM_PROCID="$1" SLURM_LOCALID="$1" SLURM_NODEID=0
    shift
    case $SRUN_INPUT in '' | all) ;; none) exec </dev/null ;; *[!0-9]*) exec <"$(named "$SRUN_INPUT" "$number")" ;; esac
    case $SRUN_OUTPUT in '' | all) ;; none) exec >/dev/null ;; *) exec >>"$(named "$SRUN_OUTPUT" "$number")" ;; esac
    case $SRUN_ERROR in '' | all) ;; none) exec 2>/dev/null ;; *) exec 2>>"$(named "$SRUN_ERROR" "$number")" ;; esac
    if [ "$SRUN_LABEL" = yes ]; then
        labeled "$@"
        exit
    fi
    unset -v SRUN_INPUT SRUN_OUTPUT SRUN_ERROR SRUN_LABEL
    exec "$@"
}

labeled() {
    pipes=$(mktemp -d) || return
    mkfifo "$pipes/out" "$pipes/err"
    sed -u "s/^/$number: /" <"$pipes/out" &
    sed -u "s/^/$number: /" <"$pipes/err" >&2 &
    (exec "$@") >"$pipes/out" 2>"$pipes/err"
    status=$?
    wait
    rm -r "$pipes"
    return "$status"
}

# alone PROGRAM...: one process after the other is started, and the highest status of all is ours
alone() {
    exec 3<&0
    number=0 processes=''
    # shellcheck disable=SC2086  # several words
    trap 'kill -TERM $processes' TERM INT
    # shellcheck disable=SC2086
    trap 'kill -USR1 $processes' USR1
    while [ "$number" -lt "$tasks" ]; do
        if [ "$number" -eq 0 ]; then (one 0 "$@") <&3 3<&- & else (one "$number" "$@") </dev/null 3<&- & fi
        processes="$processes $!" number=$((number + 1))
    done
    highest=0 number=0
    for process in $processes; do
        wait "$process"
        status=$?
        again=$status
        while [ "$again" -gt 128 ]; do # it may be the waiting that a signal ended: then there is another answer
            status=$again
            wait "$process" 2>/dev/null
            again=$?
        done
        [ "$again" -eq 127 ] || status=$again
        [ "$status" -eq 0 ] || echo "srun: error: task $number: exited with exit code $status" >&2
        [ "$status" -le "$highest" ] || highest=$status
        number=$((number + 1))
    done
    exit "$highest"
}

if [ "${1-}" = --one ]; then # by mpirun, below
    shift
    one "${OMPI_COMM_WORLD_RANK:-${PMI_RANK:-${PMIX_RANK:-0}}}" "$@"
fi

tasks=${SLURM_NTASKS:-1} nodes=${SLURM_JOB_NUM_NODES:-1} counted=no
SRUN_INPUT='' SRUN_OUTPUT='' SRUN_ERROR='' SRUN_LABEL=no exported=ALL

# value OPTION [WORD]: the value of an option that is written --option=value, -ovalue, or with a word after it
value() {
    used=1
    case $1 in
        --*=*) value=${1#*=} ;;
        --* | -?)
            [ $# -gt 1 ] || refuse "$1 needs a value"
            value=$2 used=2
            ;;
        *) value=${1#-?} ;;
    esac
}

while [ $# -gt 0 ]; do
    used=1
    case $1 in
        --)
            shift
            break
            ;;
        -n* | --ntasks | --ntasks=*) value "$@" && tasks=$value counted=yes ;;
        -N* | --nodes | --nodes=*) value "$@" && nodes=${value%%-*} ;;
        --ntasks-per-node | --ntasks-per-node=*) value "$@" && [ "$counted" = yes ] || tasks=$value ;;
        -c* | --cpus-per-task | --cpus-per-task=*) value "$@" && export SLURM_CPUS_PER_TASK="$value" ;;
        -i* | --input | --input=*) value "$@" && SRUN_INPUT=$value ;;
        -o* | --output | --output=*) value "$@" && SRUN_OUTPUT=$value ;;
        -e* | --error | --error=*) value "$@" && SRUN_ERROR=$value ;;
        -D* | --chdir | --chdir=*) value "$@" && { cd "$value" || exit 1; } ;;
        -l | --label) SRUN_LABEL=yes ;;
        --export | --export=*) value "$@" && exported=$value ;;
        --multi-prog*) refuse "--multi-prog is not there inside a container: start each program by an srun of its own" ;;
        # what takes a value and means nothing here
        -[ABCFGJLMPSTWdmpqrtwx] | --account | --acctg-freq | --begin | --cluster-constraint | --clusters | --comment | \
            --constraint | --container | --core-spec | --cores-per-socket | --cpu-bind | --cpu_bind | --cpu-freq | \
            --cpus-per-gpu | --deadline | --delay-boot | --dependency | --distribution | --epilog | --exclude | \
            --extra-node-info | --gid | --gpu-bind | --gpu-freq | --gpus | --gpus-per-node | \
            --gpus-per-socket | --gpus-per-task | --gres | --gres-flags | --hint | --jobid | --job-name | --licenses | \
            --mail-type | --mail-user | --mem | --mem-bind | --mem_bind | --mem-per-cpu | --mem-per-gpu | --mincpus | \
            --mpi | --msg-timeout | --network | --nodefile | --nodelist | --ntasks-per-core | --ntasks-per-gpu | \
            --ntasks-per-socket | --open-mode | --partition | --power | --priority | --profile | --prolog | \
            --propagate | --qos | --relative | --reservation | --signal | --slurmd-debug | --sockets-per-node | \
            --switches | --task-epilog | --task-prolog | --thread-spec | --threads | --threads-per-core | --time | \
            --time-min | --tmp | --uid | --wait | --wckey) value "$@" ;;
        -*) ;;
        *) break ;;
    esac
    shift "$used"
done
[ $# -gt 0 ] || refuse "no program is named"
case $tasks:$nodes in :* | *: | *[!0-9:]*) refuse "'$tasks' processes on '$nodes' nodes: these are no numbers" ;; esac
[ "$tasks" -gt 0 ] || refuse "no process is asked for"
[ "$nodes" -le 1 ] || refuse "a container is on one node, so nothing is started on $nodes of them: ask for one node"

# What is exported by name is there already; what has a value is the program's alone, whatever we call our own variables.
case ,$exported, in
    ,[Aa][Ll][Ll],) ;;
    *[\"\']*) refuse "--export=$exported: quotes are not read inside a container: export the variable before" ;;
    *,[Aa][Ll][Ll],*)
        while [ -n "$exported" ]; do # from the end: of two values the last counts
            part=${exported##*,}
            case $part in =*) name='=' ;; *) name=${part%%=*} ;; esac
            case $name in [0-9]* | *[!A-Za-z0-9_]*) refuse "--export: '$part' begins with no variable's name" ;; esac
            case $part in *=*) set -- "$part" "$@" ;; esac
            case $exported in *,*) exported=${exported%,*} ;; *) exported='' ;; esac
        done
        set -- env "$@"
        ;;
    *) refuse "--export=$exported: inside a container a step has all variables of its job: write --export=ALL,NAME=value" ;;
esac

export SLURM_NTASKS="$tasks" SLURM_NPROCS="$tasks" SLURM_TASKS_PER_NODE="$tasks" SLURM_STEP_NUM_TASKS="$tasks"
export SLURM_STEP_ID=0 SLURM_STEP_NUM_NODES=1 SLURM_STEP_TASKS_PER_NODE="$tasks"
export SLURM_STEP_NODELIST="${SLURM_JOB_NODELIST:-localhost}" SRUN_INPUT SRUN_OUTPUT SRUN_ERROR SRUN_LABEL

for file in "$SRUN_OUTPUT" "$SRUN_ERROR"; do # emptied before any process begins: several may write one
    case $file in
        '' | all | none) ;;
        *) number=0 && while [ "$number" -lt "$tasks" ]; do : >"$(named "$file" "$number")" && number=$((number + 1)); done ;;
    esac
done
[ "$tasks" -gt 1 ] || one 0 "$@"
if command -v mpirun >/dev/null; then
    # more processes than processors are no mistake; reading each other's memory is not allowed everywhere
    export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_btl_vader_single_copy_mechanism=none
    exec mpirun -n "$tasks" "$0" --one "$@"
fi
alone "$@"
