"""Software of the host inside a container: a module whose programs stay where they are, such as licensed ones."""

from __future__ import annotations

import re
import shlex
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag, field_validator

from cluster_interface.model.base import Model
from cluster_interface.model.variables import check_variables

_LICENSE = re.compile(r"([1-9]\d{0,4})@([A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?)")
_MODULE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+/-]*")
_PACKAGES, _TABLE = "packages", ""  #: what a table has no name for is not named where it is wrong
_SPECIAL = frozenset(',:"\n\0')  #: what runtimes' lists of mounts take apart


class HostModule(Model):
    """What a site says of a module that stays on the host and is lent to containers."""

    trees: tuple[str, ...] = Field(
        min_length=1, description="directories of the nodes with all that it takes, mounted read-only where they are"
    )
    load: tuple[str, ...] | None = Field(
        default=None, description="modules that are loaded on the node; null: it alone, or none where variables say all"
    )
    use: tuple[str, ...] = Field(default=(), description="directories of modulefiles, besides the node's own")
    variables: dict[str, str] = Field(
        default={}, description="set inside, after what was loaded; $NAME in its own value is what it was before"
    )
    licenses: tuple[str, ...] = Field(default=(), description="PORT@HOST of what it asks for its licence")
    packages: str = Field(default="", description="distribution packages and `python:PACKAGE` that it needs besides")

    @field_validator("trees", "use")
    @classmethod
    def _absolute(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for path in value:
            pure = PurePosixPath(path)
            if not pure.is_absolute() or ".." in pure.parts or str(pure) != path or _SPECIAL & set(path):
                raise ValueError(f"{path!r} is not the plain absolute path of a directory; write such as /opt/matlab")
        return value

    @field_validator("load")
    @classmethod
    def _modules(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for name in value or ():
            if not _MODULE.fullmatch(name):
                raise ValueError(f"{name!r} is not the name of a module; write such as matlab/R2023b")
        return value

    @field_validator("licenses")
    @classmethod
    def _ports(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            found = _LICENSE.fullmatch(text)
            if not found or int(found[1]) > 65535:
                raise ValueError(f"{text!r} is no licence server; write PORT@HOST, such as 27000@licence.campus.edu")
        return value

    @field_validator("variables")
    @classmethod
    def _one_line_each(cls, value: dict[str, str]) -> dict[str, str]:
        check_variables(value)
        if "PATH" in value and not _before("PATH").search(value["PATH"]):
            raise ValueError('PATH would hide every other program; write such as "/opt/matlab/bin:$PATH"')
        return value

    def as_named(self, module: str) -> HostSoftware:
        """Return what a plan holds of it, for a job that names the module so."""
        load = self.load if self.load is not None else () if self.variables else (module,)
        return HostSoftware(module=module, load=load, **self.model_dump(exclude={"load", "packages"}))


class HostSoftware(Model):
    """What a plan holds of software that is lent to its container."""

    module: str  #: as the job names it
    trees: tuple[str, ...]
    load: tuple[str, ...] = ()
    use: tuple[str, ...] = ()
    variables: dict[str, str] = {}
    licenses: tuple[str, ...] = ()

    def exports(self) -> str:
        """Return shell text that sets the variables that were declared, in a shell that has those before."""
        words = []
        for name, text in self.variables.items():
            what_was = f'"${{{name}-}}"'
            words.append(f"{name}={what_was.join(map(shlex.quote, _before(name).split(text)))}")
        return f"export {' '.join(words)}; " if words else ""


def _before(name: str) -> re.Pattern[str]:
    """Match where a value names the variable itself."""
    return re.compile(rf"\$\{{{name}\}}|\${name}(?![A-Za-z0-9_])")


def license_hosts(software: tuple[HostSoftware, ...]) -> tuple[str, ...]:
    """Name the hosts that are asked for licences, once each."""
    return tuple(dict.fromkeys(text.partition("@")[2] for one in software for text in one.licenses))


def _kind(value: Any) -> str:
    return _PACKAGES if isinstance(value, str) else _TABLE


#: What a site's table says of a module: `samtools python:pysam`, `host`, or a table of its own.
Meaning = Annotated[Annotated[str, Tag(_PACKAGES)] | Annotated[HostModule, Tag(_TABLE)], Discriminator(_kind)]
