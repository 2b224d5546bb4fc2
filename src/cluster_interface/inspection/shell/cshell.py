"""Scripts of the C shell, written in the words of sh as far as it takes to see what they call; lines stay in place."""

from __future__ import annotations

import re

_SET = re.compile(r"^([ \t]*)set[ \t]+(\w+)[ \t]*=[ \t]*(?!\()(.*)$", re.MULTILINE)
_SETENV = re.compile(r"^([ \t]*)setenv[ \t]+(\w+)(?:[ \t]+(.*))?$", re.MULTILINE)
_FOREACH = re.compile(r"^([ \t]*)foreach[ \t]+(\w+)[ \t]*\((.*)\)[ \t]*$", re.MULTILINE)
_BLOCK = re.compile(
    r"^[ \t]*(?:(?:else[ \t]+)?if\b.*\bthen|else|endif|while\b.*|switch\b.*|case\b.*:|default:|breaksw|endsw|set\b.*|"
    r"@.*|onintr\b.*|goto\b.*|\w+:)[ \t]*$",
    re.MULTILINE,
)
_IF = re.compile(r"^([ \t]*)if[ \t]*\(.*?\)[ \t]+(?=\S)", re.MULTILINE)
_WHILE_OR_FOR = re.compile(r"^([ \t]*)(foreach|while|end)\b", re.MULTILINE)


def in_words_of_sh(text: str) -> str:
    """Return what a script calls, with its variables; conditions are left out, so that both branches count."""
    text = _SETENV.sub(r"\1export \2=\3", _SET.sub(r"\1\2=\3", text))
    text = _FOREACH.sub(r"\1for \2 in \3; do", _loops(text))
    return _IF.sub(r"\1", _BLOCK.sub("", text))


def _loops(text: str) -> str:
    """End each loop of foreach by `done`, and leave out the ends of others."""
    open_: list[str] = []
    lines = text.split("\n")
    for at, line in enumerate(lines):
        found = _WHILE_OR_FOR.match(line)
        if found and found[2] == "end":
            lines[at] = "done" if open_ and open_.pop() == "foreach" else ""
        elif found:
            open_.append(found[2])
    return "\n".join(lines)
