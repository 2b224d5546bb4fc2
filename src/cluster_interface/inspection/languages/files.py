"""Strings that are files: read or written by what the call that they are given to does."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cluster_interface.inspection.paths import OF_THE_SYSTEM, add_absolute
from cluster_interface.inspection.project import simplify
from cluster_interface.inspection.wording import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.languages.lexis import Source, Text

MOST_PATTERNS = 200
LONGEST = 1024
_WORD = re.compile(r"[A-Za-z_][\w.!?]*")
_WRITING_MODE = re.compile(
    r"[+]?[>]{1,2}[^ ]*|[rb]*[wax][btx+]*|w[bt+]*|replace|new|unknown|write|readwrite|scratch|append"
)
_READING_MODE = re.compile(r"<[^ ]*|r[bt]?|old|read|formatted")
_PATHLIKE = re.compile(r"[\w./*~-][\w./*~ +=@,-]*\.\w{1,8}|[\w.*-]+(?:/[\w.*-]+)+/?")
_GLUES = frozenset({"paste0", "paste", "str_c", "strcat", "string"})
_OLD_MODE = re.compile(r"\s*(\+?[<>]{1,2})\s*([\w./~-][^|<>]*)")
_ADDING = re.compile(r"append|[\"']a[+b]?[\"']|>>", re.IGNORECASE)
_LINK = re.compile(r"(?:https?|ftp|s3|gs)://")


@dataclass(frozen=True)
class Verbs:
    """What a language's functions do with the file that they are given."""

    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    opens: frozenset[str] = frozenset()  #: one or the other, as a mode among their arguments says
    joins: frozenset[str] = frozenset()  #: make a path of their arguments
    makes: frozenset[str] = frozenset()  #: directories


def read_files(draft: Draft, source: Source, verbs: Verbs, where: Where) -> list[str]:
    """Add the files that a program's strings name; return those of the project that it reads."""
    found: list[str] = []
    written = _written_constants(source, verbs)
    made: set[str] = set()  # what is there whether it was there before or not
    for given in _paths(source, verbs):
        text, does = _in_old_words(given) if "open" in verbs.opens else (given, "")
        if len(text.value) > LONGEST or "\n" in text.value or not text.value.strip("*./"):
            continue
        does = does or written.get(text.start) or _does(source, text, verbs)
        if does in ("write", "make"):
            _writes(draft, f"{text.value}/**" if does == "make" else text.value, where(text.line))
            if does == "write" and _is_at_top(source, text) and not _ADDING.search(_line_of(source, text)):
                made.add(text.value)
        elif text.value not in made:
            found += _reads(draft, text.value, where(text.line), stated=does == "read")
    return found


def _in_old_words(text: Text) -> tuple[Text, str]:
    """Take the mode off a name, as Perl has it: `open(IN, "<data.txt")`."""
    found = _OLD_MODE.fullmatch(text.value) if any("open" in _called(call) for call in text.calls[:1]) else None
    if not found:
        return text, ""
    return replace(text, value=found[2]), "read" if found[1] == "<" else "write"


def _line_of(source: Source, text: Text) -> str:
    start = source.code.rfind("\n", 0, text.start) + 1
    end = source.code.find("\n", text.start)
    return source.code[start : end if end >= 0 else len(source.code)]


def _is_at_top(source: Source, text: Text) -> bool:
    """Say whether a line is no part of a function or a loop: what it does is done before what stands below."""
    return not _line_of(source, text)[:1].isspace()


class Where:
    """Says where a line is, for people."""

    def __init__(self, draft: Draft, name: str) -> None:
        self._of = "" if name == draft.script else f" of {name}"

    def __call__(self, line: int) -> str:
        """Name a line."""
        return f"line {line}{self._of}"


def _paths(source: Source, verbs: Verbs) -> Iterator[Text]:
    """Yield the strings; those that a call joins to a path as one, where all of it is known."""
    pending: list[Text] = []
    for text in source.texts:
        if text.calls and _called(text.calls[0]) & (verbs.joins | _GLUES):
            if pending and pending[0].call != text.call:
                yield _joined(pending)
                pending = []
            pending.append(text)
            continue
        yield text
    if pending:
        yield _joined(pending)


def _joined(texts: list[Text]) -> Text:
    if _called(texts[0].calls[0]) & _GLUES:
        glued = {text.place: text.value for text in texts if not text.key}
        value = "".join(glued.get(place, "*") for place in range(max(glued, default=-1) + 1)) or "*"
        return replace(texts[0], value=value, calls=texts[0].calls[1:])
    parts: dict[int, str] = {text.place: text.value.strip("/") if text.place else text.value for text in texts}
    value = "/".join(parts.get(place, "*").rstrip("/") for place in range(max(parts) + 1))
    return replace(texts[0], value=value, calls=texts[0].calls[1:])


def _does(source: Source, text: Text, verbs: Verbs) -> str:
    """Say what is done with a text's file: the innermost call counts that does something to files."""
    for call in text.calls:
        if does := _verb(_called(call), verbs, source, text):
            return does
    return _verb(
        set(_WORD.findall(text.before)) | {word.rpartition(".")[2] for word in _WORD.findall(text.before)},
        verbs,
        source,
        text,
    )


def _verb(words: set[str], verbs: Verbs, source: Source, text: Text) -> str:
    if words & verbs.makes:
        return "make"
    if words & verbs.writes:
        return "write"
    if words & verbs.opens:
        return _by_mode(source, text)
    return "read" if words & verbs.reads else ""


def _by_mode(source: Source, text: Text) -> str:
    beside = [one.value for one in source.texts if one.start != text.start and _together(one, text)]
    if any(_READING_MODE.fullmatch(mode.lower()) for mode in beside):
        return "read"
    return "write" if any(_WRITING_MODE.fullmatch(mode.lower()) for mode in beside) else ""


def _together(one: Text, other: Text) -> bool:
    if other.call >= 0 and other.calls:
        return one.call == other.call
    return one.line == other.line


def _called(call: str) -> set[str]:
    """List the names that a call may be known by: `std::ofstream out` is ofstream and out, `os.Create` Create."""
    words = re.split(r"[\s<>]+", call.replace("::", " "))
    return {word for word in words if word} | {word.rpartition(".")[2] for word in words} | {call}


def _written_constants(source: Source, verbs: Verbs) -> dict[int, str]:
    """Find the texts that have a name of their own which is only given to what writes."""
    if not source.constants:
        return {}
    names = "|".join(sorted((re.escape(name) for name in source.constants), key=len, reverse=True)[:MOST_PATTERNS])
    does: dict[str, set[str]] = {}
    for found in re.finditer(rf"([A-Za-z_][\w.:]*)\s*\(([^()\n]{{0,200}}?)(?<![\w.])({names})(?![\w.(])", source.code):
        words = _called(found[1])
        verb = "write" if words & verbs.writes else "make" if words & verbs.makes else ""
        does.setdefault(found[3], set()).add(verb)
    return {
        source.constants[name].start: next(iter(said)) for name, said in does.items() if len(said) == 1 and said != {""}
    }


def _reads(draft: Draft, text: str, where: str, *, stated: bool) -> list[str]:
    project = draft.project
    if _LINK.match(text):
        if stated:
            draft.needs_network(f"{where} reads {shown(text)}")
        return []
    if text.startswith(("/", "~/")):
        if stated or _PATHLIKE.fullmatch(text):
            add_absolute(draft, text, where)
        return []
    name = simplify(posixpath.normpath(text))
    if name in project:
        draft.add_inputs([name], where)
        return [name]
    if (
        "*" in name
        and name.split("*", 1)[0].rpartition("/")[0] in {"", *project.directories}
        and len(name.strip("*./")) > 1
    ):
        draft.add_inputs(project.matching(name), where)
    elif name in project.directories and (stated or "/" in text):
        draft.add_inputs(project.below(name), where)
    return []


def _writes(draft: Draft, text: str, where: str) -> None:
    if text.startswith(("/", "~")):
        if not text.startswith(OF_THE_SYSTEM):
            draft.warn(f"{where} writes {shown(text)}, which is not there in the job: write a relative path")
        return
    name = simplify(posixpath.normpath(text))
    if draft.of_job(name).startswith(".."):
        draft.warn(f"{where} writes {shown(text)}, outside the job's directory, which is not possible")
    elif _PATHLIKE.fullmatch(name) or "/" in name or "." in name:
        draft.add_output(name, where)
