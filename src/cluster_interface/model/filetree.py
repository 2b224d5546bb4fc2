"""The files a job expects: a mapping from relative names to where their bytes come from.

    data/book.txt: {source: "https://…", sha256: "…"}
    data/raw/:     {source: "file:/data/ada/raw", mode: mount, require: ["*.fastq.gz"]}
    latest:        {target: data/book.txt}
    results/:      {}

A name that ends in `/` is a directory, an entry with a `target` a symbolic link, anything else a file. The same
mapping stands under `files` in a job spec and in a document of its own (`FileTree`).
"""

from __future__ import annotations

import re
from bisect import bisect_left
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from cluster_interface.model.base import Model
from cluster_interface.model.filenames import MOST_ENTRIES, check_all, check_name, wrong_links, wrong_names
from cluster_interface.model.patterns import matches

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

MOST_MEMBERS = 200_000  #: of one directory, archive, revision or record that is copied or linked
SCHEMES = ("upload", "file", "http", "https", "site", "job", "doi", "git", "s3", "sftp", "globus")
DIRECTORY_SCHEMES = ("file", "site", "job", "doi", "git", "s3", "sftp")  #: what may be a whole directory
MOUNTED = ("file", "site")  #: what may be mounted
IN_ARCHIVE = "!/"  #: stands between an archive and what is in it

_SHA256 = re.compile(r"[0-9a-f]{64}")
_USER_INFO = re.compile(r"(git:)?(https?|git|s3|sftp)://[^/?#]*@")  #: before the host (RFC 3986 3.2.1)
#: scheme -> how what follows it begins, and what to write
_FORMS = {
    "file": (r"/(?!/)|///", "an absolute path of the server, such as file:/home/ada/x; a path of yours has no `file:`"),
    "http": (r"//[^/]", "http://host/path"),
    "https": (r"//[^/]", "https://host/path"),
    "s3": (r"//[^/]", "s3://bucket/key"),
    "sftp": (r"//[^/]", "sftp://host/path"),
    "git": (r"(https?|git)://[^/]", "git:https://host/path@revision!/file"),
}
_PERMISSIONS = re.compile(r"0[0-7]{3}")


class Mode(StrEnum):
    """How what is staged appears in the task's directory."""

    AUTO = "auto"  #: copied where that is small, else linked
    COPY = "copy"
    LINK = "link"
    MOUNT = "mount"  #: a directory that stays where it is, at the same absolute path inside as outside


class Required(Model):
    """How many files must match a pattern."""

    min: int = Field(default=1, ge=0)
    max: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.max is not None and self.max < self.min:
            raise ValueError(f"at least {self.min} and at most {self.max} cannot be")
        return self


class FileEntry(Model):
    """One entry: a file with a source or inline content, a link, or (name ending in `/`) a directory."""

    source: str | None = Field(default=None, description="upload:ID, file:/path, https://…, http://…")
    content: str | None = Field(default=None, description="the file's text itself")
    target: str | None = Field(default=None, description="makes a symbolic link: a path from the link to its target")
    sha256: str | None = None
    size: int | None = Field(default=None, ge=0, description="bytes")
    mode: Mode = Mode.AUTO
    executable: bool = Field(default=False, description='short for permissions "0755"')
    permissions: str | None = Field(default=None, description='as in chmod, in quotes: "0640"')
    writable: bool = Field(default=False, description="a mounted directory that the job may write into")
    require: dict[str, Required] = Field(
        default={}, description="of a directory: patterns that files in it must match, with min (1) and max"
    )

    @field_validator("source")
    @classmethod
    def _known_scheme(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if any(ord(c) < 32 for c in value):
            raise ValueError("has a control character in it")
        scheme, _, rest = value.partition(":")
        if scheme not in SCHEMES or not rest:
            raise ValueError(f"{value!r} is not a source; write {', '.join(f'{s}:…' for s in SCHEMES)}")
        return value

    @field_validator("sha256")
    @classmethod
    def _hex(cls, value: str | None) -> str | None:
        if value is not None and not _SHA256.fullmatch(value):
            raise ValueError("is not a SHA-256: 64 lower-case hexadecimal digits")
        return value

    @field_validator("permissions", mode="before")
    @classmethod
    def _octal(cls, value: Any) -> str | None:
        if value is not None and not (isinstance(value, str) and _PERMISSIONS.fullmatch(value)):
            raise ValueError(f'{value!r} is not permissions; write them as in chmod, in quotes: "0640"')
        return value

    @field_validator("require", mode="before")
    @classmethod
    def _short_forms(cls, value: Any) -> Any:
        """Read `"*.csv"`, `["*.csv"]` and `{"*.csv": 2}`."""
        value = [value] if isinstance(value, str) else value
        if isinstance(value, (list, tuple)):
            if not all(isinstance(pattern, str) for pattern in value):
                raise ValueError('has something in it that is no pattern; write ["*.csv"] or {"*.csv": 3}')
            value = {pattern: {} for pattern in value}
        if not isinstance(value, dict):
            return value
        for pattern, wanted in value.items():
            if not isinstance(wanted, int | dict | Required):
                raise ValueError(f"{pattern}: {wanted!r} is not how many; write a number, or {{min: 1, max: 3}}")
        return {pattern: {"min": wanted} if isinstance(wanted, int) else wanted for pattern, wanted in value.items()}

    @field_validator("require")
    @classmethod
    def _patterns(cls, value: dict[str, Required]) -> dict[str, Required]:
        for pattern in value:
            check_name(pattern)
        return value

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if self.source is not None and self.content is not None:
            raise ValueError("has both a source and content; give one")
        if self.target is not None and self != FileEntry.model_construct(target=self.target):
            raise ValueError("a link has a target and nothing else")
        if self.executable and self.permissions is not None:
            raise ValueError("has both executable and permissions; give one")
        if self.writable and self.mode is not Mode.MOUNT:
            raise ValueError("only what is mounted can be writable in place; write mode: mount")
        return self

    def bits(self, *, directory: bool = False) -> int:
        """Return the permissions as a number: those given, else 0644, 0755 for programs and directories."""
        if self.permissions is not None:
            return int(self.permissions, 8)
        return 0o755 if self.executable or directory else 0o644


class FileTree(Model):
    """A file tree as a document of its own. Files need no source where a tree is only compared with a directory."""

    apiVersion: Literal[1] = 1  # noqa: N815 - the document's own name
    files: dict[str, FileEntry] = {}

    @field_validator("files", mode="before")
    @classmethod
    def _not_too_many(cls, value: Any) -> Any:
        return check_count(value)

    @field_validator("files")
    @classmethod
    def _tree(cls, value: dict[str, FileEntry]) -> dict[str, FileEntry]:
        check_tree(value)
        return value


def is_local(source: str) -> bool:
    """Say whether a directory's source is a directory of the server's own filesystem."""
    return source.startswith("file:") and IN_ARCHIVE not in source


def names_somebody(source: str) -> bool:
    """Say whether a source has a user's name, and so perhaps a password, in its address."""
    return bool(_USER_INFO.match(source))


def malformed(source: str) -> str | None:
    """Say what to write instead of a source that no server could read; None if it may be one."""
    scheme, _, rest = source.partition(":")
    begins, form = _FORMS.get(scheme, ("", ""))
    return None if re.match(begins, rest) else f"{source[:200]!r}: write {form}"


def mounted_at(source: str) -> str:
    """Return the absolute path at which a mounted `file:` source is seen."""
    rest = source.removeprefix("file:")
    path = rest.removeprefix("//") if rest.startswith("///") else rest
    return "/" + "/".join(part for part in path.split("/") if part)


def check_count(files: Any) -> Any:
    """Return what stands under `files`; ValueError where it is more than a tree may have, before anybody reads it."""
    if hasattr(files, "__len__") and len(files) > MOST_ENTRIES:
        raise ValueError(
            f"has {len(files):,} entries, more than the {MOST_ENTRIES:,} that a tree may have; "
            "give a directory of them as one entry with a source, or an archive"
        )
    return files


def check_tree(files: Mapping[str, FileEntry]) -> None:
    """Raise NoTree where the entries do not make a tree: by their names, by what each kind may say, by their links."""
    links = {name: entry.target for name, entry in files.items() if entry.target is not None}
    check_all([wrong_names(files), _wrong_entries(files), wrong_links(links)])


def _wrong_entries(files: Mapping[str, FileEntry]) -> Iterator[tuple[str, str]]:
    ordered = sorted(files)
    for name, entry in files.items():
        words = _in_directory(entry, _below(name, ordered)) if name.endswith("/") else _in_file(entry)
        if words:
            yield name, words


def _below(name: str, ordered: Sequence[str]) -> Iterator[str]:
    """Yield the names below a directory, without its own before them."""
    for at in range(bisect_left(ordered, name) + 1, len(ordered)):
        if not ordered[at].startswith(name):
            return
        yield ordered[at].removeprefix(name)


def _in_directory(entry: FileEntry, below: Iterator[str]) -> str | None:
    """Say what is wrong with the entry of a directory."""
    if entry.content is not None or entry.target is not None:
        return " is a directory: it has neither content nor a target; a file's name does not end in /"
    if entry.bits(directory=True) & 0o500 != 0o500:
        return ": its owner must be able to go into it: such as 0755 or 0700"
    if entry.source is not None:
        return _in_source(entry.source, entry.mode, below)
    if entry.mode is Mode.MOUNT:
        return " is to be mounted; say from where: source: file:/…"
    files = (inner for inner in below if inner[-1] != "/")
    problem = lacking(entry.require, files) if entry.require else None
    return f": {problem}" if problem else None


def _in_source(source: str, mode: Mode, below: Iterator[str]) -> str | None:
    """Say what is wrong with the source of a directory."""
    scheme = source.partition(":")[0]
    if mode is Mode.MOUNT and (scheme not in MOUNTED or IN_ARCHIVE in source):
        return ": only file:… and site:… are on this machine and can be mounted; copy or link it"
    if scheme not in DIRECTORY_SCHEMES and IN_ARCHIVE not in source:
        kinds = ", ".join(f"{scheme}:…" for scheme in DIRECTORY_SCHEMES)
        return f" is a directory, whose source can be {kinds} or an archive (….zip!/); give its files their own entries"
    if (inner := next(below, None)) is not None:
        return f" has a source of its own, so {inner!r} in it cannot have an entry"
    return None


def _in_file(entry: FileEntry) -> str | None:
    """Say what is wrong with the entry of a file or a link."""
    if entry.mode is Mode.MOUNT:
        return ": only directories are mounted; name the one it lies in, ending in /"
    if entry.require:
        return " is a file; patterns are required of directories, whose names end in /"
    if not entry.bits() & 0o400:
        return ": its owner must be able to read it: such as 0644 or 0600"
    return None


def lacking(require: Mapping[str, Required], names: Iterable[str]) -> str | None:
    """Say which required pattern too few or too many of the files' names match; None if all is well."""
    if not require:
        return None
    counts = dict.fromkeys(require, 0)
    for name in names:
        for pattern in require:
            counts[pattern] += matches(pattern, name)
    for pattern, wanted in require.items():
        if counts[pattern] < wanted.min:
            return f"there must be at least {wanted.min} {pattern}, but there {_are(counts[pattern])}"
        if wanted.max is not None and counts[pattern] > wanted.max:
            return f"there may be at most {wanted.max} {pattern}, but there {_are(counts[pattern])}"
    return None


def _are(count: int) -> str:
    return {0: "is none", 1: "is one"}.get(count, f"are {count}")
