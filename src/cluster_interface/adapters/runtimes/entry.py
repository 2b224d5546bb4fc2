"""The way into a container that any image allows: a shell sets variables and limits, then turns into the program's.

Runtimes have ways of their own to set variables, each with words it takes for something else (commas, an own
prefix, names it keeps for itself). /bin/sh takes them as they are, and it is what every image must have.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from cluster_interface.adapters.runtimes.script import program, shell_program, variables
from cluster_interface.model.errors import Permanent

if TYPE_CHECKING:
    from pathlib import Path

    from cluster_interface.ports import Run

#: Variables that apptainer sets although it was told to set none.
_OF_APPTAINER = " ".join(
    f"{prefix}_{name}"
    for prefix in ("APPTAINER", "SINGULARITY")
    for name in ("BIND", "CONTAINER", "ENVIRONMENT", "NAME")
)
_NOBODYS = f"{_OF_APPTAINER} APPTAINER_COMMAND APPTAINER_APPNAME PROMPT_COMMAND PS1 LD_LIBRARY_PATH CH_RUNNING"

# Descriptor 3 is job.sh's: a byte on it says that the image was entered. `command` keeps the shell alive where a
# variable is one that it does not let go of.
_ENTER = f'echo began >&3; unset -v {_NOBODYS}; while [ "$1" != -- ]; do command export "$1"; shift; done; '
_BECOME = 'exec 3>&-; exec /bin/sh -c "$2"'

# A program can do to the first process what it likes, and write on its descriptors, since the account is the same: but
# not if that was started from a file that the account may not read (ptrace(2), PTRACE_MODE).
_HIDE = (
    '(umask 0666; cp /bin/sh /tmp/sh && /tmp/sh -c :) 2>/dev/null && exec /tmp/sh -c "$3" sh "$2"; '
    'exec /bin/sh -c "$3" sh "$2"'
)

# The first process of its namespace stays, clears up after others, and says on descriptor 3 how the program ended and
# how many processes the kernel ended in here for want of memory: the container may have a cgroup of its own.
_INIT = (
    'rm -f /tmp/sh; trap : TERM INT USR1; /bin/sh -c "$1" 3>&-; code=$?; kills=0; '
    "for file in memory/memory.oom_control memory.events; do while read -r word number; do "
    'case $word in oom_kill) kills=$number ;; esac; done <"/sys/fs/cgroup/$file"; done 2>/dev/null; '
    'echo "ended $code $kills" >&3; exit "$code"'
)
_SPECIAL = ',:"\n'


def words(run: Run, *, interactive: bool = False, init: bool = False, devices: bool = False) -> list[str]:
    """Return the words of shell that run the program in an image, with its variables and its limit of processes.

    The limit counts the account's processes in this user namespace alone, if it is set in there. `init`: the shell
    is the first process of its namespace, so it stays and clears up after others. `devices`: the container has all
    GPUs of the node in it, and CUDA is told which are the job's.
    """
    limit = f"ulimit -c 0; ulimit -u {run.ask.pids} 2>/dev/null || ulimit -p {run.ask.pids}; "
    text = limit + (shell_program(run) if interactive else program(run))
    enter = _ENTER + (_HIDE if init else _BECOME)
    given = [f"{name}={word}" for name, word in variables(run)]
    if devices and run.ask.gpus:
        given.insert(0, '${visible:+"CUDA_VISIBLE_DEVICES=$visible"}')  # see gpus.sh
    if interactive:
        given.insert(0, '"TERM=${TERM:-xterm}"')
    last = [shlex.quote(_INIT)] if init else []
    return ["/bin/sh", "-c", f'"$opening"{shlex.quote(enter)}', "sh", *given, "--", shlex.quote(text), *last]


def plain(*paths: Path | None) -> None:
    """Raise Permanent for a path that a runtime's list of mounts would take apart."""
    for path in paths:
        if path is not None and any(character in str(path) for character in _SPECIAL):
            raise Permanent(f"{path} has a comma, colon, quote or line break in it, which this runtime cannot mount")
