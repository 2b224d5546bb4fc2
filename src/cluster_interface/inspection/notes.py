"""What a reader notes of a program: lines of the proposal with what they rest on, and warnings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster_interface.inspection.wording import without_secrets, writable
from cluster_interface.model.proposal import Guess, Sureness

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_WARNINGS = 40


class Notes:
    """Guesses and warnings, each once, in the order in which they came."""

    def __init__(self) -> None:
        self._lines: Callable[[str], str] = str  #: how lines of the script are called
        self._guesses: dict[Guess, None] = {}
        self._warnings: dict[str, None] = {}
        self._warned: set[str] = set()

    def guess(self, field: str, value: str, rests_on: str, sure: Sureness = Sureness.KNOWN) -> None:
        """Note what one line of the proposal rests on."""
        where = without_secrets(writable(self._lines(rests_on)))
        guess = Guess(field=field, value=without_secrets(writable(value)), rests_on=where, sure=sure)
        self._guesses[guess] = None

    def warn(self, sentence: str) -> None:
        """Note something the person should know before the job runs."""
        self._warnings[without_secrets(writable(self._lines(sentence)))] = None

    def say_lines(self, call: Callable[[str], str]) -> None:
        """Have `line 7` in what is said from now on called as people find it: a notebook has cells."""
        self._lines = call

    def warn_once(self, about: str, sentence: str) -> None:
        """Note something that holds for many lines, at the first of them."""
        if about not in self._warned:
            self._warned.add(about)
            self.warn(sentence)

    @property
    def guesses(self) -> tuple[Guess, ...]:
        """The lines so far."""
        return tuple(self._guesses)

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings so far, as many as people read."""
        every = tuple(self._warnings)
        if len(every) <= MOST_WARNINGS:
            return every
        return (*every[:MOST_WARNINGS], f"… and {len(every) - MOST_WARNINGS} more of this sort")
