"""The base of every validated model: unknown fields are errors with a suggestion."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from cluster_interface.model.errors import Problem, Rejected
from cluster_interface.model.filenames import NoTree

if TYPE_CHECKING:
    from collections.abc import Iterable


#: In place of words that name our classes, or Python's.
_PLAIN = {
    "model_type": "is not a mapping; write fields and their values",
    "model_attributes_type": "is not a mapping",
    "dict_type": "is not a mapping; write names and their values",
    "tuple_type": "is not a list; write [one, two]",
    "list_type": "is not a list; write [one, two]",
    "string_type": "is not a text; put it in quotes",
    "missing": "is missing",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
}


class Model(BaseModel):
    """A frozen value that refuses fields it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    @classmethod
    def parse(cls, data: Any, at: str = "") -> Self:
        """Validate `data`; raise Rejected naming every bad field (prefixed with `at`) otherwise."""
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise Rejected(problems=list(_problems(cls, error, at))) from None


def _problems(model: type[BaseModel], error: ValidationError, at: str) -> Iterable[Problem]:
    for item in error.errors(include_url=False):
        location = [str(part) for part in item["loc"] if part != ""]
        field = ".".join([at, *location] if at else location) or "document"
        if item["type"] == "extra_forbidden":
            yield Problem(field, f"unknown field{_suggestion(model, location)}")
        elif isinstance(cause := item.get("ctx", {}).get("error"), NoTree) and item["loc"][-1:] == ("files",):
            for name, words in cause.problems:
                yield Problem(f"{field}.{name}", words.removeprefix(":").strip())
        else:
            yield Problem(field, _PLAIN.get(item["type"]) or _worded(item["msg"]))


def _worded(message: str) -> str:
    return message.removeprefix("Value error, ").replace("Input should be", "must be", 1)


def _suggestion(model: type[BaseModel], location: list[str]) -> str:
    known = _fields_at(model, location[:-1])
    close = difflib.get_close_matches(location[-1], known, n=1, cutoff=0.5)
    if close:
        return f"; did you mean `{close[0]}`?"
    return f"; known here: {', '.join(sorted(known))}" if known else ""


def _fields_at(model: type[BaseModel], path: list[str]) -> list[str]:
    for name in path:
        field = model.model_fields.get(name)
        inner = _model_in(field.annotation) if field else None
        model = inner or model  # no such field: the key of a mapping, whose values are `model`
    return [f.alias or name for name, f in model.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        if found := _model_in(argument):
            return found
    return None
