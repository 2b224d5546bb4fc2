"""Solves and installs conda environments, as a program of its own: `python -m …conda_program` with a request on stdin.

A process, so that its time and memory are bounded, it dies with whoever asked, and its words go to the log. No
package's link script is run. Request: {"do": "solve" | "install", …}; the answer of a solve is a lock file (the
format of rattler and pixi, version 6) on the standard output.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, NoReturn

_NAME = "default"


async def _solve(request: dict[str, Any]) -> None:
    import rattler as r  # noqa: PLC0415 - this program's only purpose, but mypy and the docs read the module too

    platform = r.Platform(request["platform"])
    channels = [r.Channel(url) for url in request["channels"]]
    newest = request["newest"]
    day = dt.datetime.fromisoformat(f"{newest}T00:00:00+00:00") if newest else None
    virtual = [
        r.GenericVirtualPackage(r.PackageName(name), r.Version(version), r.BuildString("0"))
        for name, version in request["virtual"].items()
    ]
    records = await r.solve(
        sources=channels,
        specs=request["packages"],
        platforms=[platform, r.Platform("noarch")],
        virtual_packages=virtual,
        gateway=r.Gateway(cache_dir=Path(request["cache"]) / "repodata"),
        exclude_newer=day,
    )
    where = r.LockPlatform(request["platform"])
    lock = r.LockFile([where])
    lock.set_channels(_NAME, [r.LockChannel(url) for url in request["channels"]])
    for record in records:
        lock.add_conda_package(_NAME, where, record)
    with tempfile.TemporaryDirectory() as home:
        path = Path(home) / "conda.lock"
        lock.to_path(path)
        sys.stdout.write(path.read_text())


async def _install(request: dict[str, Any]) -> None:
    import rattler as r  # noqa: PLC0415 - as above

    with tempfile.TemporaryDirectory() as home:
        path = Path(home) / "conda.lock"
        path.write_text(request["lock"])
        environment = r.LockFile.from_path(path).environment(_NAME)
        assert environment is not None  # noqa: S101 - `_solve` wrote it
        where = next(iter(environment.platforms()))
        records = environment.conda_repodata_records_for_platform(where) or []
    await r.install(
        records,
        target_prefix=request["target"],
        cache_dir=Path(request["cache"]) / "pkgs",
        alternative_target_prefix=request["place"],
        execute_link_scripts=False,
        show_progress=False,
    )


def main() -> None:
    """Do what is asked; the reason of a failure is one line on the standard error."""
    request = json.load(sys.stdin)
    try:
        asyncio.run({"solve": _solve, "install": _install}[request["do"]](request))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is said in words
        sys.stderr.write(f"error: {error}\n")
        _leave(1)
    _leave(0)


def _leave(code: int) -> NoReturn:
    """End without the interpreter's own clearing up, which the library's threads do not survive."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
