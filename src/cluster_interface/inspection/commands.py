"""What is called by name: in the base already, a package of the distribution, the host's own, or not to be had."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cluster_interface.inspection.archive.index import PYTHONS
from cluster_interface.inspection.batch.uses import borrow
from cluster_interface.inspection.shell.known import ESSENTIAL, FETCHERS, HOSTED, SHELL, SITE
from cluster_interface.model.proposal import Sureness

if TYPE_CHECKING:
    from cluster_interface.inspection.draft import Draft

MOST_LOOKED_UP = 1000  #: commands of one script
_NAME = re.compile(r"[A-Za-z0-9_][\w.+-]{0,63}")
_PLACEHOLDER = re.compile(
    r"(?:my|your|some|the|a)[_-]?(?:prog|program|app|application|exe|executable|command|script|code)\w*|foo|bar"
)


def need_command(draft: Draft, name: str, where: str) -> None:
    """Add the package that has a command, unless the base has it; say what is to be done where there is none."""
    by_path, name = "/" in name, name.rpartition("/")[2]  # /usr/bin/time is not the shell's own
    if not _NAME.fullmatch(name) or name in ESSENTIAL or (name in SHELL and not by_path):
        return
    if name not in draft.looked_up and len(draft.looked_up) >= MOST_LOOKED_UP:
        draft.warn_once("commands", f"it calls more than {MOST_LOOKED_UP} programs, of which no more are looked up")
        return
    draft.looked_up.add(name)
    if name in SITE:
        draft.warn(f"{where} calls {name}: {SITE[name]}")
        return
    if name in FETCHERS:
        draft.needs_network(f"{where} calls {name}")
    if name in HOSTED:
        _of_host(draft, name, where)
        return
    archive = draft.software.archive
    packages = () if _PLACEHOLDER.fullmatch(name) else archive.command(name)
    if packages:
        others = f"; also in {', '.join(packages[1:])}" if packages[1:] else ""
        draft.add_system(packages[0], f"{where} calls {name} (Debian's index{others})", Sureness.KNOWN)
    elif suites := archive.suites_with("command", name):
        why = f"{where} calls {name}, which Debian {suites[0]} has and {archive.suite} has not"
        if not draft.in_suite(suites[0], why):
            draft.warn(f"{why}: its Python is {PYTHONS[suites[0]]}, but another one is asked for")
            return
        for package in draft.software.archive.command(name)[:1]:
            draft.add_system(package, f"{where} calls {name}")
    else:
        _unknown(draft, name, where)


def _unknown(draft: Draft, name: str, where: str) -> None:
    """Say what to do for a command that no package has, unless a module of the host may bring it."""
    if not draft.borrows:
        draft.opaque = True
        draft.warn_once(
            f"command {name}",
            f"{where} calls {name}, which no package of Debian {draft.software.archive.suite} has: say --system "
            "PACKAGE or --with PACKAGE if one brings it under another name, or bring the program with --input",
        )


def _of_host(draft: Draft, name: str, where: str) -> None:
    """Take a licensed program from the host: by the module that lends it to a container, else without one."""
    module = draft.software.module(name)
    if module.lent and not draft.borrows:
        borrow(draft, name, module, where)
    elif not draft.borrows or (module.host and not draft.loads(name)):
        draft.needs_host(name, f"{where} calls it")
