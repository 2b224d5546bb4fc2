"""Reading the settings: config.toml, the environment over it, and where each value came from."""

from __future__ import annotations

import os
import tomllib
from typing import TYPE_CHECKING, Any

from cluster_interface import locations
from cluster_interface.model.errors import Rejected
from cluster_interface.settings.all import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PREFIX = "CLIF_"


def load(environ: Mapping[str, str] = os.environ) -> tuple[Settings, dict[str, str]]:
    """Read the settings and, per dotted name, where its value came from; Rejected names what is wrong."""
    path = locations.config_file(environ)
    values = _from_file(path)
    origins = dict.fromkeys(_names(values), str(path))
    for name, (dotted, text) in _from_environment(environ).items():
        _put(values, dotted, text)
        origins[dotted] = name
    settings = Settings.parse(values)
    return settings, {name: origins.get(name, "default") for name in _names(settings.model_dump())}


def _from_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Rejected.field(str(path), f"cannot be read: {error}") from None


def _from_environment(environ: Mapping[str, str]) -> dict[str, tuple[str, Any]]:
    """Take CLIF_<SECTION>__<NAME> and CLIF_RUNTIME; other CLIF_ variables belong to the client or to job.sh."""
    known = set(_names(Settings().model_dump()))
    found = {}
    for name, text in environ.items():
        dotted = name.removeprefix(PREFIX).lower().replace("__", ".")
        if not name.startswith(PREFIX) or ("__" not in name and dotted not in known):
            continue
        if dotted not in known:
            raise Rejected.field(name, f"no such setting; known: {', '.join(sorted(known))}")
        is_list = isinstance(_get(Settings().model_dump(), dotted), tuple)
        found[name] = (dotted, [part for part in text.split(",") if part] if is_list else text)
    return found


def _names(values: Mapping[str, Any], prefix: str = "") -> list[str]:
    names: list[str] = []
    for key, value in values.items():
        names += _names(value, f"{prefix}{key}.") if isinstance(value, dict) else [f"{prefix}{key}"]
    return names


def _get(values: Mapping[str, Any], dotted: str) -> Any:
    for part in dotted.split("."):
        values = values[part]
    return values


def _put(values: dict[str, Any], dotted: str, value: Any) -> None:
    *sections, name = dotted.split(".")
    for section in sections:
        values = values.setdefault(section, {})
    values[name] = value
