"""What a simple command really starts: behind env, nohup, xargs, find -exec, srun, and inside `bash -c TEXT`."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster_interface.inspection.shell.known import INTERPRETERS

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_WRAPPED = 20  #: programs that start each other, or that one find starts


@dataclass(frozen=True)
class Wrapper:
    """A program that starts another one: which of its options take a word, how many words of its own follow."""

    valued: frozenset[str] = frozenset()
    own: int = 0
    starter: bool = False  #: it starts the processes of a parallel program


def _wrapper(valued: str = "", own: int = 0, *, starter: bool = False) -> Wrapper:
    return Wrapper(frozenset(f"-{word}" for word in valued.split()), own, starter)


_MPI = (
    "n np c N H host -host hostfile -hostfile machinefile -machinefile f x wd wdir -wdir -map-by map-by -bind-to "
    "bind-to -mca mca -rank-by rank-by ppn perhost npernode -npernode npersocket rf -rankfile bootstrap launcher iface"
)
_SRUN = (
    "n N c p J o e i A t w x m G D d u -ntasks -nodes -cpus-per-task -partition -job-name -output -error -input -time "
    "-account -nodelist -mem -mem-per-cpu -gres -gpus -distribution -ntasks-per-node -mpi -cpu-bind -cpu_bind -chdir "
    "-export -qos -constraint -multi-prog"
)
WRAPPERS = {
    "aprun": _wrapper("n N d j S cc -cc", starter=True),
    "builtin": _wrapper(),
    "catchsegv": _wrapper(),
    "chrt": _wrapper("", 1),
    "command": _wrapper(),
    "env": _wrapper("u C S"),
    "exec": _wrapper("a"),
    "flock": _wrapper("w E", 1),
    "ibrun": _wrapper("n o", starter=True),
    "ionice": _wrapper("c n p"),
    "jsrun": _wrapper("n a c g r d b", starter=True),
    "ltrace": _wrapper("o e p"),
    "mpiexec": _wrapper(_MPI, starter=True),
    "mpiexec.hydra": _wrapper(_MPI, starter=True),
    "mpirun": _wrapper(_MPI, starter=True),
    "nice": _wrapper("n"),
    "nohup": _wrapper(),
    "numactl": _wrapper("N m C i l p"),
    "orterun": _wrapper(_MPI, starter=True),
    "parallel": _wrapper("j P S N n L a C I E d -jobs -arg-file -colsep -joblog -delay -memfree -results -tmpdir"),
    "perf": _wrapper("e o", 1),
    "setsid": _wrapper(),
    "srun": _wrapper(_SRUN, starter=True),
    "stdbuf": _wrapper("i o e"),
    "strace": _wrapper("o e p"),
    "sudo": _wrapper("u g h p"),
    "taskset": _wrapper("", 1),
    "time": _wrapper("f o"),
    "timeout": _wrapper("k s", 1),
    "unbuffer": _wrapper(),
    "valgrind": _wrapper(),
    "watch": _wrapper("n"),
    "xargs": _wrapper("a d E I L n P s"),
    "xvfb-run": _wrapper("n s e f w p"),
}
STARTERS = frozenset(name for name, wrapper in WRAPPERS.items() if wrapper.starter)
_ASKING = ("-v", "-V")  # command -v PROGRAM only asks whether it is there
_RUNNING_TEXTS = frozenset(["python", "R", "Rscript", "perl", "ruby", "julia", "octave", "octave-cli"])
_TEXT_OPTION = re.compile(r"-[a-zA-Z]{0,4}[eEc]|--eval")
_TEXTS = ("eval", "trap")


@dataclass(frozen=True)
class Call:
    """A program with its arguments, or a text that a shell reads as commands of their own."""

    words: tuple[str, ...]
    wrappers: tuple[str, ...] = ()
    is_text: bool = False


def calls_in(words: tuple[str, ...], wrappers: tuple[str, ...] = ()) -> Iterator[Call]:
    """Yield what a command starts; the programs around it are named in each call."""
    if not words or len(wrappers) > MOST_WRAPPED:
        return
    name = posixpath.basename(words[0])
    if name in WRAPPERS:
        yield from _inside(name, words, wrappers)
    elif name == "find":
        yield Call(words, wrappers)
        for command in _executed(words):
            yield from calls_in(command, (*wrappers, "find"))
    elif name in INTERPRETERS and (at := _text_at(words)):
        yield Call((words[at],), wrappers, is_text=True)
    elif name in _TEXTS and words[1:]:
        texts = words[1:2] if name == "trap" else (" ".join(words[1:]),)
        yield Call(texts, wrappers, is_text=True)
    else:
        yield Call(words, wrappers)


def _inside(name: str, words: tuple[str, ...], wrappers: tuple[str, ...]) -> Iterator[Call]:
    if name == "command" and words[1:2] and words[1] in _ASKING:
        return
    wrapped = (*wrappers, words[0])
    rest = _without_options(words[1:], WRAPPERS[name])
    if name == "parallel":
        rest = _up_to_sources(rest)
        if len(rest) == 1 and " " in rest[0]:
            yield Call(rest, wrapped, is_text=True)
            return
    if rest:
        yield from calls_in(rest, wrapped)
    else:
        yield Call((), wrapped)


def _without_options(words: tuple[str, ...], wrapper: Wrapper) -> tuple[str, ...]:
    at, own = 0, wrapper.own
    while at < len(words):
        word = words[at]
        if word == "--":
            at += 1
            break
        if word.startswith("-") and len(word) > 1:
            at += 2 if word in wrapper.valued or word.lstrip("-") in wrapper.valued else 1
        elif own:
            own -= 1
            at += 1
        elif word.isdigit() or ("=" in word and "/" not in word.partition("=")[0]):
            at += 1
        else:
            break
    return words[at:]


def _up_to_sources(words: tuple[str, ...]) -> tuple[str, ...]:
    end = next((at for at, word in enumerate(words) if word in (":::", "::::", ":::+", "::::+")), len(words))
    return words[:end]


def _executed(words: tuple[str, ...]) -> list[tuple[str, ...]]:
    """List the commands behind -exec and its like."""
    found: list[tuple[str, ...]] = []
    for at, word in enumerate(words):
        if word in ("-exec", "-execdir", "-ok", "-okdir") and len(found) < MOST_WRAPPED:
            rest = words[at + 1 :]
            end = next((n for n, one in enumerate(rest) if one in (";", "+", "\\;")), len(rest))
            found.append(rest[:end])
    return found


def runs_texts(name: str) -> bool:
    """Say whether a program of a name runs what it is given as a text."""
    return name.rstrip("0123456789.") in _RUNNING_TEXTS


def texts_in(words: tuple[str, ...]) -> list[str]:
    """List the texts that a program of a language is given to run: `Rscript -e TEXT`, `perl -lne TEXT`."""
    if not runs_texts(posixpath.basename(words[0])):
        return []
    found = [word.partition("=")[2] for word in words if word.startswith("--eval=")]
    found += [f"use {word[2:].partition('=')[0]};" for word in words if word.startswith("-M") and "perl" in words[0]]
    return found + [words[at + 1] for at, word in enumerate(words[:-1]) if _TEXT_OPTION.fullmatch(word)]


def _text_at(words: tuple[str, ...]) -> int:
    """Say where the text of `sh -c TEXT` is; 0: nowhere."""
    for at, word in enumerate(words[1:-1], 1):
        if word.startswith("-") and not word.startswith("--") and "c" in word:
            return at + 1
        if not word.startswith("-"):
            return 0
    return 0
