"""An order as sbatch's arguments, see sbatch(1). Never as text: a newline in a `#SBATCH` line is another directive."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cluster_interface.adapters.schedulers.clients import plain
from cluster_interface.model.errors import Rejected
from cluster_interface.model.resources import MIB

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cluster_interface.ports import Order

_MARK = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_WORD = re.compile(r"[A-Za-z0-9\[(][A-Za-z0-9._@+&|=*()\[\]:,-]{0,255}")


def options(order: Order) -> list[str]:
    """Return sbatch's arguments, the script and its offset last; Rejected if something in them is not plain."""
    return [*_itself(order), *_amounts(order), *_names(order), _path(order.script, "script"), str(int(order.offset))]


def interactive_options(order: Order) -> list[str]:
    """Return srun's arguments for a terminal, the script last."""
    where = [f"--job-name={mark(order.mark)}", f"--chdir={_path(order.script.parent, 'directory')}"]
    asked = [*_amounts(order), *_names(order)]
    return ["--pty", "--export=ALL", "--quiet", *where, *asked, "sh", _path(order.script, "script")]


def _itself(order: Order) -> Iterator[str]:
    """Yield what every order has.

    sbatch looks for `#PBS` and `#BSUB` in the whole script, where users' own words are, unless it is told not to.
    `--export=ALL` passes on the few variables that we give to sbatch: any other value makes Slurm run a login shell of
    the account on the node first (`--get-user-env`), which is slow, and fails for accounts without one.
    """
    yield from ("--parsable", "--no-requeue", "--export=ALL", "--propagate=NONE", "--ignore-pbs", "--open-mode=append")
    yield f"--job-name={mark(order.mark)}"
    yield f"--comment={mark(order.mark)}"
    yield f"--chdir={_path(order.script.parent, 'directory')}"
    log = _path(order.log, "log").replace("%", "%%") if order.log else "/dev/null"
    yield f"--output={log}"
    if order.elements > 1:
        most = f"%{int(order.max_running)}" if order.max_running else ""
        yield f"--array=0-{int(order.elements) - 1}{most}"


def _amounts(order: Order) -> Iterator[str]:
    """Yield what is asked for in numbers; Slurm counts memory in MiB and time in minutes."""
    ask = order.ask
    yield f"--nodes={int(ask.nodes)}"
    yield f"--ntasks-per-node={int(ask.tasks_per_node)}"
    yield f"--cpus-per-task={int(ask.cpus)}"
    yield f"--mem={-(-ask.memory // MIB)}M"
    yield f"--time={-(-order.time // 60)}"
    if ask.gpus:
        kind = f":{_word(ask.gpu_type, 'resources.gpu_type')}" if ask.gpu_type else ""
        yield f"--gres=gpu{kind}:{int(ask.gpus)}"


def _names(order: Order) -> Iterator[str]:
    """Yield what is asked for by name."""
    ask = order.ask
    yield f"--partition={_word(ask.queue, 'resources.queue')}"
    for option in ("account", "qos", "reservation", "constraint"):
        if (value := getattr(ask, option)) is not None:
            yield f"--{option}={_word(value, f'resources.{option}')}"
    if ask.licenses:
        yield "--licenses=" + ",".join(_word(license_, "resources.licenses") for license_ in ask.licenses)
    if ask.exclusive:
        yield "--exclusive"
    if order.node is not None:
        yield f"--nodelist={_word(order.node, 'node')}"


def mark(text: str) -> str:
    """Return a mark; Rejected if it is none."""
    if not _MARK.fullmatch(text):
        raise Rejected.field("mark", f"{text[:40]!r} is not a mark: letters, digits, dot, _ and - only")
    return text


def _word(value: str, what: str) -> str:
    if not _WORD.fullmatch(value):
        raise Rejected.field(what, f"{value[:40]!r} is not a name that Slurm could know")
    return value


def _path(path: Path, what: str) -> str:
    text = plain(path, what)
    if not text.startswith("/") or "\\" in text:
        raise Rejected.field(what, f"{text!r} is not a path that Slurm could be given: absolute, without backslashes")
    return text
