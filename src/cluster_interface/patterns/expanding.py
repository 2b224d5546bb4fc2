"""The expander: a pattern and what was filled in become a job spec.

`${{ name }}` is where a field's value goes. Alone in a string, it stands for the value as it is: a number, a list
(spliced into a list), a command that somebody wrote; a field that was left empty takes its key away. Beside other
text of the `command` it becomes words quoted for the shell, so that no value can be more than a word;
`${{ --option name }}` writes the option before it, and nothing where there is no value.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from cluster_interface.model.errors import Problem, Rejected
from cluster_interface.model.job_pattern import PLACE, places
from cluster_interface.model.jobspec import JobSpec
from cluster_interface.patterns.filling import fill

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cluster_interface.model.job_pattern import Pattern

COMMAND = "command"


def expand(
    pattern: Pattern, given: Mapping[str, Any], *, example: bool = False, more: Mapping[str, Any] | None = None
) -> JobSpec:
    """Return the spec that the values make; `more` are fields of the spec (resources, name) that go on top.

    Raises Rejected naming each bad field: `values.<name>` for what was filled in.
    """
    filled = fill(pattern, given, example=example)
    document = _Filling(filled.values).place(pattern.spec, "") or {}
    own = document.setdefault("files", {})
    if isinstance(own, dict) and (twice := sorted(own.keys() & filled.files)):
        raise Rejected(
            problems=[Problem("values", f"{name!r} is the pattern's own file; rename yours") for name in twice]
        )
    document["files"] = {**own, **filled.files}
    try:
        return JobSpec.parse(_merged(document, more or {}))
    except Rejected as error:
        problems = [Problem(_origin(pattern, one.field, more or {}), one.message) for one in error.problems]
        raise Rejected(problems=problems) from None


class _Filling:
    """Puts values in their places."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def place(self, template: Any, at: str) -> Any:
        """Return a part of the template with every place filled; None where it stood for an empty field."""
        if isinstance(template, str):
            return self._string(template, quoted=at == COMMAND)
        if isinstance(template, list):
            return self._list(template)
        if isinstance(template, dict):
            found = {self._text(str(key)): self.place(inner, str(key)) for key, inner in template.items()}
            kept = {key: inner for key, inner in found.items() if inner is not None}
            return kept if kept or not template else None
        return template

    def _list(self, template: list[Any]) -> list[Any]:
        found: list[Any] = []
        for inner in template:
            value = self.place(inner, "")
            alone = isinstance(inner, str) and PLACE.fullmatch(inner)
            found += value if alone and isinstance(value, list) else [value]
        return [value for value in found if value is not None]

    def _string(self, template: str, *, quoted: bool) -> Any:
        alone = PLACE.fullmatch(template.strip())
        if alone and not alone["option"]:
            return self._values.get(alone["name"])
        return self._text(template, quoted=quoted)

    def _text(self, template: str, *, quoted: bool = False) -> str:
        """Fill a text; an empty place takes the space before it away."""
        pieces, at = [], 0
        for found in PLACE.finditer(template):
            written = self._written(found["name"], found["option"], quoted=quoted)
            before = template[at : found.start()]
            pieces += [before if written else before.removesuffix(" "), written]
            at = found.end()
        return "".join([*pieces, template[at:]])

    def _written(self, name: str, option: str | None, *, quoted: bool) -> str:
        value = self._values.get(name)
        if value is None or value is False or value == []:
            return ""
        if value is True and option:
            return option
        words = [_word(one) for one in (value if isinstance(value, list) else [value])]
        text = " ".join(shlex.quote(word) for word in words) if quoted else " ".join(words)
        return f"{option}{'' if option.endswith('=') else ' '}{text}" if option else text


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _merged(document: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Put fields on top, mapping by mapping."""
    found = dict(document)
    for key, value in more.items():
        both = isinstance(value, dict) and isinstance(found.get(key), dict)
        found[key] = _merged(found[key], value) if both else value
    return found


def _origin(pattern: Pattern, field: str, more: Mapping[str, Any]) -> str:
    """Name the form's field that a refused part of the spec came from."""
    part: Any = pattern.spec
    if field.partition(".")[0] in more:
        return field
    for key in field.split("."):
        if isinstance(part, dict):
            part = part.get(key)
        elif isinstance(part, list) and key.isdigit():
            part = part[min(int(key), len(part) - 1)] if part else None  # a spliced list is at or before its end
        else:
            break
    named = list(places(part)) if isinstance(part, str) else []
    return f"values.{named[0]}" if named else field
