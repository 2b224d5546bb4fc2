"""An attempt of a job, described for the runtime that is to run it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cluster_interface.model.filetree import is_local, mounted_at
from cluster_interface.model.placeholders import place
from cluster_interface.ports import Mount, Run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cluster_interface.model.job import Account, Attempt, Job
    from cluster_interface.model.plan import Plan
    from cluster_interface.model.sweep import Values
    from cluster_interface.ports import ImageRef


def describe_run(  # noqa: PLR0917 - what a run is made of
    job: Job, plan: Plan, attempt: Attempt, rows: Sequence[Values], image: ImageRef | None, account: Account, home: Path
) -> Run:
    """Describe an attempt. `rows` are the parameters of all tasks, `home` is the job's directory."""
    spec, names = job.spec, tuple(rows[0])
    return Run(
        mark=attempt.mark,
        job_dir=home,
        attempt=attempt.number,
        image=image,
        command=place(plan.command, names) if names else plan.command,
        account=account,
        ask=attempt.ask or plan.ask,
        network=spec.network,
        variables={**(image.variables if image else {}), **spec.environment.variables},
        parameters=names,
        name=job.name,
        dialect=spec.dialect,
        array=_array(rows),
        modules=spec.environment.modules,
        tasks=len(rows),
        packed=attempt.pack > 1,
        signal_before=spec.checkpoint.signal_before,
        mounts=_mounts(plan),
        host=plan.host,
    )


def _mounts(plan: Plan) -> tuple[Mount, ...]:
    """Return what stays where it is: once each, at its own path and, where a link leads there, at the link's too."""
    found: dict[Path, Mount] = {}
    for source in plan.sources:
        if source.mount is None:
            continue
        real, writable = Path(source.mount), plan.spec.files[source.path].writable
        named = Path(mounted_at(source.source)) if is_local(source.source) else real
        for target in (named, real):
            before = found.get(target)
            writable = writable or bool(before and before.writable)
            found[target] = Mount(source=real, target=target, writable=writable, listing=source.listing)
    for tree in (Path(tree) for software in plan.host for tree in software.trees):
        found.setdefault(tree, Mount(source=tree, target=tree, lent=True))
    written = [mount.source for mount in found.values() if mount.writable]
    for target, mount in found.items():
        if any(place.is_relative_to(mount.source) for place in written):  # the job itself may change what is in it
            found[target] = replace(mount, listing=None)
    return tuple(sorted(found.values(), key=lambda mount: mount.target))


def _array(rows: Sequence[Values]) -> tuple[int, int, int] | None:
    """Find lowest, highest and step of the array that a batch script asked for."""
    try:
        indices = sorted({int(row["array"]) for row in rows})
    except (KeyError, ValueError):
        return None
    return indices[0], indices[-1], indices[1] - indices[0] if len(indices) > 1 else 1
