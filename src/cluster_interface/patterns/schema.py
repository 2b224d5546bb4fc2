"""A pattern's form as JSON Schema, for those who draw or check it themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cluster_interface.model.job_pattern import FieldKind

if TYPE_CHECKING:
    from cluster_interface.model.job_pattern import Field, Pattern

_FILE: dict[str, Any] = {
    "oneOf": [
        {"type": "string", "description": "a source: https://…, file:/… or upload:…"},
        {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "source": {"type": "string"},
                "content": {"type": "string"},
                "sha256": {"type": "string"},
                "size": {"type": "integer"},
            },
        },
    ]
}
_SWEEP: dict[str, Any] = {
    "oneOf": [
        {"type": "string", "description": "n = 1..10, one parameter a line"},
        {"type": "object", "additionalProperties": {"type": "array"}},
    ]
}
_TYPES: dict[FieldKind, dict[str, Any]] = {
    FieldKind.TEXT: {"type": "string"},
    FieldKind.LINES: {"type": "string"},
    FieldKind.WORDS: {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
    FieldKind.INTEGER: {"type": "integer"},
    FieldKind.NUMBER: {"type": "number"},
    FieldKind.FLAG: {"type": "boolean"},
    FieldKind.CHOICE: {"type": "string"},
    FieldKind.FILE: _FILE,
    FieldKind.FILES: {"oneOf": [*_FILE["oneOf"], {"type": "array", "items": _FILE}]},
    FieldKind.SWEEP: _SWEEP,
}


def form_schema(pattern: Pattern) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the `values` that a pattern takes; `x-kind` says how to draw each."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": pattern.title,
        "description": pattern.summary,
        "type": "object",
        "properties": {name: _property(field) for name, field in pattern.fields.items()},
        "required": [name for name, field in pattern.fields.items() if field.wanted],
        "additionalProperties": False,
    }


def _property(field: Field) -> dict[str, Any]:
    said = {
        "description": field.help,
        "default": field.default,
        "enum": list(field.choices) if field.kind is FieldKind.CHOICE else None,
        "minimum": field.least,
        "maximum": field.most,
        "pattern": field.like,
        "x-accept": list(field.accept),
        "x-choices": field.choices,
    }
    kept = {name: value for name, value in said.items() if value not in (None, "", [], {})}
    return {**_TYPES[field.kind], "title": field.title, "x-kind": field.kind.value, **kept}
