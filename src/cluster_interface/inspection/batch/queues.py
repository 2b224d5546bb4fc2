"""A script of another site names that site's queues: what is not known here gives way to the default."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster_interface.inspection.draft import shown

if TYPE_CHECKING:
    from collections.abc import Collection

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


def with_known_runtime(proposal: Proposal, queues: Collection[Queue], queue: str) -> Proposal:
    """Return the proposal without the host's own software where its queue does not allow that, saying who does.

    `queue` is the one that a job goes to which names none.
    """
    wanted, name = proposal.resources.get("runtime"), proposal.resources.get("queue", queue)
    if wanted is None or any(one.name == name and (not one.runtimes or wanted in one.runtimes) for one in queues):
        return proposal
    others = [one.name for one in queues if wanted in one.runtimes]
    instead = f"queue {others[0]} does: say --queue {others[0]} --runtime {wanted}" if others else "ask who runs it"
    rests_on = next((guess.rests_on for guess in proposal.guesses if guess.field == _RUNTIME), "the script")
    warning = f"queue {name} does not let jobs run on the host's own software ({rests_on}): {instead}"
    return _without(proposal, _RUNTIME, warning)


def _without(proposal: Proposal, field: str, warning: str) -> Proposal:
    return proposal.model_copy(
        update={
            "resources": {name: value for name, value in proposal.resources.items() if f"resources.{name}" != field},
            "guesses": tuple(guess for guess in proposal.guesses if guess.field != field),
            "warnings": (*proposal.warnings, warning),
        }
    )
