"""What Slurm says of a job, in this project's words: states, reasons, errors. All of it is data.

The words are those of squeue(1) ("JOB STATE CODES", "JOB REASON CODES"), sacct(1) and slurm_errno.c of Slurm 20 to 24.
"""

from __future__ import annotations

import re
from typing import Literal

from cluster_interface.model.errors import Rejected, Transient
from cluster_interface.ports import NativeState

Verdict = Literal["time_limit", "out_of_memory", "node_failed", "disk_full", "canceled"]

_P, _R, _E = NativeState.PENDING, NativeState.RUNNING, NativeState.ENDED

STATES: dict[str, NativeState] = {
    "PENDING": _P,
    "CONFIGURING": _P,
    "REQUEUED": _P,
    "REQUEUE_FED": _P,
    "REQUEUE_HOLD": _P,
    "RESV_DEL_HOLD": _P,
    "SPECIAL_EXIT": _P,
    "POWER_UP_NODE": _P,
    "RUNNING": _R,
    "COMPLETING": _R,
    "RESIZING": _R,
    "SIGNALING": _R,
    "STAGE_OUT": _R,
    "STOPPED": _R,
    "SUSPENDED": _R,
    "BOOT_FAIL": _E,
    "CANCELLED": _E,
    "COMPLETED": _E,
    "DEADLINE": _E,
    "FAILED": _E,
    "NODE_FAIL": _E,
    "OUT_OF_MEMORY": _E,
    "PREEMPTED": _E,
    "REVOKED": _E,
    "TIMEOUT": _E,
}

#: Preempted counts as a lost node: it was taken away, and the job is none the worse for it.
VERDICTS: dict[str, Verdict] = {
    "TIMEOUT": "time_limit",
    "DEADLINE": "time_limit",
    "OUT_OF_MEMORY": "out_of_memory",
    "NODE_FAIL": "node_failed",
    "BOOT_FAIL": "node_failed",
    "PREEMPTED": "node_failed",
    "CANCELLED": "canceled",
    "REVOKED": "canceled",
}


def state_of(code: str) -> NativeState:
    """Return what a state means; what we do not know is unknown, never ended. sacct says `CANCELLED by 1001`."""
    return STATES.get(code.partition(" ")[0].rstrip("+"), NativeState.UNKNOWN)


def verdict_of(code: str) -> Verdict | None:
    """Return how it ended, if that is more than an exit status."""
    return VERDICTS.get(code.partition(" ")[0].rstrip("+"))


#: The beginnings of reasons, the longer ones first, and what they mean.
REASONS: dict[str, str] = {
    "AccountingPolicy": "a limit of the account it is charged to is used up",
    "AccountNotAllowed": "the queue does not take the account it is charged to",
    "AssociationJobLimit": "as many jobs of this account run as may at once",
    "AssociationResourceLimit": "the account it is charged to uses all it may at once",
    "AssociationTimeLimit": "the account it is charged to has used up its time",
    "AssocGrpJobsLimit": "as many jobs of the account's group run as may at once",
    "AssocGrpSubmitJobsLimit": "as many jobs of the account's group are queued as may be",
    "AssocGrp": "the group it is charged to uses all it may, and must wait for its own jobs to end",
    "AssocMaxJobsLimit": "as many of your jobs run as may at once",
    "AssocMax": "it asks for more than your account may have",
    "AssocMinPrio": "its priority is below what the account it is charged to needs",
    "BadConstraints": "no node of the queue has the features it asks for",
    "BeginTime": "it is not to start before a certain time",
    "BurstBuffer": "data is brought to the burst buffer for it",
    "Cleaning": "it is being tidied up after an earlier start",
    "Constraints": "no node with the features it asks for is free",
    "DeadLine": "it could not end before its deadline",
    "Dependency": "it waits for another job",
    "FedJobLock": "the clusters of the federation are agreeing on it",
    "FrontEndDown": "no front end of the cluster is up",
    "InactiveLimit": "it has reached the system's limit of inactivity",
    "InvalidAccount": "the account it is charged to is not valid",
    "InvalidQOS": "its quality of service is not valid",
    "JobArrayTaskLimit": "as many of its own tasks run as it may have at once",
    "JobHeldAdmin": "an administrator of the cluster holds it back",
    "JobHeldUser": "it was held back, with `scontrol hold`",
    "JobHoldMaxRequeue": "it is held back: it was started again too often",
    "JobLaunchFailure": "it could not be started on a node",
    "Licenses": "all licences of the kind it needs are in use",
    "MaxMemPerLimit": "it asks for more memory than the queue allows",
    "NodeDown": "a node that it needs is down",
    "NonZeroExitCode": "it ended with an error",
    "OutOfMemory": "it needed more memory than it asked for",
    "PartitionConfig": "it asks for more than any node of the queue has",
    "PartitionDown": "the queue is down",
    "PartitionInactive": "the queue is closed",
    "PartitionNodeLimit": "it asks for more nodes than the queue gives to a job",
    "PartitionTimeLimit": "it asks for more time than the queue allows",
    "Priority": "others of higher priority are before it",
    "Prolog": "the node is being made ready for it",
    "QOSGrp": "the quality of service it asks for is used to the full, by all its users together",
    "QOSJobLimit": "as many jobs with this quality of service run as may at once",
    "QOSMaxJobsPer": "as many of your jobs run as may at once",
    "QOSMaxSubmitJobPer": "as many of your jobs are queued as may be",
    "QOSMax": "you use as much as you may at once, and it must wait for your own jobs to end",
    "QOSMin": "it asks for less than its quality of service wants",
    "QOSNotAllowed": "the queue does not take its quality of service",
    "QOSResourceLimit": "the quality of service it asks for is used to the full",
    "QOSTimeLimit": "its quality of service has used up its time",
    "QOSUsageThreshold": "its quality of service has used up its share",
    "QueuedFor": "it will be sent to another cluster",
    "ReqNodeNotAvail": "a node that it needs is down, drained or reserved (for maintenance, perhaps)",
    "ReservationDeleted": "the reservation it asks for is gone",
    "Reservation": "it waits for its reservation to begin",
    "Resources": "it is next, and waits for enough free processors, memory or nodes",
    "SchedDefer": "the scheduler has not looked at it yet",
    "SystemFailure": "the cluster had a failure of its own",
    "TimeLimit": "it used up its time",
    "None": "the scheduler has not looked at it yet",
}

_LONGEST_FIRST = sorted(REASONS, key=len, reverse=True)


def explain(reason: str) -> str:
    """Say in plain words why a job waits; Slurm's own words where they are new to us."""
    text = reason.strip().strip("()")
    if text in ("", "null"):
        return REASONS["None"]
    known = next((begin for begin in _LONGEST_FIRST if text.startswith(begin)), None)
    return REASONS[known] if known else f"the scheduler says: {text}"


#: What may be different in a moment. Everything else that sbatch says is a refusal.
TEMPORARY = (
    "allocation failure",
    "already in use",
    "authentication",
    "backup controller",
    "cannot allocate memory",
    "communication connection failure",
    "connection refused",
    "connection reset",
    "connection timed out",
    "could not establish a configuration source",
    "database is busy",
    "i/o error",
    "insane message length",
    "job credential",
    "message receive failure",
    "message send failure",
    "munge",
    "network is unreachable",
    "no route to host",
    "not running",
    "rate limit",
    "required partition not available (inactive or drain)",
    "resource temporarily unavailable",
    "sending and resubmitting",
    "slurm controller is not",
    "socket timed out",
    "temporarily unable",
    "timed out",
    "too many open files",
    "transport endpoint is not connected",
    "try again",
    "unable to connect",
    "unable to contact slurm controller",
    "unable to resolve",
    "unexpected message",
    "unspecified error",
    "zero bytes were transmitted",
)

_PREFIX = re.compile(r"^(?:(?:sbatch|squeue|scancel|scontrol|sacct|sacctmgr|sinfo): )?(?:(?:error|fatal|warning): )?")
_FAILED = "Batch job submission failed: "


def cleaned(words: str) -> str:
    """Take Slurm's own decoration off what one of its programs said."""
    lines = [_PREFIX.sub("", line.strip()).removeprefix(_FAILED) for line in words.splitlines()]
    return "\n".join(dict.fromkeys(line for line in lines if line))


def failure(words: str) -> Transient | Rejected:
    """Say what a refused submission means: to be looked at again, or refused in Slurm's own words."""
    text = " ".join(cleaned(words).split()) or "sbatch failed without a word"
    if any(mark in text.lower() for mark in TEMPORARY):
        return Transient(f"Slurm does not answer as it should: {text}")
    if re.search(r"QOSMaxSubmit|AssocMaxSubmit|AssocGrpSubmit|QOSGrpSubmit", text):
        return Transient(f"as many jobs are queued as may be at once ({text})")
    if not words.strip():
        return Transient(text)
    return Rejected(text)
