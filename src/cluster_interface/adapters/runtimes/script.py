"""Putting job.sh together: what the server sets, the runtime's part, the common part."""

from __future__ import annotations

import re
import shlex
from itertools import chain
from typing import TYPE_CHECKING

from cluster_interface.adapters.runtimes import dialects
from cluster_interface.adapters.runtimes.modules import asking
from cluster_interface.adapters.runtimes.parts import shipped, without_comments
from cluster_interface.model.errors import Permanent, Rejected
from cluster_interface.model.host import license_hosts
from cluster_interface.model.resources import MIB

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cluster_interface.ports import Run

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DRIVER = "/run/nvidia:/.singularity.d/libs"  #: where job.sh and apptainer put the libraries of a GPU's driver
_PATH = "/opt/env/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)

# The shell that runs the command stays while its program handles a TERM, and leaves with the program's own status.
PRELUDE = "trap exit TERM INT; trap : USR1; "

_NODE_FILE = """printf '%s\\n' "$CLIF_NODES" >"$PBS_NODEFILE"; """

# Slurm's variables would have Open MPI (4: OMPI, 5: PRTE) look for nodes and start its processes there by srun.
_NO_NODES = " ".join(f"{kind}_MCA_{part}='^slurm'" for kind in ("OMPI", "PRTE") for part in ("ras", "plm"))
_SRUN = "/tmp/.srun"  # noqa: S108 - private to the sandbox

# What these would bring is in the image: they are there, and so are the files that a login has read, so that a script
# which stops at errors goes on. `source activate NAME`, conda.sh and $MODULESHOME/init/bash are files that are read in;
# those with a path of their own are in every image (images/rootfs.py), and give a login shell its $CLIF_PATH again.
_STAND_INS = "/tmp/.stand-ins"  # noqa: S108 - private to the sandbox
_STOOD_FOR = "module ml modulecmd lmod conda mamba micromamba"
_READ_IN = "activate etc/profile.d/conda.sh init/sh init/bash init/ksh init/zsh init/csh init/tcsh"
_SHELL = re.compile(r"(?:^|&& )(?:ba|da|tc|z|mk)?sh\b|(?:^|&& )ksh93\b")

# A program of Python that shows figures has them saved: matplotlib takes what the variable names for its screen.
# Kernels of notebooks have one of their own, unless the variable is set.
_FIGURES = "/tmp/.figures"  # noqa: S108 - private to the sandbox
_PYTHON = re.compile(r"(?:^|&& )python[\d.]* ")
_MATPLOTLIB = "/opt/env/lib/python3*/site-packages/matplotlib /usr/lib/python3/dist-packages/matplotlib"

LEAST_ID = 1000  #: of users and groups that programs run as


def render(run: Run, parts: Sequence[str], settings: Mapping[str, str | int], become: Sequence[str]) -> str:
    """Write job.sh from the runtime's parts. `become` are words of shell, quoted, that follow those a part has made."""
    return _render(run, [*parts, "task.sh", "job.sh"], settings, become)


def render_shell(
    run: Run, task: int, parts: Sequence[str], settings: Mapping[str, str | int], become: Sequence[str]
) -> str:
    """Write the script that opens a shell where a task is, see shell.sh."""
    return _render(run, [*parts, "task.sh", "shell.sh"], {**settings, "task": task}, become)


def _render(run: Run, parts: Sequence[str], settings: Mapping[str, str | int], become: Sequence[str]) -> str:
    uid, gid = identifier(run)
    common: dict[str, str | int] = {
        "job_dir": str(run.job_dir),
        "attempt": run.attempt,
        "mark": run.mark,
        "user": run.account.name,
        "uid": uid,
        "gid": gid,
        "seconds": run.ask.time,
        "gpus": run.ask.gpus,
        "signal_before": run.signal_before or 0,
        "reserved": run.ask.addresses - run.ask.memory,
        "packed": "yes" if run.packed else "no",
        "parameters": "yes" if run.parameters else "no",
        "replaced": replaced(run),
        "home_outside": run.account.home or "/",
        "license_hosts": " ".join(license_hosts(run.host)),
        "asking": asking(run),
        "loaded": "",
    }
    places = list(dict.fromkeys(str(mount.source) for mount in run.mounts if not mount.lent))
    trees = list(dict.fromkeys(tree for software in run.host for tree in software.trees))
    listed = {str(mount.source): mount.listing for mount in run.mounts if mount.listing}
    lines = [f"{name}={shlex.quote(str(value))}" for name, value in {**common, **settings}.items()]
    return "\n".join(
        [
            "#!/bin/sh",
            "# shellcheck disable=SC2016,SC2034,SC2317  # users' words stay; parts share variables, traps",
            f"# One attempt at the tasks of {shlex.quote(run.mark)}, written by cluster-interface.",
            *lines,
            "# shellcheck disable=SC2154  # the parameters are set by evaluating their line",
            f'become() {{ exec "$@" {" ".join(become)}; }}',
            "open_element() { :; }; close_element() { :; }; prepare() { :; }; conclude() { :; }",
            f"mounts_stay() {{ {shlex.join(['unmoved', *places]) if places else ':'}; }}",
            f"mounts_hold() {{ {shlex.join(['unchanged', *chain(*listed.items())]) if listed else ':'}; }}",
            f"lend() {{ {f'host_is_there {shlex.join(trees)} && ask_modules' if trees else ':'}; }}",
            "has_heard() { false; }",
            "",
            *map(shipped, ["hosts.sh", *(["gpus.sh"] if run.ask.gpus else []), *parts]),
        ]
    )


def replaced(run: Run) -> str:
    """Name the image's own directories that make room for places to mount on: `:/srv:/opt/data:/usr/local/matlab:`."""
    tops = {target.parts[: _depth(target.parts)] for target in (mount.target for mount in run.mounts)}
    return "".join(f":{'/'.join(parts)[1:]}" for parts in sorted(tops)) + ":"


def _depth(parts: tuple[str, ...]) -> int:
    if parts[1:3] == ("usr", "local"):
        return 4
    return 3 if parts[1] == "opt" else 2


def bound(run: Run) -> list[str]:
    """Return each mount as others write it: SOURCE:TARGET, and :ro unless it is writable; quoted."""
    return [shlex.quote(f"{mount.source}:{mount.target}{'' if mount.writable else ':ro'}") for mount in run.mounts]


def shell_program(run: Run) -> str:
    """Return the shell text that opens an interactive shell in the container."""
    return (
        _lent(run)
        + (_NODE_FILE if run.dialect == "pbs" else "")
        + "[ ! -x /bin/bash ] || exec /bin/bash; exec /bin/sh -i"
    )


def program(run: Run) -> str:
    """Return the shell text that is run in the container: what every program needs, then the command."""
    return PRELUDE + _lent(run) + _provided(run) + run.command


def _lent(run: Run) -> str:
    """Return the shell text that makes software of the host usable: what its modules set there, what was declared."""
    if not run.host:
        return ""
    return f'eval "${{CLIF_LOADED-}}"; unset CLIF_LOADED; {"".join(software.exports() for software in run.host)}'


def _provided(run: Run) -> str:
    """Return the shell text that makes what a script for a cluster expects beside the variables of its dialect."""
    for_cluster = run.image is not None and (run.modules or run.dialect or _SHELL.search(run.command))
    shows = run.image is not None and _PYTHON.search(run.command) and "MPLBACKEND" not in run.variables
    provided = (_stand_ins() if for_cluster else "") + (_figures() if shows else "")
    return provided + _of_dialect(run)  # on a host its own are there


def _figures() -> str:
    text = shlex.quote(shipped("figures.py.txt"))
    return (
        f"for clif_at in {_MATPLOTLIB}; do [ ! -d $clif_at ] || {{ mkdir -p {_FIGURES} && "
        f"printf %s {text} >{_FIGURES}/clif_figures.py && export MPLBACKEND=module://clif_figures "
        f'PYTHONPATH="${{PYTHONPATH:+$PYTHONPATH:}}{_FIGURES}"; break; }}; done; unset clif_at; '
    )


def _stand_ins() -> str:
    text = shlex.quote(without_comments(shipped("stand-in.sh")))
    return (
        f"mkdir -p {_STAND_INS}/etc/profile.d {_STAND_INS}/init; for clif_name in {_STOOD_FOR}; do "
        f"command -v $clif_name >/dev/null || "
        f"{{ printf %s {text} >{_STAND_INS}/$clif_name && chmod +x {_STAND_INS}/$clif_name; }}; done; "
        f"for clif_name in {_READ_IN}; do : >{_STAND_INS}/$clif_name; done; unset clif_name; PATH=$PATH:{_STAND_INS}; "
        f'export CLIF_PATH="$PATH"; '
        f"export MODULESHOME={_STAND_INS} LMOD_PKG={_STAND_INS} LMOD_CMD={_STAND_INS}/lmod; "
        'touch "$HOME/.bashrc" "$HOME/.bash_profile" "$HOME/.profile"; '
    )


def _of_dialect(run: Run) -> str:
    if run.dialect == "slurm" and run.image is not None:  # as said above
        text = shlex.quote(without_comments(shipped("srun.sh")))
        write = f"mkdir -p {_SRUN} && printf %s {text} >{_SRUN}/srun && chmod +x {_SRUN}/srun && PATH=$PATH:{_SRUN}"
        return f"export {_NO_NODES}; command -v srun >/dev/null || {{ {write}; }}; "
    return _NODE_FILE if run.dialect == "pbs" else ""


def variables(run: Run) -> list[tuple[str, str]]:
    """Return what the program finds in its environment as words of shell, quoted, for job.sh: `--env NAME=word`.

    The user's own variables win over the defaults; ours and the dialect's win over the user's.
    """
    return [*lasting_variables(run), *task_variables(run)]


def lasting_variables(run: Run) -> list[tuple[str, str]]:
    """Return those of the variables that are the same for all tasks of an element."""
    own = dict(task_variables(run))
    return [(name, word) for name, word in _words(run).items() if name not in own]


def task_variables(run: Run) -> list[tuple[str, str]]:
    """Return those of the variables that differ between tasks; their words know only $task and $CLIF_PARAM_name."""
    own = {"CLIF_TASK": '"$task"'}
    own |= {f"CLIF_PARAM_{name}": f'"$CLIF_PARAM_{name}"' for name in run.parameters}
    own |= {name: word for name, word in dialects.variables(run).items() if word == f'"$CLIF_PARAM_{dialects.ARRAY}"'}
    return list(own.items())


def _words(run: Run) -> dict[str, str]:
    for name in run.variables:
        if not _NAME.fullmatch(name):
            raise Rejected.field(f"environment.variables.{name[:40]}", "is not a variable's name: letters, digits, _")
    ours = {
        "HOME": f"/home/{run.account.name}",
        "USER": run.account.name,
        "LOGNAME": run.account.name,
        "CLIF_MARK": run.mark,
        "CLIF_ATTEMPT": run.attempt,
        "CLIF_TASKS": run.tasks,
        "CLIF_CPUS": run.ask.cpus,
        "CLIF_MEMORY_MIB": run.ask.memory // MIB,
    }
    defaults = {
        "PATH": _PATH,
        "LANG": "C.UTF-8",
        "TMPDIR": "/tmp",  # noqa: S108 - private to the sandbox
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        **dict.fromkeys(_THREADS, run.ask.cpus),
    }
    chosen = {**defaults, **run.variables}
    if run.ask.gpus and run.image:  # after the image's own places and the user's
        chosen["LD_LIBRARY_PATH"] = ":".join(filter(None, (run.variables.get("LD_LIBRARY_PATH"), _DRIVER)))
    fixed = {name: shlex.quote(str(value)) for name, value in chosen.items()}
    certain = {name: shlex.quote(str(value)) for name, value in ours.items()}
    loaded = {"CLIF_LOADED": '"$loaded"'} if run.host else {}
    return {**fixed, **dialects.variables(run), **certain, "CLIF_NATIVE_ID": '"$native"', **loaded}


def identifier(run: Run) -> tuple[int, int]:
    """Return uid and gid inside; Permanent if the account is one of the system's own."""
    uid, gid = run.account.uid, run.account.gid
    if uid < LEAST_ID:
        words = (
            f"jobs never run as {run.account.name} (uid {uid}): an account with a uid of at least {LEAST_ID} is needed"
        )
        raise Permanent(words)
    return uid, gid if gid >= LEAST_ID else uid
