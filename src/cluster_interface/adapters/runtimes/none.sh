# The part of job.sh where there is no container: the host's software, in the task's directory, as the account is after
# login. Set above: home modules interactive. The program is in a session of its own; what leaves that is known by the
# mark in its environment.

prepare() { count_before; }

launch() {
    enter_host "$job_dir/tasks/$task"
}

enter_host() {
    cd "$1" || return
    [ -d "$home" ] || home=$PWD
    clear_variables
    [ "$interactive" = yes ] || set -- setsid
    env --default-signal=INT true 2>/dev/null && set -- env --default-signal=INT,QUIT "$@"
    become "$@" 3>"$claim/began"
}

# A clean environment, but for what the scheduler says of this allocation: its own launchers want that.
clear_variables() {
    for name in $(env | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/\1/p'); do
        case $name in
            PATH | TERM | SLURM* | SGE_* | PE_* | PBS_* | JOB_* | NSLOTS | NHOSTS | NQUEUES | CUDA_VISIBLE_DEVICES) ;;
            ROCR_VISIBLE_DEVICES | GPU_DEVICE_ORDINAL | PMI_* | PMIX_* | KRB5CCNAME | TMPDIR) ;;
            *) unset -v "$name" ;;
        esac
    done
}

signal_program() { kill -s "$1" -- "-$child" 2>/dev/null; }

stop_program() {
    kill -s KILL -- "-$child" 2>/dev/null
    sweep "CLIF_TASK=$task"
}

settle() {
    sweep "CLIF_TASK=$task"
    settle_entered "the program could not be started: the error log of the task says why"
    count_oom
}

measure() { measure_own; }

tidy() { :; }

# End what has our mark and $1 in its environment, wherever it went; what is started meanwhile too.
sweep() {
    for round in 1 2 3 4 5 6 7 8 9 10; do
        found=$(grep -lzFx -e "CLIF_MARK=$mark" /proc/[0-9]*/environ | xargs -r grep -lzFx -e "$1" | grep -v "/$$/") || return 0
        for file in $found; do
            pid=${file#/proc/}
            kill -s KILL "${pid%/environ}"
        done
        [ "$round" = 1 ] || sleep 0.1
    done
} 2>/dev/null

open_shell() { enter_host "$place"; }

close_shell() { :; }
