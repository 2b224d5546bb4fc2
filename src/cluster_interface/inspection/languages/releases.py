"""Which release of the distribution has which version of a compiler; a program that asks for more gets a later one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cluster_interface.inspection.archive.index import SUITES

if TYPE_CHECKING:
    from cluster_interface.inspection.draft import Draft

#: of the packages rustc and golang-go; https://packages.debian.org
VERSIONS = {
    "Rust": dict(zip(SUITES, ((1, 48), (1, 63), (1, 85)), strict=True)),
    "Go": dict(zip(SUITES, ((1, 15), (1, 19), (1, 24)), strict=True)),
}


def newer_suite(draft: Draft, language: str, version: str, file: str) -> None:
    """Take a release of the distribution whose compiler is at least of a version, where the site's is older."""
    found = re.match(r"(\d+)\.(\d+)", version)
    wanted = (int(found[1]), int(found[2])) if found else (0, 0)
    versions = VERSIONS[language]
    if wanted <= versions[draft.software.archive.suite]:
        return
    why = f"{file} asks for {language} {version}, which is newer than that of Debian {draft.software.archive.suite}"
    suite = next((suite for suite in SUITES if versions[suite] >= wanted), None)
    if suite is None or not draft.in_suite(suite, why):
        draft.warn(f"{why}: it may not compile")
