"""Which runtime to use on this machine, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cluster_interface.ports import Runtime


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What was chosen, and what was found out about each candidate."""

    runtimes: tuple[Runtime, ...]  #: those that work, the default first
    why: str
    refused: dict[str, str]  #: name -> why not


def choose(candidates: Sequence[Runtime], wanted: str | None = None) -> Choice:
    """Probe the candidates in order of preference; `wanted` (the setting `runtime`) goes first, if it works."""
    refused = {runtime.name: why for runtime in candidates if (why := runtime.probe()) is not None}
    working = [runtime for runtime in candidates if runtime.name not in refused]
    working.sort(key=lambda runtime: runtime.name != wanted)
    if not working:
        return Choice(runtimes=(), refused=refused, why=f"no runtime works here: {_all(refused)}")
    first = working[0].name
    if wanted == first:
        why = f"{first}: the setting `runtime` says so"
    elif refused:
        why = f"{first}: it works here; {_all(refused)}"
    else:
        why = f"{first}: it works here and is preferred"
    return Choice(runtimes=tuple(working), refused=refused, why=why)


def _all(refused: dict[str, str]) -> str:
    return "; ".join(f"{name}: {why}" for name, why in refused.items())
