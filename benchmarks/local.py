"""What the local scheduler costs where it has many orders, beside what the kernel must do for them: ratios of one run.

Ten thousand orders lie in a spool and nothing changes. Measured are a look at all of them beside a bare loop of stat
over the same files, and the submission of an array of ten thousand elements beside that of one task.
"""

from __future__ import annotations

import argparse
import json
import os
import pwd
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from cluster_interface.adapters.schedulers.local import LocalScheduler
from cluster_interface.adapters.schedulers.spool import Spool
from cluster_interface.model.job import Account
from cluster_interface.model.plan import Ask
from cluster_interface.ports import Handle, Order
from cluster_interface.settings import Defaults, Local

if TYPE_CHECKING:
    from collections.abc import Callable

ASK = Ask(cpus=1, memory=2**27, time=60, queue="local", runtime="bubblewrap", disk=2**30)
ROUNDS = 9


def least(act: Callable[[], object]) -> float:
    """Return the least seconds of several rounds: whatever else runs can only add."""
    took = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        act()
        took.append(time.perf_counter() - begin)
    return min(took)


def measure(top: Path, count: int) -> dict[str, float]:
    """Fill a spool and look at it."""
    entry = pwd.getpwuid(os.geteuid())
    account = Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid, home=entry.pw_dir)
    scheduler, spool = LocalScheduler(top, Local(), Defaults()), Spool(top)
    spool.make()

    def submit(mark: str, elements: int = 1) -> None:
        scheduler.submit(Order(script=top / "x", mark=mark, account=account, ask=ASK, time=60, elements=elements))

    submit("ci-many-1")
    (first,) = spool.jobs.iterdir()
    for number in range(2, count + 1):
        copy = spool.jobs / f"{number}.ci-many-{number}"
        copy.mkdir()
        (copy / "order").write_text((first / "order").read_text())
        (copy / "events").touch()
    handles = [Handle(mark=f"ci-many-{number}", account=account.name) for number in range(1, count + 1)]
    files = [str(directory / "events") for directory in spool.jobs.iterdir()]
    scheduler.observe(handles)
    look = least(lambda: scheduler.observe(handles))
    bare = least(lambda: [os.stat(file) for file in files])  # noqa: PTH116 - with nothing around it
    names = iter(range(10**6))
    one = least(lambda: submit(f"ci-one-{next(names)}"))
    array = least(lambda: submit(f"ci-array-{next(names)}", count))
    return {
        "look at all orders, ms": 1000 * look,
        "stat of as many files, ms": 1000 * bare,
        "look / stat": look / bare,
        "submit an array / one task": array / one,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    top = Path(tempfile.mkdtemp(prefix="clif-bench-"))
    try:
        numbers = measure(top, arguments.orders)
    finally:
        shutil.rmtree(top, ignore_errors=True)
    if arguments.json:
        print(json.dumps(numbers))
        return
    for name, value in numbers.items():
        print(f"{name:44} {value:9.2f}")


if __name__ == "__main__":
    main()
