"""What runtimes have in common that an ordinary account starts, without a daemon or a privilege."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster_interface.model.plan import Bound, Bounds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cluster_interface.model.job import Account

_ANSWER = 20  # seconds
_SWITCHES = ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "/proc/sys/user/max_user_namespaces")

#: What the namespaces around a runtime take: unshare of util-linux 2.36 or later.
NAMESPACES = (
    "unshare --user --map-root-user --mount --pid --ipc --net --fork --kill-child "
    "unshare --user --map-user=1000 --map-group=1000 -- /bin/true"
)


def bounds(*, cgroups: bool) -> Bounds:
    """Say what is kept of a container in a user namespace; `cgroups`: the scheduler bounds where job.sh runs."""
    kept = Bound.ENFORCED if cgroups else Bound.BEST_EFFORT
    return {
        "memory": kept,
        "cpus": kept,
        "pids": Bound.ENFORCED,
        "disk": Bound.BEST_EFFORT,
        "time": Bound.ENFORCED,
        "network": Bound.ENFORCED,
        "filesystem": Bound.ENFORCED,
    }


def attempt(account: Account | None, argv: Sequence[str]) -> str | None:
    """Run a command as the account that jobs run as; return what it complains of, None if it went well."""
    options: dict[str, Any] = {"cwd": "/", "env": {"PATH": search_path()}}
    if account and os.geteuid() == 0:
        options |= {"user": account.uid, "group": account.gid, "extra_groups": []}
        options["env"] |= {"USER": account.name, "HOME": account.home or "/"}
    else:
        options["env"] |= {"USER": os.environ.get("USER", "nobody"), "HOME": os.environ.get("HOME", "/")}
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_ANSWER, check=False, **options)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{argv[0]} cannot be run: {error}"
    if done.returncode == 0:
        return None
    return (done.stderr.strip() or f"it exits with {done.returncode}")[-300:]


def carry_out(script: str) -> None:
    """Run a script of ours that clears up; what it cannot, the next look will find."""
    subprocess.run(["sh", "-s"], input=script, text=True, timeout=60, check=False, capture_output=True)


def try_namespaces(account: Account | None) -> str | None:
    """Say why the account cannot make the namespaces that a runtime is put into; None if it can."""
    said = attempt(account, NAMESPACES.split())
    return None if said is None else f"no namespaces can be made here: {said}{advice()}"


def search_path() -> str:
    """Say where programs are looked for: also where an account's own search path does not lead."""
    return os.environ.get("PATH", "") + ":/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"


def advice() -> str:
    """Name the switch of the kernel that forbids user namespaces, if one does."""
    for path in _SWITCHES:
        try:
            value = Path(path).read_text().strip()
        except OSError:
            continue
        if (path.endswith("userns") and value == "1") or value == "0":
            return f" ({path} is {value}: an administrator can allow it)"
    return ""
