# The frame of job.sh, called as `sh job.sh OFFSET`: which tasks are ours, signals, one task after the other.
# What is read: attempts/<k>/elements, if it is there: line e+1 has the numbers of element e's tasks, with spaces
# between them (without it, element e is task e); attempts/<k>/parameters: line n+1 is task n's, words of shell.

# --- the element, by what schedulers call it
number_or() { case $1 in '' | *[!0-9]*) echo "$2" ;; *) echo "$1" ;; esac; }

if [ -n "${CLIF_ELEMENT:-}" ]; then
    element=$CLIF_ELEMENT
elif [ -n "${SLURM_JOB_ID:-}" ]; then
    element=$(number_or "${SLURM_ARRAY_TASK_ID:-}" 0)
elif [ -n "${PBS_JOBID:-}" ]; then
    element=$(number_or "${PBS_ARRAY_INDEX:-${PBS_ARRAYID:-}}" 0)
else
    element=$(($(number_or "${SGE_TASK_ID:-}" 1) - 1))
fi
element=$((${1:-0} + element))

if [ -e "$attempt_dir/elements" ]; then
    line_of "$attempt_dir/elements" "$element"
    tasks=$line
else
    tasks=$element
fi
if [ -z "$tasks" ]; then
    echo "job.sh: $mark: no tasks are listed for element $element" >&2
    exit 1
fi

# --- signals: the program itself gets them; after TERM or INT it has a grace to end, and no other task is begun
interrupted='' reaper='' ending='' child=''

forward() {
    interrupted=yes
    # Once: Grid Engine says it twice, and of that would die a program that is ending, and what waits for its grace.
    [ "$1" = USR1 ] || { ending=yes && trap '' TERM INT USR2; }
    [ -n "$child" ] || return
    has_heard "$1" || signal_program "$1"
    if [ "$1" != USR1 ] && [ -z "$reaper" ]; then
        after_grace &
        reaper=$!
    fi
}

trap 'forward TERM' TERM USR2 # Grid Engine says USR2 before it kills
trap 'forward INT' INT
trap 'forward USR1' USR1
trap '' HUP

# --- one after the other
trouble='' code=0
open_element
for task in $tasks; do
    [ -z "$ending" ] || break # its claim is not made: it can be tried again
    run_task
done
close_element

[ -z "$trouble" ] || exit "$trouble"
[ "$packed" = yes ] || exit "$code"
exit 0 # each task has a status of its own
