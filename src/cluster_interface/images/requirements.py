"""A requirements text, taken apart: names from the index only, never an option, a path, a link or a file.

The format is pip's (https://pip.pypa.io/en/stable/reference/requirements-file-format/); only the part of it
that names packages is accepted, and what goes on to the resolver is written anew from what was understood.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from cluster_interface.model.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST = 1_000_000  #: characters

_COMMENT = re.compile(r"(^|\s)#.*$")
_HASH = re.compile(r"\s--hash=(\S*)")
_CUDA = re.compile(r"(?:and-)?cuda\d*x?(?:[-_]\w+)*", re.IGNORECASE)
_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Wanted:
    """One package that is asked for."""

    requirement: str  #: PEP 508, by name
    name: str
    hashes: frozenset[str] = frozenset()  #: sha256:…; empty: any


def read(packages: Iterable[str], text: str, field: str = "environment.python.requirements") -> list[Wanted]:
    """Understand a list of packages and a requirements text; Rejected names the line that is something else."""
    if len(text) > LONGEST:
        raise Rejected.field(field, f"is longer than {LONGEST} characters")
    wanted = [_wanted(package, "environment.python.packages") for package in packages]
    for number, line in _lines(text, field):
        wanted.append(_wanted(line, f"{field}, line {number}"))
    return sorted(set(wanted), key=lambda one: one.requirement)


def without_cuda(wanted: Wanted) -> Wanted:
    """Leave out the extras that bring CUDA (jax[cuda12], tensorflow[and-cuda], spacy[cuda12x]): a job has no GPU."""
    requirement = Requirement(wanted.requirement)
    requirement.extras = {extra for extra in requirement.extras if not _CUDA.fullmatch(extra)}
    return Wanted(str(requirement), wanted.name, wanted.hashes)


def _lines(text: str, field: str) -> Iterable[tuple[int, str]]:
    """Yield what stands on each line, comments and blank lines left out, a continuation joined on."""
    number, begun, whole = 0, 0, ""
    for number, line in enumerate(text.replace("\r\n", "\n").removeprefix("\ufeff").split("\n"), start=1):
        if strange := next((c for c in line if c != "\t" and not c.isprintable()), None):
            raise Rejected.field(f"{field}, line {number}", f"has the control character {strange!r} in it")
        begun = begun if whole else number
        part = _COMMENT.sub("", line).rstrip()
        whole += " " + part.removesuffix("\\").strip()
        if not part.endswith("\\"):
            if whole.strip():
                yield begun, whole.strip()
            whole = ""
    if whole.strip():
        yield number, whole.strip()


def _wanted(line: str, where: str) -> Wanted:
    hashes = frozenset(_HASH.findall(line))
    if bad := next((one for one in hashes if not _SHA256.fullmatch(one)), None):
        raise Rejected.field(where, f"{bad[:80]!r} is not a hash; write --hash=sha256: and 64 hexadecimal digits")
    name = _HASH.sub("", line).strip()
    if name.startswith("-"):
        raise Rejected.field(where, f"{_option(name)} is an option; only names of packages are taken here")
    try:
        requirement = Requirement(name)
    except InvalidRequirement:
        raise Rejected.field(where, f"{name[:80]!r} is not a package; {_advice(name)}") from None
    if requirement.url:
        raise Rejected.field(where, f"{name[:80]!r} is a link; only packages of the site's index are taken")
    if "$" in name:  # uv and pip put variables of the environment there
        raise Rejected.field(where, f"{name[:80]!r} has a $ in it; write the name out")
    return Wanted(str(requirement), canonicalize_name(requirement.name), hashes)


def _option(line: str) -> str:
    return repr(re.split(r"[\s=]", line, maxsplit=1)[0][:40])


def _advice(line: str) -> str:
    if "://" in line or line.startswith(("/", ".", "~")) or line.endswith((".whl", ".tar.gz", ".txt")):
        return "links and paths are not taken; name a package of the index, such as pandas>=2"
    return "write for example pandas or pandas>=2"
