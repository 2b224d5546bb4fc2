"""Writes the reference from the code: the settings, the commands and the job spec cannot be out of date."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from cluster_interface.main import app, serve
from cluster_interface.model.jobspec import JobSpec
from cluster_interface.model.resources import MIB, show_bytes
from cluster_interface.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pydantic import BaseModel


def write_all(directory: Path) -> None:
    """Write every generated piece of Markdown."""
    directory.mkdir(parents=True, exist_ok=True)
    app.add_command(serve)
    (directory / "settings.md").write_text("\n".join(settings_table(Settings)) + "\n")
    (directory / "commands.md").write_text("\n".join(commands(app)) + "\n")
    (directory / "jobspec.md").write_text("\n".join(fields_table(JobSpec)) + "\n")
    (directory / "job.schema.json").write_text(json.dumps(JobSpec.model_json_schema(), indent=2) + "\n")


def settings_table(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield a table of all settings: name, variable, default, meaning."""
    if not prefix:
        yield "| setting | environment | default | meaning |"
        yield "|---|---|---|---|"
    for name, field in model.model_fields.items():
        dotted = f"{prefix}{name}"
        inner = field.annotation
        if isinstance(inner, type) and hasattr(inner, "model_fields"):
            yield from settings_table(inner, f"{dotted}.")
        else:
            variable = "CLIF_" + dotted.upper().replace(".", "__")
            yield f"| `{dotted}` | `{variable}` | {_default(field)} | {_cell(field.description or '')} |"


def _default(field: Any) -> str:
    if field.default_factory is not None:
        return "depends on the account, see above"
    if field.default is None or field.default == ():
        return "none"
    value = field.default
    if isinstance(value, int) and value >= MIB:
        value = show_bytes(value)
    return f"`{', '.join(value) if isinstance(value, tuple) else value}`"


def fields_table(model: type[BaseModel]) -> Iterator[str]:
    """Yield a table of the spec's fields, from its JSON Schema."""
    schema = model.model_json_schema()
    yield "| field | type | meaning |"
    yield "|---|---|---|"
    yield from _fields(schema, schema.get("$defs", {}), "")


def _fields(schema: dict[str, Any], definitions: dict[str, Any], prefix: str) -> Iterator[str]:
    for name, about in schema["properties"].items():
        yield f"| `{prefix}{name}` | {_cell(_type(about))} | {_cell(about.get('description', ''))} |"
        inner, below = _inner(about, definitions)
        if inner:
            yield from _fields(inner, definitions, f"{prefix}{name}.{below}")


def _inner(about: dict[str, Any], definitions: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
    values = about.get("additionalProperties")
    below = "<name>." if isinstance(values, dict) else ""
    for candidate in [about, *about.get("anyOf", []), values or {}]:
        if isinstance(candidate, dict) and (reference := candidate.get("$ref")):
            found = definitions[reference.rpartition("/")[2]]
            if "properties" in found:
                return found, below
    return None, ""


def _type(about: dict[str, Any]) -> str:
    if "anyOf" in about:
        return " or ".join(dict.fromkeys(_type(option) for option in about["anyOf"]))
    if "const" in about:
        return str(about["const"])
    if "$ref" in about:
        return "mapping" if "Mode" not in about["$ref"] else "auto, copy or link"
    kind = {"object": "mapping", "array": "list"}.get(about.get("type", ""), about.get("type", "any"))
    return "null" if kind == "null" else str(kind)


def commands(group: click.Group, words: str = "clif") -> Iterator[str]:
    """Yield a section for every command: its usage line, what it does, its options."""
    context = click.Context(group, info_name=words)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        if isinstance(command, click.Group):
            yield from commands(command, f"{words} {name}")
            continue
        text = command.get_help(click.Context(command, info_name=f"{words} {name}", terminal_width=100))
        yield from (f"## {words} {name}", "", "```text", text, "```", "")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "\\<").replace("\n", " ")
