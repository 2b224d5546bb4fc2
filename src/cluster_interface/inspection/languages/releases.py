"""Which release of the distribution has which version of a language; a program that asks for more gets a later one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cluster_interface.inspection.archive.index import SUITES

if TYPE_CHECKING:
    from cluster_interface.inspection.draft import Draft

#: of the packages rustc, golang-go, perl and default-jdk; https://packages.debian.org
VERSIONS = {
    "Rust": dict(zip(SUITES, ((1, 48), (1, 63), (1, 85)), strict=True)),
    "Perl": dict(zip(SUITES, ((5, 32), (5, 36), (5, 40)), strict=True)),
    "Java": dict(zip(SUITES, ((11, 0), (17, 0), (21, 0)), strict=True)),
    "Go": dict(zip(SUITES, ((1, 15), (1, 19), (1, 24)), strict=True)),
}


def newer_suite(draft: Draft, language: str, version: str, file: str) -> None:
    """Take a release of the distribution whose version of a language is at least that, where the site's is older."""
    found = re.match(r"(\d+)\.(\d+)", version)
    wanted = (int(found[1]), int(found[2])) if found else (0, 0)
    versions = VERSIONS[language]
    if wanted <= versions[draft.software.archive.suite]:
        return
    why = f"{file} asks for {language} {version}, which is newer than that of Debian {draft.software.archive.suite}"
    suite = next((suite for suite in SUITES if versions[suite] >= wanted), SUITES[-1])
    if not draft.in_suite(suite, why) or versions[suite] < wanted:
        draft.warn_once(
            f"{language} {file}",
            f"{why}: it is compiled by {language} {version_of(draft, language)} all the same, which may not do",
        )


def version_of(draft: Draft, language: str) -> str:
    """Return the version of a language that the job has."""
    return ".".join(map(str, VERSIONS[language][draft.software.archive.suite]))
