"""`module load` on a node, by the Environment Modules or Lmod that are there: for what runs on the host or is lent."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from cluster_interface.adapters.runtimes.parts import shipped, without_comments

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cluster_interface.ports import Run

#: Where Environment Modules and Lmod keep what defines `module` for sh, after what the login shell would read.
MODULE_FILES = (
    "/etc/profile.d/modules.sh",
    "/etc/profile.d/z00_lmod.sh",
    "/etc/profile.d/lmod.sh",
    "/usr/share/modules/init/sh",
    "/usr/share/Modules/init/sh",
    "/usr/share/lmod/lmod/init/sh",
    "/opt/apps/lmod/lmod/init/sh",
)
_PLACES = f'"$LMOD_PKG/init/sh" "$MODULESHOME/init/sh" {" ".join(MODULE_FILES)}'

#: Shell text that defines `module`, if there is one on the node, for this shell and for scripts of bash.
FIND = (
    f'for place in {_PLACES}; do command -v module >/dev/null && break; [ -r "$place" ] && . "$place"; done; '
    'for place in "$LMOD_PKG/init/bash" "$MODULESHOME/init/bash"; do '
    '[ -n "$BASH_ENV" ] || [ ! -r "$place" ] || export BASH_ENV="$place"; done; '
)
# Old Environment Modules say of everything that it went well.
_LOAD = (
    'command -v module >/dev/null || { echo "there is no module command on $(uname -n)" >&2; exit 127; }; '
    'for name in NAMES; do before=${LOADEDMODULES-}; module load "$name" >&2 && { '
    '[ -z "${LOADEDMODULES+set}" ] || '
    'case ":$LOADEDMODULES:" in *":$name:"* | *":$name/"*) ;; ":$before:") false ;; esac; } || '
    '{ echo "the module $name cannot be loaded" >&2; exit 127; }; done; '
)


def loading(names: Iterable[str]) -> str:
    """Return shell text that loads modules where `module` was looked for, or ends with 127 in words."""
    return _LOAD.replace("NAMES", shlex.join(names))


def asking(run: Run) -> str:
    """Return the shell script that tells what the modules set which a container is lent; empty where none is loaded."""
    names = [name for software in run.host for name in software.load]
    if not names:
        return ""
    use = dict.fromkeys(place for software in run.host for place in software.use)
    using = "".join(f"module use {shlex.quote(place)} >&2; " for place in use)
    before, after = without_comments(shipped("modules.sh")).split("load_here\n")
    return f"{FIND}{using}{before}{loading(names)}\n{after}"
