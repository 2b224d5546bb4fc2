"""Absolute paths in a script: data that lies elsewhere, and is to be brought or mounted."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from cluster_interface.inspection.wording import shown
from cluster_interface.model.proposal import Sureness

if TYPE_CHECKING:
    from cluster_interface.inspection.draft import Draft

OF_THE_SYSTEM = (
    *("/dev/", "/proc/", "/sys/", "/etc/", "/usr/", "/bin/", "/sbin/", "/lib/", "/lib64/", "/run/"),
    *("/tmp", "/var/", "/job", "/inputs", "/opt/env"),  # noqa: S108 - only named
)
MOST_PATHS = 30


def add_absolute(draft: Draft, path: str, where: str, *, program: bool = False) -> None:
    """Propose that what lies at an absolute path is brought along, after a person has said so."""
    if path.startswith(OF_THE_SYSTEM) or len(path) < 3 or "\n" in path or path.count("/") < 2 or "://" in path:
        return
    known = path.split("*", 1)[0]
    place = known if known == path else posixpath.dirname(known)
    if place.strip("/~") and len(draft.absolute) < MOST_PATHS and place not in draft.absolute:
        draft.absolute.add(place)
        draft.guess("files", place, f"{where} names it", Sureness.ASK)
        what = "starts the program" if program else "names"
        same = [one for one in draft.project.files if posixpath.basename(one) == posixpath.basename(place)]
        here = f"; if it is the same as {shown(draft.of_job(same[0]))}, which is here, name that" if same else ""
        draft.warn(f"{where} {what} {shown(path)}, which the job does not see: say --input {place}{here}")
