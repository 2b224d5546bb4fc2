"""How far things are: bars on a terminal, one plain line a stage in a pipe."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Self

from cluster_interface.cli.talk import say
from cluster_interface.cli.terminal import plain

if TYPE_CHECKING:
    from types import TracebackType

    from rich.progress import Progress, TaskID


class Bars:
    """Bars by name while the context lasts; gone afterwards. Nothing is drawn, or imported, before the first."""

    def __init__(self) -> None:
        self._drawn: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._said: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()

    def clear(self) -> None:
        """Take the bars away, before lines are printed; the next update brings them back."""
        if self._drawn is not None:
            self._drawn.stop()
        self._drawn, self._tasks = None, {}

    def file(self, name: str, done: int, total: int) -> None:
        """Note how far the transfer of a file is."""
        if total > 2**20:  # smaller ones are over before they can be read
            self.update(name, done, total, "bytes")

    def stage(self, progress: dict[str, Any]) -> None:
        """Note how far a stage of the server's long work is, as a ProgressView."""
        title = " ".join(filter(None, (progress["stage"], progress["note"])))
        self.update(progress["stage"], progress["done"], progress["total"], progress["unit"], title)

    def update(self, name: str, done: int, total: int | None, unit: str, title: str = "") -> None:
        """Note how far something is; `total` None: nobody knows."""
        if not sys.stderr.isatty():
            if name not in self._said:
                self._said.add(name)
                say(f"           {plain(title or name)}", dim=True)
            return
        drawn = self._drawn or self._draw()
        if name not in self._tasks:
            self._tasks[name] = drawn.add_task("", total=total, amounts="")
        amounts = "" if total is None or unit == "bytes" else f"{done}/{total} {plain(unit)}"
        drawn.update(
            self._tasks[name], completed=done, total=total, description=plain(title or name)[:60], amounts=amounts
        )

    def _draw(self) -> Progress:
        from rich.console import Console  # noqa: PLC0415 - 100 ms, only where something is to be seen
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415 - as above

        self._drawn = Progress(
            TextColumn("  {task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[amounts]}", markup=False),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._drawn.start()
        return self._drawn
