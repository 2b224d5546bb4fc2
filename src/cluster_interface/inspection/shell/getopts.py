"""The options of a shell script that uses getopts: letters, and what its usage, comments and defaults say of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cluster_interface.inspection.languages.places import ENDING
from cluster_interface.inspection.languages.usage import clean
from cluster_interface.inspection.python.declared import speaks_of_directory
from cluster_interface.model.proposal import Option

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_BRANCH = 400  #: characters behind a test that are looked at
_CALL = re.compile(r"^[^#\n]*\bgetopts\s+[\"']?:?((?:[A-Za-z0-9]:?)+)[\"']?\s", re.MULTILINE)
_BRANCH = re.compile(
    r"""(?msx) (?:^|\bin\b|(?<=;;))[ \t]* \(?["']? ([A-Za-z0-9]) ["']?\) (.*?)  # a branch and what it does
    (?: ;; (?: [ \t]*\#[ \t]* ([^\n]*) )? | \besac\b )  # the comment behind it"""
)
_TAKES = re.compile(r"\b(\w+)=[\"']?\$\{?OPTARG\b")
_COMMENT = re.compile(r"(?:^|\s)#[ \t]*(.+)")
_DESCRIBED = r"^[^\n#]*?(?<![\w-])-%s(?:[ \t,]+(?:--[\w-]+|<?[A-Z][\w.-]*>?|<\w+>))*[ \t:]{2,}([^\n]*?)[\"']?[ \t]*$"


def getopts(text: str) -> Iterator[Option]:
    """Yield the options that `getopts` is told of: a letter, and a colon where it takes a value."""
    call = _CALL.search(text)
    if call is None:
        return
    branches = {found[1]: found for found in _BRANCH.finditer(text, call.end())}
    for letter, colon in re.findall(r"([A-Za-z0-9])(:?)", call[1]):
        branch = branches.get(letter)
        if letter == "h" and not colon and (not branch or re.search(r"usage|help|exit", branch[2])):
            continue
        variable = _TAKES.search(branch[2]) if branch and colon else None
        default = default_before(text[: call.start()], variable[1]) if variable else None
        required = variable is not None and default is None and ends_without(text, variable[1])
        yield Option(
            name=f"-{letter}",
            flag=not colon,
            required=required,
            default=default,
            help=_help(text[: call.start()], letter, branch),
            kind=_kind(variable[1] if variable else "", default),
        )


def ends_without(text: str, variable: str) -> bool:
    """Say whether a script ends where a variable is empty, or is no file: `[ -z "$IN" ] && usage`."""
    own = rf"\"?\$\{{?{variable}(?::?-)?\}}?\"?(?!\w)"
    if re.search(rf"\$\{{{variable}:?\?", text):
        return True
    tests = re.finditer(
        rf"(?:-z|!\s*-[nfedrs])\s+{own}(?P<missing>[^\n]*)|-[nfedrs]\s+{own}\s*\]\]?\s*\|\|(?P<not>[^\n]*)", text
    )
    return any(ENDING.search(_done(text, found)) for found in tests)


def _done(text: str, test: re.Match[str]) -> str:
    """Return what is done behind a test: on its line, or in the block that it opens."""
    line = test["missing"] if test["missing"] is not None else test["not"]
    following = text[test.end() : test.end() + LONGEST_BRANCH]
    opens = re.search(r"\bthen\b|\{\s*$", line) or re.match(r"\s*then\b", following)
    block = re.split(r"\bfi\b|\belse\b|\belif\b|^\s*\}|\n\s*\n", following, maxsplit=1, flags=re.MULTILINE)[0]
    return f"{line}\n{block}" if opens and not re.search(r"\bfi\b|\}", line) else line


def default_before(before: str, variable: str) -> str | None:
    """Find what a variable is before the options are read, if that is plain."""
    found = [
        *re.finditer(rf"(?:^|[\s;]){variable}=(?:\"([^\"$`\n]*)\"|'([^'\n]*)'|([^\s\"'$`;()]*))(?=[\s;]|$)", before)
    ]
    return next((value for value in found[-1].groups() if value), None) if found else None


def _help(before: str, letter: str, branch: re.Match[str] | None) -> str:
    """Take what its usage says of an option, else the comment in or behind its branch."""
    described = re.search(_DESCRIBED % letter, before, re.MULTILINE)
    comment = _COMMENT.search(branch[2]) if branch else None
    said = described[1] if described else (branch[3] if branch else "") or (comment[1] if comment else "")
    return clean(said or "")


def _kind(variable: str, default: str | None) -> str:
    if default and re.fullmatch(r"-?\d+", default):
        return "int"
    if default and re.fullmatch(r"-?\d*\.\d+", default):
        return "float"
    if speaks_of_directory(variable):
        return "directory"
    return "path" if re.search(r"file|path|dir(?:$|ect|_)|folder", variable, re.IGNORECASE) else "text"
