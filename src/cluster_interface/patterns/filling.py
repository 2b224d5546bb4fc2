"""What was filled in, checked field by field: texts become numbers, words, lists; files find their place in the job."""

from __future__ import annotations

import difflib
import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cluster_interface.model.errors import Problem, Rejected
from cluster_interface.model.filenames import check_name
from cluster_interface.model.job_pattern import FieldKind
from cluster_interface.model.lists import assignment, spread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cluster_interface.model.job_pattern import Field, Pattern

MOST_FILES = 10_000  #: of one field

_YES, _NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0", "")
_ENTRY = ("source", "content", "sha256", "size", "executable", "mode")


@dataclass(frozen=True)
class Filled:
    """The values as a template takes them (a file by its name in the job), and the files themselves."""

    values: dict[str, Any] = field(default_factory=dict)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)


def fill(pattern: Pattern, given: Mapping[str, Any], *, example: bool = False) -> Filled:
    """Check every value; with `example`, the pattern's own stand in for those that are not given.

    Raises Rejected naming each bad field as `values.<name>`.
    """
    if example:
        given = {**pattern.example.values, **{name: value for name, value in given.items() if value is not None}}
    problems = [
        Problem(f"values.{name}", f"unknown field{_suggestion(name, pattern)}")
        for name in given
        if name not in pattern.fields
    ]
    filled = Filled()
    for name, about in pattern.fields.items():
        try:
            _take(filled, pattern, name, about, given.get(name))
        except ValueError as error:
            problems.append(Problem(f"values.{name}", str(error)))
        except Rejected as error:
            problems += error.problems
    if problems:
        raise Rejected(problems=problems)
    return filled


def _take(filled: Filled, pattern: Pattern, name: str, about: Field, value: Any) -> None:
    if value is None or value in ("", [], {}):
        value = about.default
    if value is None or (isinstance(value, str) and not value.strip() and about.kind is not FieldKind.FLAG):
        if about.wanted:
            raise ValueError("is needed")
        return
    if about.is_file:
        names = []
        for job_name, entry in _entries(about, value, pattern.example.files):
            if job_name in filled.files:
                raise ValueError(f"{job_name!r} is there twice; rename one of the files")
            filled.files[job_name] = entry
            names.append(job_name)
        filled.values[name] = names[0] if about.kind is FieldKind.FILE else names
    elif about.kind is FieldKind.SWEEP:
        filled.values[name] = _sweep(value, f"values.{name}")
    else:
        filled.values[name] = _READERS[about.kind](about, value)


def _suggestion(name: str, pattern: Pattern) -> str:
    close = difflib.get_close_matches(name, pattern.fields, n=1, cutoff=0.5)
    if close:
        return f"; did you mean `{close[0]}`?"
    return f"; known here: {', '.join(pattern.fields)}" if pattern.fields else "; this pattern has none"


# --- one value


def _text(about: Field, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("is not a text")
    text = str(value)
    if about.kind is FieldKind.TEXT and any(c in text for c in "\r\n"):
        raise ValueError("has a line break in it")
    if "\0" in text:
        raise ValueError("has a NUL in it")
    if about.like is not None and not re.fullmatch(about.like, text):
        raise ValueError(f"{text[:60]!r} does not fit. {about.help or f'It must match {about.like}'}")
    return text.replace("\r\n", "\n")


def _words(about: Field, value: Any) -> list[str]:
    del about
    if isinstance(value, list | tuple):
        if not all(isinstance(word, str | int | float) for word in value):
            raise ValueError("is not a list of words")
        return [str(word) for word in value]
    try:
        return shlex.split(str(value))
    except ValueError:
        raise ValueError("has a quote that is not closed") from None


def _number(about: Field, value: Any) -> int | float:
    whole = about.kind is FieldKind.INTEGER
    try:
        if isinstance(value, bool):
            raise ValueError
        number = int(str(value).strip()) if whole else float(str(value).strip())
    except ValueError:
        raise ValueError(f"{str(value)[:40]!r} is not a {'whole ' if whole else ''}number") from None
    if number != number or number in (float("inf"), float("-inf")):  # noqa: PLR0124 - what only NaN is
        raise ValueError(f"{value!r} is not a number")
    if about.least is not None and number < about.least:
        raise ValueError(f"must be at least {about.least:g}, not {number:g}")
    if about.most is not None and number > about.most:
        raise ValueError(f"must be at most {about.most:g}, not {number:g}")
    return number


def _flag(about: Field, value: Any) -> bool:
    del about
    text = str(value).strip().lower()
    if text not in (*_YES, *_NO):
        raise ValueError(f"{str(value)[:40]!r} is neither yes nor no")
    return text in _YES


def _choice(about: Field, value: Any) -> str:
    if str(value) not in about.choices:
        raise ValueError(f"{str(value)[:40]!r} is not one of {', '.join(about.choices)}")
    return str(value)


_READERS: dict[FieldKind, Callable[[Field, Any], Any]] = {
    FieldKind.TEXT: _text,
    FieldKind.LINES: _text,
    FieldKind.WORDS: _words,
    FieldKind.INTEGER: _number,
    FieldKind.NUMBER: _number,
    FieldKind.FLAG: _flag,
    FieldKind.CHOICE: _choice,
}


def _sweep(value: Any, field_: str) -> dict[str, list[Any]]:
    """Read parameters: a mapping of name to values, or texts such as `n = 1..10`, one a line."""
    if isinstance(value, dict):
        return {
            str(name): spread(listed, field_) if isinstance(listed, str) else list(listed)
            for name, listed in value.items()
        }
    texts = value if isinstance(value, list | tuple) else str(value).splitlines()
    found: dict[str, list[Any]] = {}
    for text in filter(None, (str(text).strip() for text in texts)):
        name, sign, listed = text.partition("=")
        parted = assignment(f"{name.strip()}={listed.strip()}") if sign else None
        if parted is None:
            raise ValueError(f"{text[:60]!r} is no parameter; write for example n = 1, 2, 5 or n = 1..10")
        found[parted[0]] = [*found.get(parted[0], []), *spread(parted[1], field_)]
    return found


# --- files


def _entries(about: Field, value: Any, example: Mapping[str, str]) -> list[tuple[str, dict[str, Any]]]:
    """Return the name in the job and the entry of each file of a field."""
    several = value if isinstance(value, list | tuple) else [value]
    if about.kind is FieldKind.FILE and len(several) != 1:
        raise ValueError(f"is one file, not {len(several)}")
    if len(several) > MOST_FILES:
        raise ValueError(f"are more than {MOST_FILES} files; name their directory instead")
    return [_entry(about, one, example) for one in several]


def _entry(about: Field, value: Any, example: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    if isinstance(value, str):
        value = {"name": value, "content": example[value]} if value in example else {"source": value}
    if not isinstance(value, dict):
        raise ValueError("is not a file: give a source, or name and content")
    entry = {key: value[key] for key in _ENTRY if value.get(key) is not None}
    source = str(entry.get("source") or "")
    if not source and "content" not in entry:
        raise ValueError("has neither a source nor content")
    if source.endswith("/") and about.kind is FieldKind.FILES:
        assert about.to is not None  # noqa: S101 - the pattern was checked
        return about.to, {"mode": "mount", **entry, "source": source.rstrip("/")}
    name = str(value.get("name") or source.partition("?")[0]).rstrip("/").rpartition("/")[2]
    if about.accept and not name.lower().endswith(about.accept):
        raise ValueError(f"{name!r} does not end in {' or '.join(about.accept)}")
    return check_name(_place(about, name)), entry


def _place(about: Field, name: str) -> str:
    if about.to is None:
        return name
    return f"{about.to}{name}" if about.to.endswith("/") else about.to
