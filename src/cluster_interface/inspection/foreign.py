"""What is not supported, in words: the languages we recognise but cannot run yet, and binaries."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from cluster_interface.inspection.shebang import read_shebang
from cluster_interface.inspection.wording import shown

if TYPE_CHECKING:
    from cluster_interface.inspection.project import Project

_BY_EXTENSION = {
    ".h": "a C header",
    ".cu": "CUDA source",
    ".jar": "a Java program",
    ".ps1": "a PowerShell script",
    ".bat": "a Windows batch file",
    ".cmd": "a Windows batch file",
    ".exe": "a Windows program",
    ".nf": "a Nextflow workflow",
    ".do": "a Stata script",
    ".sas": "a SAS program",
    ".pyx": "Cython source",
    ".pyc": "compiled Python; hand over its .py file instead",
}


def why_not(project: Project, name: str, supported: tuple[str, ...]) -> str:
    """Say what a file is and that it cannot be run, and what can."""
    return f"{shown(name)} {_what(project, name)}; supported are {', '.join(supported)}"


def is_foreign(name: str) -> bool:
    """Say whether a file's ending is that of another language; Grid Engine's own `.cmd` files are shell scripts."""
    return posixpath.splitext(name)[1].lower() in _BY_EXTENSION.keys() - {".cmd"}


def _what(project: Project, name: str) -> str:
    text = project.text(name)
    extension = posixpath.splitext(name)[1].lower()
    if text is not None and (shebang := read_shebang(text)):
        return f"asks for the interpreter {shown(shebang.interpreter)} in its first line, which cannot be run yet"
    if extension in _BY_EXTENSION:
        return f"is {_BY_EXTENSION[extension]}, which cannot be run yet"
    if text is None:
        return "is a binary or too large to be read as text"
    if not text.strip():
        return "is empty"
    return "has neither a known ending nor a first line such as #!/usr/bin/env python3 that names its interpreter"
