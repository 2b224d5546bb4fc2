"""The arguments of an Octave program by their place: `args = argv (); n = str2double (args{1});`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cluster_interface.inspection.languages.compared import compared
from cluster_interface.inspection.languages.places import Vector, read_places
from cluster_interface.inspection.languages.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cluster_interface.inspection.languages.lexis import Source
    from cluster_interface.model.proposal import Option

_HELD = re.compile(r"\b([A-Za-z]\w*)\s*=\s*argv\b\s*(?:\(\s*\))?\s*[;,\n]")


def octave_options(source: Source) -> Iterator[Option]:
    """Yield the arguments that are taken from argv()."""
    usage = Usage(source.text)
    held = [re.escape(name) for name in _HELD.findall(source.code)]
    names = "|".join(held)
    vectors = [
        Vector(r"\bargv\s*\(\s*\)\s*\{\s*(\d+)\s*\}", 1, r"(?:\b(?:numel|length)\s*\(\s*argv\s*(?:\(\s*\))?\s*\))")
    ]
    if held:
        elements = rf"\b(?:{names})\s*\{{\s*(\d+)\s*\}}"
        vectors.append(Vector(elements, 1, rf"(?:\b(?:numel|length|columns|rows)\s*\(\s*(?:{names})\s*\)|\bnargin\b)"))
        yield from compared(source, usage, rf"\b(?:{names})\s*\{{\s*[a-z]")
    if held or re.search(r"\bargv\s*\(\s*\)\s*\{", source.code):
        yield from read_places(source, vectors).options(usage)
