"""What can go wrong, split by what the caller must do.

ClusterError
  Transient     outcome unknown or temporary: look again
  Permanent     it will never succeed: fail the job, show the reason
  Rejected      the caller's mistake: HTTP 4xx, exit status 2 or 3
    NotFound    no such thing, or not yours
    Conflict    not possible in the present state
    Forbidden   the policy refuses it
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster_interface.model.state import FailureCode

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Problem:
    """One thing wrong with what the caller sent: which field, what is wrong and what to do."""

    field: str
    message: str


class ClusterError(Exception):
    """Unexpected error."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or inspect.cleandoc(type(self).__doc__ or ""))


class Transient(ClusterError):
    """The outcome is unknown or the trouble temporary: look again."""

    def __init__(self, message: str = "", *, tries: int | None = None) -> None:
        super().__init__(message)
        self.tries = tries  #: after how many of them it is given up, where that is sooner than others are


class Permanent(ClusterError):
    """This will never succeed."""

    def __init__(self, message: str = "", *, code: FailureCode = FailureCode.INTERNAL) -> None:
        super().__init__(message)
        self.code = code


class Rejected(ClusterError):
    """The request cannot be taken as it is."""

    status = 422

    def __init__(self, message: str = "", problems: Sequence[Problem] = ()) -> None:
        self.problems = tuple(problems)
        super().__init__(message or "; ".join(f"{p.field}: {p.message}" for p in self.problems))

    @classmethod
    def field(cls, field: str, message: str) -> Rejected:
        """Reject one field, with a message that says what to do."""
        return cls(problems=[Problem(field, message)])


class NotFound(Rejected):
    """There is no such thing here, or it is not yours."""

    status = 404


class Conflict(Rejected):
    """This is not possible in the present state."""

    status = 409


class Forbidden(Rejected):
    """The policy of this site does not allow this."""

    status = 403
