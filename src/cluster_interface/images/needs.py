"""What installed packages need of the operating system: libraries that their shared objects name and nobody has.

A wheel carries most of what it needs; the rest it takes for granted (libGL, glib, libX11 …). Read is DT_NEEDED of
every shared object (ELF, gABI chapter 5) of a package, once per package; what neither the layer nor the base has is
looked up in the table of Debian's own archive that inspection has too. What is in no table is left alone: it may be an
optional plug-in, or a driver that the node passes in.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from cluster_interface.images.tree import inside
from cluster_interface.inspection.archive.index import Archive
from cluster_interface.model.base import Model

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

_TRIPLETS = ("x86_64-linux-gnu", "aarch64-linux-gnu")
_PLACES = (
    *(f"{top}/{triplet}{below}" for top in ("/lib", "/usr/lib") for triplet in _TRIPLETS for below in ("", "/blas")),
    *("/usr/local/lib", "/lib64", "/usr/lib64", "/lib", "/usr/lib"),
)


class Libraries(Model):
    """The shared objects of one package."""

    has: tuple[str, ...] = ()  #: what they are called
    needs: tuple[str, ...] = ()  #: what they name


class Need(Model):
    """One distribution package that is added, and why."""

    package: str
    why: str


def read(files: Iterable[Path]) -> Libraries:
    """Read the shared objects among these files; what is no ELF file has none."""
    has: set[str] = set()
    needs: set[str] = set()
    for file in files:
        if (named := _needed(file)) is not None:
            has.add(file.name)
            needs |= named
    return Libraries(has=tuple(sorted(has)), needs=tuple(sorted(needs)))


def missing(root: Path, packages: Mapping[str, Libraries], suite: str) -> list[Need]:
    """List the distribution packages that these packages need and the base does not have."""
    there = set(_libraries(root)) | {name for one in packages.values() for name in one.has}
    needs: dict[str, Need] = {}
    for name, libraries in sorted(packages.items()):
        for soname in libraries.needs:
            if soname not in there and (package := of(soname, suite)):
                needs.setdefault(package, Need(package=package, why=f"{name} needs {soname}"))
    return list(needs.values())


def known(packages: Iterable[str], suite: str) -> list[Need]:
    """List what packages load by name, which their files do not say; from a table by hand."""
    table = _by_hand()
    needs: dict[str, Need] = {}
    for name in packages:
        for wanted in table.get(canonicalize_name(name), ()):
            package = of(wanted, suite) if ".so" in wanted else wanted
            if package:
                needs.setdefault(package, Need(package=package, why=f"{name} loads {wanted}"))
    return list(needs.values())


def of(soname: str, suite: str) -> str | None:
    """Return the Debian package that has a library; None where only developers' packages have it, or none."""
    found = Archive(suite).find("library", soname)
    return next((package for package in found if not package.endswith("-dev")), None)


@cache
def _by_hand() -> dict[str, list[str]]:
    text = (resources.files("cluster_interface.images") / "data" / "loads-by-name.txt").read_text()
    lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    return {canonicalize_name(name): wanted for name, *wanted in lines}


def _libraries(root: Path) -> Iterator[str]:
    for place in _PLACES:
        if (directory := inside(root, place)) and directory.is_dir():
            yield from (path.name for path in directory.iterdir())


def _needed(file: Path) -> set[str] | None:
    """Return what a shared object names; None if it is none, or is damaged."""
    from elftools.elf.dynamic import DynamicSegment  # noqa: PLC0415 - only where something is built
    from elftools.elf.elffile import ELFFile  # noqa: PLC0415

    try:
        with file.open("rb") as stream:
            if stream.read(4) != b"\x7fELF":
                return None
            found = ELFFile(stream).iter_segments("PT_DYNAMIC")
            segments = (segment for segment in found if isinstance(segment, DynamicSegment))
            return {str(getattr(tag, "needed", "")) for segment in segments for tag in segment.iter_tags("DT_NEEDED")}
    except Exception:  # noqa: BLE001 - strange bytes, and a parser that meets them with whatever comes (AssertionError …)
        return None
