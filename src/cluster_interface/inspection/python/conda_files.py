"""environment.yml, as conda writes and reads it: its packages by the names that PyPI and Debian have for them.

The format: https://docs.conda.io/projects/conda/en/latest/user-guide/tasks/manage-environments.html; a spec such as
`conda-forge::numpy=1.21=py39_0`: https://docs.conda.io/projects/conda/en/latest/user-guide/concepts/pkg-specs.html
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cluster_interface.inspection.python.distributions import table
from cluster_interface.inspection.python.names import is_known
from cluster_interface.inspection.python.stated import Need, Stated

if TYPE_CHECKING:
    from collections.abc import Sequence

LARGEST = 256 * 1024  #: characters that are read
_SPEC = re.compile(r"(?:[^\s:]+::)?\s*([A-Za-z0-9_][\w.-]*)\s*(?:\[[^]]*\])?\s*(.*)", re.DOTALL)
_EXACT = re.compile(r"==?\s*([^\s=]+)\s*=\s*[^\s=]+")  # version and build
_FUZZY = re.compile(r"=?\s*(\d[\w.!+]*?)(\.?\*)?(?:\s+\S+)?")
_PARTS = re.compile(
    r"lib.*|_.*|.*-(?:ng|abi\d*|base-all|runtime|tools-all)|.*_linux-64|cuda-.*|font.*|xorg-.*|aws-c-.*"
)


def read_environment_file(file: str, text: str) -> Stated:
    """Read the dependencies of an environment.yml, those of its pip section included."""
    document = _document(text)
    if isinstance(document, str):
        return Stated(file, troubles=(f"{file} cannot be read as an environment of conda: {document}",))
    pip = [one for item in document if isinstance(item, dict) for one in _texts(item.get("pip"))]
    found = of_conda(f"{file}, dependencies", [item for item in document if isinstance(item, str)])
    return replace(found, file=file, needs=(*found.needs, *(Need(one, f"{file}, pip") for one in pip)))


def of_conda(where: str, specs: Sequence[str]) -> Stated:
    """Understand packages of conda: what PyPI has, what Debian has, and what is not well known outside conda."""
    needs: list[Need] = []
    system: list[Need] = []
    unsure: list[Need] = []
    python = None
    for spec in specs:
        if (found := _SPEC.fullmatch(spec.strip())) is None:
            continue
        name, version = found[1].lower(), _version(found[2])
        if name == "python":
            python = python or _python(version)
        elif name in table().conda_parts or _PARTS.fullmatch(name):
            continue
        elif debian := table().conda_system.get(name):
            system.append(Need(debian, f"{where}: {spec}"))
        elif name == "anaconda":  # the collection: its number is a date
            needs.append(Need(table().conda[name], f"{where}: {spec}"))
        elif pypi := table().conda.get(name) or (name if is_known(name) or table().has(name) else None):
            needs.append(Need(pypi + version, f"{where}: {spec}"))
        else:
            unsure.append(Need(name, where))
    return Stated(where, tuple(needs), python, tuple(system), tuple(unsure))


def _document(text: str) -> list[Any] | str:
    """Return the dependencies; words where there are none to be read."""
    import yaml  # noqa: PLC0415 - 30 ms, only where there is such a file

    if len(text) > LARGEST:
        return "it is too large"
    try:
        document = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - a safe one
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        return " ".join(str(error).split())[:200]
    found = document.get("dependencies") if isinstance(document, dict) else None
    return found if isinstance(found, list) else "it has no list of dependencies"


def _texts(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _version(text: str) -> str:
    """Write the version of a spec by PEP 440: `=1.21` is 1.21.*, with a build it is exact, ranges stay."""
    text = text.strip()
    if not text or text == "*" or "|" in text:
        return ""
    if exact := _EXACT.fullmatch(text):
        return f"=={exact[1]}"
    if text.startswith("=="):
        return f"=={text[2:].strip()}"
    if fuzzy := _FUZZY.fullmatch(text):
        return f"=={fuzzy[1].rstrip('.')}.*"
    return "".join(text.split())


def _python(version: str) -> str | None:
    """Write a demand for Python: 3.9.7 is any 3.9, since an image has one of each."""
    exact = re.match(r"==(\d+\.\d+)", version)
    return f"=={exact[1]}.*" if exact else version or None
