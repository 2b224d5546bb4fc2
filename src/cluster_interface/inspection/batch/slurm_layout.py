"""From what `#SBATCH` lines say to resources: nodes, processes on each, cores of each (sbatch(1)).

A job spec counts memory and GPUs by the node and cores by the process, so what Slurm counts otherwise is converted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster_interface.inspection.batch import reasons
from cluster_interface.inspection.batch.request import shared_out
from cluster_interface.model.wishes import Checkpoint

if TYPE_CHECKING:
    from cluster_interface.inspection.batch.request import Request

_GPU_FACTS = ("gres", "gpus_per_node", "gpus_total", "gpus_per_task")


def settle(request: Request) -> None:
    """Ask for what was said; Rejected where it cannot all be true."""
    _layout(request)
    _settle_gpus(request)
    _settle_memory(request)
    request.ask_as_said("time", "queue", "account", "qos", "reservation", "constraint", "exclusive", "licenses")
    request.ask_array()
    _settle_checkpoint(request)


def _layout(request: Request) -> None:
    """Ask for nodes, processes per node and cores per process."""
    nodes, tasks, per_node = (request.value(fact) for fact in ("nodes", "ntasks", "ntasks_per_node"))
    if nodes and tasks and per_node and tasks > nodes * per_node:
        why = f"{tasks} tasks do not fit on {nodes} nodes with {per_node} on each; change one of the three"
        request.contradict("resources.tasks_per_node", why, "nodes", "ntasks", "ntasks_per_node")
    if tasks and not nodes and not per_node and tasks > 1:
        words_ = f"--ntasks={tasks} without --nodes: all of them are asked for on one node; say --nodes for more"
        request.warnings.append(words_)
    if nodes and tasks and tasks < nodes:
        request.warnings.append(f"{tasks} tasks need no more than {tasks} nodes: so many are asked for")
        nodes = tasks
    if tasks and per_node and not nodes:
        nodes = shared_out(tasks, per_node)
    if nodes:
        request.ask("nodes", nodes, "nodes", "ntasks", "ntasks_per_node")
    if tasks or per_node:
        on_each = shared_out(tasks, nodes or 1) if tasks else per_node
        request.ask("tasks_per_node", on_each, "ntasks", "ntasks_per_node", "nodes")
    if "cpus_per_task" in request.facts:
        request.ask("cpus", request.value("cpus_per_task"), "cpus_per_task")
    elif (tasks or per_node) and not {"exclusive", "cpus_per_gpu"} & request.facts.keys():
        request.ask("cpus", 1, "ntasks", "ntasks_per_node")  # a task has one unless it says otherwise


def _settle_gpus(request: Request) -> None:
    nodes, processes = request.resources.get("nodes", 1), request.resources.get("tasks_per_node", 1)
    said = {fact: request.value(fact) for fact in _GPU_FACTS if fact in request.facts}
    numbers = {_gpus_per_node(fact, number, nodes, processes) for fact, (_, number) in said.items()}
    kinds = {kind for kind, _ in said.values() if kind}
    if len(numbers) > 1 or len(kinds) > 1:
        why = "these ask for different GPUs; keep one of them"
        request.contradict("resources.gpus", why, *said)
    if numbers:
        request.ask("gpus", numbers.pop(), *said)
    if kinds:
        request.ask("gpu_type", kinds.pop(), *said)
    if "cpus_per_gpu" in request.facts and "cpus_per_task" not in request.facts and said:
        cores = request.value("cpus_per_gpu") * request.resources["gpus"]
        request.ask("cpus", shared_out(cores, processes), "cpus_per_gpu", *said)


def _gpus_per_node(fact: str, number: int, nodes: int, processes: int) -> int:
    if fact == "gpus_total":
        return shared_out(number, nodes)
    return number * processes if fact == "gpus_per_task" else number


def _settle_memory(request: Request) -> None:
    said = [fact for fact in ("memory", "mem_per_cpu", "mem_per_gpu") if fact in request.facts]
    if len(said) > 1:
        why = "--mem, --mem-per-cpu and --mem-per-gpu exclude one another; keep one"
        request.contradict("resources.memory", why, *said)
    if "memory" in said:
        request.ask("memory", request.value("memory"), "memory")
    elif "mem_per_cpu" in said:
        cores = request.resources.get("cpus", 1) * request.resources.get("tasks_per_node", 1)
        times = ("mem_per_cpu", "cpus_per_task", "ntasks", "ntasks_per_node")
        request.ask("memory", request.value("mem_per_cpu") * cores, *times)
    elif "mem_per_gpu" in said:
        gpus = request.resources.get("gpus", 1)
        request.ask("memory", request.value("mem_per_gpu") * gpus, "mem_per_gpu", "gres", "gpus_total", "gpus_per_node")


def _settle_checkpoint(request: Request) -> None:
    """A script that is told before its end and lets itself be started again goes on from what it saved."""
    again = request.options("requeue")
    if "signal" in request.facts:
        request.checkpoint = Checkpoint(signal_before=request.value("signal"), resume=bool(again))
        request.rests_on["checkpoint"] = "; ".join(option.where for option in request.options("signal", "requeue"))
    elif again:
        request.leave(again[0], reasons.AGAIN)
