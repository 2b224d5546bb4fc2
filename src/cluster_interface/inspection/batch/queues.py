"""A script of another site names that site's queues and sizes: what is not here gives way to what is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster_interface.inspection.wording import shown
from cluster_interface.model.resources import Resources, show_bytes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from cluster_interface.inspection.software import Software
    from cluster_interface.model.proposal import Proposal
    from cluster_interface.model.queue import Queue

_FIELD = "resources.queue"
_RUNTIME = "resources.runtime"


def with_known_queue(proposal: Proposal, queues: Collection[str]) -> Proposal:
    """Return the proposal without the queue of its directives where there is none of that name, saying so."""
    wanted = proposal.resources.get("queue")
    if wanted is None or wanted in queues:
        return proposal
    rests_on = next((guess.rests_on for guess in proposal.guesses if guess.field == _FIELD), "a directive")
    warning = f"there is no queue {shown(str(wanted))} here ({rests_on}): the default is taken; say --queue for another"
    return _without(proposal, _FIELD, warning)


def with_known_runtime(
    proposal: Proposal, queues: Collection[Queue], queue: str, software: Software | None = None
) -> Proposal:
    """Return the proposal without the host's own software where its queue does not allow that, saying who does.

    `queue` is the one that a job goes to which names none. What stays on the host is then none of its modules.
    """
    wanted, name = proposal.resources.get("runtime"), proposal.resources.get("queue", queue)
    if wanted is None or any(one.name == name and (not one.runtimes or wanted in one.runtimes) for one in queues):
        return proposal
    others = [one.name for one in queues if wanted in one.runtimes]
    instead = f"queue {others[0]} does: say --queue {others[0]} --runtime {wanted}" if others else "ask who runs it"
    rests_on = next((guess.rests_on for guess in proposal.guesses if guess.field == _RUNTIME), "the script")
    warning = f"queue {name} does not let jobs run on the host's own software ({rests_on}): {instead}"
    there = tuple(name for name in proposal.environment.modules if software and software.module(name).in_container)
    environment = proposal.environment.model_copy(update={"modules": there})
    return _without(proposal.model_copy(update={"environment": environment}), _RUNTIME, warning)


def with_what_there_is(proposal: Proposal, queues: Collection[Queue], default: str) -> Proposal:
    """Return the proposal with no more than this machine has, saying what was lowered.

    That is for a machine's own queue, to try what will run on a cluster; a queue of a cluster refuses what it does not
    have. `default` is the queue that a job goes to which names none.
    """
    name = proposal.resources.get("queue", default)
    queue = next((one for one in queues if one.name == name), None)
    if queue is None or queue.scheduler != "local" or not proposal.resources:
        return proposal
    resources, guesses, warnings = dict(proposal.resources), [*proposal.guesses], [*proposal.warnings]
    for name, asked, there, words in _too_much(Resources.model_validate(resources), queue):
        resources[name] = there
        field = f"resources.{name}"
        rests_on = next((guess.rests_on for guess in guesses if guess.field == field), "the script")
        guesses = [guess.model_copy(update={"value": words}) if guess.field == field else guess for guess in guesses]
        warnings.append(f"{name}: {asked} asked for ({rests_on}), {words} taken: it is what this machine has")
    if "gpus" in resources and not queue.gpus:
        resources = {name: value for name, value in resources.items() if name not in ("gpus", "gpu_type")}
        guesses = [guess for guess in guesses if guess.field not in ("resources.gpus", "resources.gpu_type")]
    return proposal.model_copy(update={"resources": resources, "guesses": tuple(guesses), "warnings": tuple(warnings)})


def _too_much(asked: Resources, queue: Queue) -> Iterator[tuple[str, str, int, str]]:
    """Yield of what there is too little: its name, what is asked for and what there is, also in words."""
    cpus, tasks = asked.cpus or 1, asked.tasks_per_node or 1
    if cpus > queue.cpus:
        yield "cpus", str(cpus), queue.cpus, str(queue.cpus)
    most = max(1, queue.cpus // cpus)
    if tasks > most:
        yield "tasks_per_node", str(tasks), most, str(most)
    if asked.nodes > queue.nodes:
        yield "nodes", str(asked.nodes), queue.nodes, str(queue.nodes)
    if asked.memory and asked.memory > queue.memory:
        yield "memory", show_bytes(asked.memory), queue.memory, show_bytes(queue.memory)
    if asked.gpus > queue.gpus:
        yield "gpus", str(asked.gpus), queue.gpus, str(queue.gpus or "none")


def _without(proposal: Proposal, field: str, warning: str) -> Proposal:
    return proposal.model_copy(
        update={
            "resources": {name: value for name, value in proposal.resources.items() if f"resources.{name}" != field},
            "guesses": tuple(guess for guess in proposal.guesses if guess.field != field),
            "warnings": (*proposal.warnings, warning),
        }
    )
