"""What a file around the script states of its environment: packages, the Python, and what it cannot say here."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet

from cluster_interface.inspection.wanted import distribution_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_BUILD = re.compile(
    r"^(\s*torch[a-z]*\s*===?\s*[\w.]+)\+(?:cpu(?:\.cxx11\.abi)?|cu\d+|rocm[\d.]+|xpu)\b", re.IGNORECASE
)


@dataclass(frozen=True)
class Need:
    """One requirement, and where it is written: `Pipfile, [packages]`."""

    requirement: str
    where: str


@dataclass(frozen=True)
class Stated:
    """What one file states. Only what is there for running counts, not what is for testing or building."""

    file: str
    needs: tuple[Need, ...] = ()
    requires_python: str | None = None  #: a specifier (PEP 440)
    system: tuple[Need, ...] = ()  #: distribution packages
    unsure: tuple[Need, ...] = ()  #: names of which it is not known what brings them
    troubles: tuple[str, ...] = ()  #: sentences: what could not be taken from it, and why
    local: bool = False  #: it installs the project itself, whose own needs count too
    chosen: tuple[str, ...] = ()  #: with these of its extras
    extras: Mapping[str, tuple[Need, ...]] = field(default_factory=dict)  #: wanted for some things only: extras, groups
    indexes: tuple[Need, ...] = ()  #: addresses of further package indexes
    whole: bool = False  #: a requirements file that can be handed on as it is
    includes: tuple[str, ...] = ()  #: files that it brings in

    @property
    def says_something(self) -> bool:
        """Whether any package is named, or an extra of the project itself."""
        return bool(self.needs or self.system or self.unsure or self.chosen)

    @property
    def distributions(self) -> frozenset[str]:
        """What it names of PyPI, normalized."""
        return frozenset(distribution_of(need.requirement) for need in self.needs)

    @property
    def offered(self) -> dict[str, Need]:
        """What its extras and groups name, by distribution: it counts for what is imported."""
        every = [need for needs in self.extras.values() for need in needs]
        return {distribution_of(need.requirement): need for need in reversed(every)}


def loosened(stated: Stated) -> Stated:
    """Take exact versions as the oldest: those that were made for one Python often cannot be had for another."""

    def loose(needs: tuple[Need, ...]) -> tuple[Need, ...]:
        return tuple(Need(_at_least(need.requirement), need.where) for need in needs)

    extras = {name: loose(needs) for name, needs in stated.extras.items()}
    return replace(stated, needs=loose(stated.needs), extras=extras, whole=False)


def _at_least(requirement: str) -> str:
    oldest, wanted = exact_version(requirement), parsed(requirement)
    if oldest is None or wanted is None:
        return requirement
    wanted.specifier = SpecifierSet(f">={oldest}")
    return str(wanted)


def exact_version(requirement: str) -> str | None:
    """Return the one version that a requirement takes; None for a range, and for a series such as 2.*."""
    wanted = parsed(requirement)
    exact = [*wanted.specifier] if wanted else []
    if len(exact) != 1 or exact[0].operator != "==":
        return None
    version = exact[0].version.removesuffix(".*")
    return version if "." in version else None  # networkx=2.* is about what it can do


def combined(name: str, extras: str, specifier: str, marker: str) -> str:
    """Write a requirement (PEP 508) of its parts, any of which but the name may be empty."""
    return f"{name}{f'[{extras}]' if extras else ''}{specifier}{f' ; {marker}' if marker else ''}"


def either(conditions: list[str]) -> str:
    """Join markers of which one has to hold; empty where one of them always does."""
    found = list(dict.fromkeys(conditions))
    if not found or "" in found:
        return ""
    return found[0] if len(found) == 1 else " or ".join(f"({one})" for one in found)


def both(one: str, other: str) -> str:
    """Join two markers that both have to hold."""
    return f"({one}) and ({other})" if one and other else one or other


def version_range(text: str) -> str:
    """Write a version as poetry, Pipenv and people have it (`^1.2`, `~1.2`, `1.*`, `1.2 || 2`) by PEP 440.

    Poetry: https://python-poetry.org/docs/dependency-specification/. Raises ValueError for what has no such form.
    """
    text = text.strip()
    if text in ("", "*"):
        return ""
    if "|" in text:
        raise ValueError(f"{text!r} is one of several ranges, which a requirement cannot say")
    parts = (part for part in re.split(r"\s*,\s*|(?<=[\w*])\s+(?=[<>=!~^])", text) if part)
    return ",".join(_one_range(part.strip()) for part in parts)


def _one_range(part: str) -> str:
    operator, version = re.fullmatch(r"([<>=!~^]*)\s*(.*)", part, re.DOTALL).groups()  # type: ignore[union-attr]
    numbers = re.fullmatch(r"v?(\d+(?:\.\d+)*)(?:[-_.]?[a-z].*)?", version)
    if operator == "^" and numbers:
        return f">={version},<{_next_breaking(numbers[1])}"
    if operator == "~" and numbers:
        kept = numbers[1].split(".")[:2]
        return f">={version},<{'.'.join([*kept[:-1], str(int(kept[-1]) + 1)])}"
    if operator in ("", "="):
        return f"=={version}"
    return f"{operator}{version}"


def _next_breaking(version: str) -> str:
    """Raise the first number that is not zero, as semantic versioning does: 1.2 → 2, 0.3.1 → 0.4."""
    numbers = [int(number) for number in version.split(".")]
    place = next((index for index, number in enumerate(numbers) if number), len(numbers) - 1)
    return ".".join(map(str, [*numbers[:place], numbers[place] + 1]))


def without_build(requirement: str) -> str:
    """Drop the build from a pinned version of PyTorch's packages: torch==2.8.0+cu128, which PyPI does not know.

    Which build is taken follows from the job's GPUs. The labels: https://pytorch.org/get-started/previous-versions
    """
    return _BUILD.sub(r"\1", requirement)


def parsed(text: str) -> Requirement | None:
    """Parse a requirement (PEP 508); None if it is none."""
    try:
        return Requirement(text)
    except InvalidRequirement:
        return None
