"""A script of another site names that site's queues: what is not known here gives way to the default."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster_interface.inspection.draft import shown

if TYPE_CHECKING:
    from collections.abc import Collection

    from cluster_interface.model.proposal import Proposal

_FIELD = "resources.queue"


def with_known_queue(proposal: Proposal, queues: Collection[str]) -> Proposal:
    """Return the proposal without the queue of its directives where there is none of that name, saying so."""
    wanted = proposal.resources.get("queue")
    if wanted is None or wanted in queues:
        return proposal
    rests_on = next((guess.rests_on for guess in proposal.guesses if guess.field == _FIELD), "a directive")
    warning = f"there is no queue {shown(str(wanted))} here ({rests_on}): the default is taken; say --queue for another"
    return proposal.model_copy(
        update={
            "resources": {name: value for name, value in proposal.resources.items() if name != "queue"},
            "guesses": tuple(guess for guess in proposal.guesses if guess.field != _FIELD),
            "warnings": (*proposal.warnings, warning),
        }
    )
