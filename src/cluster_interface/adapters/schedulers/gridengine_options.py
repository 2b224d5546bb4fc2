"""An order as qsub's arguments, see qsub(1), and what qsub's words mean."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cluster_interface.adapters.schedulers.clients import plain, shortened
from cluster_interface.model.errors import Rejected, Transient

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cluster_interface.ports import Order

_MARK = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,127}")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+|&=*()!-]{0,255}")


def options(
    order: Order,
    *,
    parallel: tuple[str, int] | None = None,
    memory: str | None = None,
    gpu: str | None = None,
    exclusive: str | None = None,
) -> list[str]:
    """Return qsub's arguments, the script and its offset last; Rejected if something in them is not plain.

    `parallel` is a parallel environment and how many slots of it; `memory` such as `h_vmem=512M`; `gpu` and `exclusive`
    the names of the resources that stand for GPUs and for having hosts alone. `-C ""` keeps qsub from looking for
    directives in the script, where users' own words are; `-notify` has USR2 sent before KILL, which would otherwise
    come at once.
    """
    argv = ["-terse", "-C", "", "-N", mark(order.mark), "-ac", f"clif={mark(order.mark)}", "-r", "n", "-notify"]
    # What can never run is refused; but hosts are taken for useless that are not empty when they are wanted alone.
    argv += [
        "-w",
        "n" if order.ask.exclusive else "e",
        "-S",
        "/bin/sh",
        "-j",
        "y",
        "-o",
        _path(order.log, "log") if order.log else "/dev/null",
    ]
    argv += ["-wd", _path(order.script.parent, "directory"), "-l", f"h_rt={int(order.time)}"]
    if order.elements > 1:
        argv += ["-t", f"1-{int(order.elements)}"]
        argv += ["-tc", str(int(order.max_running))] if order.max_running else []
    if parallel:
        argv += ["-pe", _word(parallel[0], "parallel environment"), str(parallel[1])]
    argv += ["-l", memory] if memory else []
    return [*argv, *_names(order, gpu, exclusive), _path(order.script, "script"), str(int(order.offset))]


def _names(order: Order, gpu: str | None, exclusive: str | None) -> Iterator[str]:
    ask = order.ask
    queue = _word(ask.queue, "resources.queue")
    yield from ("-q", f"{queue}@{_word(order.node, 'node')}" if order.node else queue)
    if ask.gpus:
        if gpu is None:
            raise Rejected.field("resources.gpus", "no resource is set for GPUs (gridengine.gpu_resource)")
        yield from ("-l", f"{_word(gpu, 'gpu')}={int(ask.gpus)}")
    if ask.account:
        yield from ("-P", _word(ask.account, "resources.account"))
    if ask.reservation:
        yield from ("-ar", _word(ask.reservation, "resources.reservation"))
    if ask.constraint:
        yield from ("-l", _word(ask.constraint, "resources.constraint"))
    for license_ in ask.licenses:
        name, _, count = license_.partition(":")
        yield from ("-l", f"{_word(name, 'resources.licenses')}={int(count or 1)}")
    if ask.exclusive:
        if exclusive is None:
            raise Rejected.field(
                "resources.exclusive", "no resource of this site has the relation EXCL, see complex(5)"
            )
        yield from ("-l", f"{_word(exclusive, 'exclusive')}=true")
    if ask.qos:
        raise Rejected.field("resources.qos", "Grid Engine has none; a project is named by resources.account")


def mark(text: str) -> str:
    """Return a mark; Rejected if it is none."""
    if not _MARK.fullmatch(text):
        raise Rejected.field("mark", f"{text[:40]!r} is not a mark: letters, digits, dot, _ and - only")
    return text


def _word(value: str, what: str) -> str:
    if not _WORD.fullmatch(value):
        raise Rejected.field(what, f"{value[:40]!r} is not a name that Grid Engine could know")
    return value


def _path(path: Path, what: str) -> str:
    text = plain(path, what)
    if not text.startswith("/") or set(text) & set(":$,"):
        raise Rejected.field(
            what, f"{text!r} is not a path that Grid Engine could be given: absolute, without : $ or ,"
        )
    return text


#: What may be different in a moment. Everything else that qsub says is a refusal.
TEMPORARY = (
    "commlib error",
    "unable to contact qmaster",
    "unable to send message",
    "cannot reach qmaster",
    "can't connect",
    "connection refused",
    "got select error",
    "got send error",
    "got read error",
    "timeout",
    "timed out",
    "not ready",
    "try again",
    "can't set additional group id",
    "can't get a message",
    "failed receiving gdi request",
    "insufficient memory",
    "disk full",
    "no space left",
    "would exceed",
    "job limit",
    "limit exceeded",
    "maximum number of jobs",
)

_DECORATION = re.compile(r"^(?:Unable to run job: |error: |denied: )+")


def cleaned(words: str) -> str:
    """Take Grid Engine's decoration off what one of its programs said."""
    lines = (line.strip() for line in words.splitlines() if line.strip() not in ("", "Exiting."))
    return shortened("\n".join(_DECORATION.sub("", line).removeprefix("job rejected: ") for line in lines))


def failure(words: str) -> Transient | Rejected:
    """Say what a refused submission means: to be looked at again, or refused in Grid Engine's own words."""
    text = cleaned(words)
    lower = text.lower()
    if not text or any(mark in lower for mark in TEMPORARY):
        return Transient(f"Grid Engine does not answer as it should: {text or 'qsub failed without a word'}")
    return Rejected(text)
