"""What scripts written for a scheduler find in their environment, whichever scheduler runs them.

A table gives each variable the name of a fact; a variable whose fact is not known of this job is not set, as the
scheduler itself would not set it. Sources: sbatch(1) "OUTPUT ENVIRONMENT VARIABLES", qsub(1) of Grid Engine
"ENVIRONMENTAL VARIABLES", qsub(1B) of PBS and Torque, bsub(1) of LSF "Environment
variables" of job execution.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from cluster_interface.model.resources import MIB

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cluster_interface.ports import Run

NODE_FILE = "/tmp/.pbs_nodefile"  # noqa: S108 - private to the sandbox
ARRAY = "array"  #: the parameter that is a task's number in the array that the script asked for

SLURM = {
    "SLURM_JOB_ID": "slurm_job",
    "SLURM_JOBID": "slurm_job",
    "SLURM_JOB_NAME": "name",
    "SLURM_SUBMIT_DIR": "here",
    "SLURM_SUBMIT_HOST": "node",
    "SLURM_JOB_USER": "user",
    "SLURM_JOB_UID": "uid",
    "SLURM_JOB_PARTITION": "queue",
    "SLURM_JOB_ACCOUNT": "account",
    "SLURM_JOB_QOS": "qos",
    "SLURM_JOB_NODELIST": "slurm_nodes",
    "SLURM_NODELIST": "slurm_nodes",
    "SLURM_JOB_NUM_NODES": "nodes",
    "SLURM_NNODES": "nodes",
    "SLURM_NTASKS": "processes",
    "SLURM_NPROCS": "processes",
    "SLURM_NTASKS_PER_NODE": "processes_per_node",
    "SLURM_TASKS_PER_NODE": "processes_by_node",
    "SLURM_CPUS_PER_TASK": "cpus",
    "SLURM_CPUS_ON_NODE": "cpus_on_node",
    "SLURM_MEM_PER_NODE": "mebibytes",
    "SLURM_ARRAY_JOB_ID": "array_job",
    "SLURM_ARRAY_TASK_ID": "array_index",
    "SLURM_ARRAY_TASK_COUNT": "array_count",
    "SLURM_ARRAY_TASK_MIN": "array_first",
    "SLURM_ARRAY_TASK_MAX": "array_last",
    "SLURM_ARRAY_TASK_STEP": "array_step",
    "SLURM_PROCID": "zero",
    "SLURM_LOCALID": "zero",
    "SLURM_NODEID": "zero",
    "SLURMD_NODENAME": "node",
}

GRIDENGINE = {
    "JOB_ID": "job",
    "JOB_NAME": "name",
    "REQUEST": "name",
    "SGE_TASK_ID": "index_or_undefined",
    "SGE_TASK_FIRST": "first_or_undefined",
    "SGE_TASK_LAST": "last_or_undefined",
    "SGE_TASK_STEPSIZE": "step_or_undefined",
    "NSLOTS": "slots",
    "NHOSTS": "nodes",
    "NQUEUES": "one",
    "QUEUE": "queue",
    "PE": "parallel_environment",
    "SGE_O_WORKDIR": "here",
    "SGE_CWD_PATH": "here",
    "SGE_O_HOST": "node",
    "SGE_O_HOME": "home",
    "SGE_O_LOGNAME": "user",
    "SGE_O_SHELL": "shell",
    "ENVIRONMENT": "batch",
}

PBS = {
    "PBS_JOBID": "job",
    "PBS_JOBNAME": "name",
    "PBS_O_WORKDIR": "here",
    "PBS_O_HOST": "node",
    "PBS_O_HOME": "home",
    "PBS_O_LOGNAME": "user",
    "PBS_O_SHELL": "shell",
    "PBS_O_QUEUE": "queue",
    "PBS_QUEUE": "queue",
    "PBS_ENVIRONMENT": "pbs_batch",
    "PBS_ARRAY_INDEX": "array_index",
    "PBS_ARRAYID": "array_index",
    "PBS_ARRAY_ID": "array_job",
    "PBS_NODEFILE": "node_file",
    "CLIF_NODES": "node_lines",  # what the node file is made of, see script.program
    "NCPUS": "cpus_on_node",
    "PBS_NCPUS": "slots",
    "PBS_NP": "slots",
    "PBS_NUM_NODES": "nodes",
    "PBS_NUM_PPN": "cpus_on_node",
    "PBS_TASKNUM": "one",
    "PBS_NODENUM": "zero",
}

LSF = {
    "LSB_JOBID": "job",
    "LSB_BATCH_JID": "job",
    "LSB_JOBNAME": "name",
    "LSB_JOBINDEX": "index_or_zero",
    "LSB_JOBINDEX_END": "array_last",
    "LSB_JOBINDEX_STEP": "array_step",
    "LSB_QUEUE": "queue",
    "LSB_PROJECT_NAME": "account",
    "LSB_SUB_HOST": "node",
    "LSB_SUB_USER": "user",
    "LSB_DJOB_NUMPROC": "slots",
    "LSB_MAX_NUM_PROCESSORS": "slots",
    "LSB_HOSTS": "host_of_each",
    "LSB_MCPU_HOSTS": "host_and_slots",
    "LS_SUBCWD": "here",
    "LSB_OUTDIR": "here",
}

TABLES = {"slurm": SLURM, "gridengine": GRIDENGINE, "pbs": PBS, "lsf": LSF}


def variables(run: Run) -> dict[str, str]:
    """Return the variables of the run's dialect as words of shell (see script.variables)."""
    if run.dialect is None:
        return {}
    facts = _facts(run)
    return {name: facts[fact] for name, fact in TABLES[run.dialect].items() if fact in facts}


def _facts(run: Run) -> Mapping[str, str]:
    """Return what is known of a run, as words of shell: $native, $node and $nodes are job.sh's."""
    ask = run.ask
    known: dict[str, object] = {
        "zero": 0,
        "one": 1,
        "here": "/job",
        "shell": "/bin/sh",
        "batch": "BATCH",
        "pbs_batch": "PBS_BATCH",
        "node_file": NODE_FILE,
        "name": run.name or run.mark,
        "user": run.account.name,
        "uid": run.account.uid,
        "home": f"/home/{run.account.name}",
        "queue": ask.queue,
        "account": ask.account,
        "qos": ask.qos,
        "nodes": ask.nodes,
        "processes": ask.nodes * ask.tasks_per_node,
        "processes_by_node": f"{ask.tasks_per_node}(x{ask.nodes})" if ask.nodes > 1 else ask.tasks_per_node,
        "processes_per_node": ask.tasks_per_node if ask.tasks_per_node > 1 else None,
        "cpus": ask.cpus,
        "cpus_on_node": ask.cpus * ask.tasks_per_node,
        "slots": ask.cpus * ask.tasks_per_node * ask.nodes,
        "parallel_environment": "smp" if ask.cpus * ask.tasks_per_node * ask.nodes > 1 else None,
        "mebibytes": ask.memory // MIB,
        **dict.fromkeys(("index_or_undefined", "first_or_undefined", "last_or_undefined"), "undefined"),
        "step_or_undefined": "undefined",
        "index_or_zero": 0,
    }
    if ARRAY in run.parameters:
        known["array_count"] = run.tasks
        if run.array:
            known.update(zip(("array_first", "array_last", "array_step"), run.array, strict=True))
            known.update(zip(("first_or_undefined", "last_or_undefined", "step_or_undefined"), run.array, strict=True))
    words = {name: shlex.quote(str(value)) for name, value in known.items() if value is not None}
    words |= {
        "job": '"$native"',
        "slurm_job": '"${SLURM_JOB_ID:-$native}"',
        "node": '"$node"',
        "slurm_nodes": '"${SLURM_JOB_NODELIST:-$node}"',
        "node_lines": '"$nodes"',
        "host_of_each": f'"{" ".join(["$node"] * ask.cpus * ask.tasks_per_node)}"',
        "host_and_slots": f'"$node {ask.cpus * ask.tasks_per_node}"',
    }
    if ARRAY in run.parameters:
        index = f'"$CLIF_PARAM_{ARRAY}"'
        words |= {"array_job": '"$native"', "array_index": index, "index_or_undefined": index, "index_or_zero": index}
    return words
