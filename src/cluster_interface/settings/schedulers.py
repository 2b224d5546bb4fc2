"""How schedulers are reached, what their queues are to be, and what jobs get that do not ask."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from cluster_interface.model.base import Model
from cluster_interface.model.resources import GIB, Memory, Seconds
from cluster_interface.model.sweep import MOST_TASKS


class Local(Model):
    """The scheduler of this one machine. Null: what the machine has."""

    cpus: int | None = Field(default=None, ge=1, description="that jobs may have in all; null: what the machine has")
    memory: Memory | None = Field(default=None, description="that jobs may have in all; null: what the machine has")
    time: Seconds | None = Field(default=None, description="most a job may ask for; null: no limit")
    grace: Seconds = Field(default=3, description="between the polite signal and the last one")


class Slurm(Model):
    """How Slurm is reached."""

    conf: Path | None = Field(default=None, description="slurm.conf; null: SLURM_CONF, or where Slurm looks itself")
    timeout: Seconds = Field(default=20, description="seconds by which each of its programs must have answered")


class GridEngine(Model):
    """How Grid Engine is reached, and what this site calls its resources."""

    root: Path | None = Field(default=None, description="SGE_ROOT; null: the environment's")
    cell: str | None = Field(default=None, description="SGE_CELL; null: the environment's, or default")
    timeout: Seconds = Field(default=20, description="seconds by which each of its programs must have answered")
    parallel_environment: str | None = Field(
        default=None,
        description="for several processors on one node; null: the queue's first with allocation rule $pe_slots",
    )
    memory_resource: str | None = Field(
        default=None,
        description="asked for by memory, or none; null: h_vmem, m_mem_free, mem_free or virtual_free, as is counted",
    )
    gpu_resource: str | None = Field(default=None, description="asked for by gpus; null: there are none")


class Pbs(Model):
    """How PBS is reached (experimental)."""

    server: str | None = Field(default=None, description="null: the default of its own programs")
    timeout: Seconds = Field(default=20, description="seconds by which each of its programs must have answered")


class Defaults(Model):
    """What a job gets that does not ask."""

    cpus: int = Field(default=1, ge=1, description="processor cores")
    memory: Memory = Field(default=2 * GIB, description="bytes, or a text such as 4GiB")
    time: Seconds = Field(default=3600, description="most a task may run")
    disk: Memory = Field(default=20 * GIB, description="most a task may write")
    pids: int = Field(default=512, ge=16, description="processes and threads of a task")


class QueueSettings(Model):
    """What the site says of one queue. Null: what the scheduler says, what the probe found, or `defaults`."""

    runtimes: tuple[str, ...] | None = Field(default=None, description="in order of preference; `none`: no container")
    cpus: int | None = Field(default=None, ge=1, description="a job's default")
    memory: Memory | None = Field(default=None, description="a job's default")
    time: Seconds | None = Field(default=None, description="a job's default")
    driver: str | None = Field(
        default=None,
        pattern=r"^\d+(\.\d+)*$",
        description="of NVIDIA on its nodes with GPUs, such as 535.104.05; null: what the probe saw on one",
    )
    hidden: bool = Field(default=False, description="do not offer it")


class Sweeps(Model):
    """What one job may sweep over."""

    max_tasks: int = Field(default=10_000, ge=1, le=MOST_TASKS, description="most tasks of one job")
