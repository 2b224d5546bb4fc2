"""Inspect every program below directories, nothing more: that none brings the reader down, and what each costs.

Each directory that is named is a project, seen whole as `clif describe` sees it. In it every file that some kind of
script takes is inspected by its name, at most `--most` of them, evenly spaced, and once the project without a name.
A refusal is an answer; anything else that is raised is printed, and this leaves with 1. Times are of the processor.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from cluster_interface.inspection import inspect
from cluster_interface.inspection.kinds import kind_of
from cluster_interface.inspection.project import Project
from cluster_interface.model.errors import Rejected
from cluster_interface.trees.listing import listing

if TYPE_CHECKING:
    from collections.abc import Mapping

SLOW = 5.0  #: seconds from which a file is named


def answer(files: Mapping[str, str | None], script: str | None) -> str:
    """Say in a word how an inspection ended."""
    try:
        inspect(files, script).model_dump_json()
    except Rejected:
        return "refused in words"
    except Exception:  # noqa: BLE001 - this is what is looked for
        return traceback.format_exc()
    return "read"


def main() -> None:
    """Inspect, count, tell."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("projects", nargs="+", type=Path)
    parser.add_argument("--most", type=int, default=40)
    wanted = parser.parse_args()
    ends: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    took: list[tuple[float, str]] = []
    for top in wanted.projects:
        files = listing(top)
        project = Project(files)
        runnable = [(name, kind) for name in sorted(project.files) if (kind := kind_of(project, name))]
        step = max(1, -(-len(runnable) // wanted.most))
        for name, says in [*((name, kind.says) for name, kind in runnable[::step]), (None, "no name given")]:
            began = time.process_time()
            end = answer(files, name)
            took.append((time.process_time() - began, f"{top}: {name}"))
            if "\n" in end:
                print(f"{top}: {name}\n{end}", flush=True)
                end = "crashed"
            ends[end] += 1
            kinds[says] += 1
    report(len(wanted.projects), ends, kinds, sorted(took))
    sys.exit(1 if ends["crashed"] else 0)


def report(projects: int, ends: Counter[str], kinds: Counter[str], took: list[tuple[float, str]]) -> None:
    """Print what was read, how it ended, and the times."""
    print(f"{projects} projects, {len(took)} inspections: {', '.join(f'{count} {end}' for end, count in ends.items())}")
    print("; ".join(f"{count} {says}" for says, count in kinds.most_common()))
    marks = ", ".join(f"{took[int(part * (len(took) - 1))][0]:.3f} s at {part:.0%}" for part in (0.5, 0.9, 0.99, 1))
    print(f"processor time: {marks}")
    for seconds, name in reversed([one for one in took if one[0] >= SLOW]):
        print(f"{seconds:.1f} s  {name}")


if __name__ == "__main__":
    main()
