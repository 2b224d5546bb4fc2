"""A program's text without its comments, and the texts in it with the calls that they are arguments of.

No grammar: comments, strings and brackets are enough to see what is asked for and which files are named, and are read
in one pass over the text, whatever it is.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property

HOLE = "*"  #: stands where a part of a text is unknown
MOST_TEXTS = 5000  #: strings of one file that are looked at
DEEPEST = 200  #: calls inside each other that are told apart

_DOUBLE = r'"(?:\\.|[^"\\\n])*"'
_SINGLE = r"'(?:\\.|[^'\\\n])*'"
_BACK = r"`(?:\\.|[^`\\])*`"
_LONG = r'"(?:\\.|[^"\\])*"'
_LONG_SINGLE = r"'(?:\\.|[^'\\])*'"
_SLASHES = r"//[^\n]*|/\*.*?(?:\*/|\Z)"
_HASH = r"#[^\n]*"
_TRIPLE = ('"""', "'''")
_HEREDOC = r"(?<=<<)[-~]?[\"']?(?P<end>[A-Z]\w*)[\"']?[^\n]*\n.*?^[ \t]*(?P=end)[ \t]*$"

_INTERPOLATED = re.compile(r"\$\{[^}]*\}|#\{[^}]*\}|\$\([^)]*\)|\$\w+|%[-+0 #]*\d*(?:\.\d+)?l*[a-zA-Z]")
_NAME = re.compile(r"([A-Za-z_.@$&*][\w.$:!]*(?:::[\w.]+)*)[<>\w\s]{0,40}$")
_BRACKET = re.compile(r"[()\[\]{},;\n]")
_KEY = re.compile(r"([A-Za-z_][\w.-]*)\s*(?:=>|=|:)\s*$")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True)
class Lexis:
    """How a language writes comments and strings, as regular expressions."""

    comments: str
    strings: str

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Finds the next comment or string."""
        return re.compile(f"(?P<comment>{self.comments})|(?P<string>{self.strings})", re.DOTALL | re.MULTILINE)


C = Lexis(_SLASHES, rf"{_DOUBLE}|'(?:\\.|[^'\\\n]){{1,4}}'")
JAVASCRIPT = Lexis(_SLASHES, f"{_DOUBLE}|{_SINGLE}|{_BACK}")
GO = Lexis(_SLASHES, f"{_DOUBLE}|'(?:\\\\.|[^'\\\\\n]){{1,4}}'|`[^`]*`")
RUST = Lexis(_SLASHES, rf"{_LONG}|'(?:\\.|[^'\\\n])'")
FORTRAN = Lexis(r"^[cC*!][^\n]*|![^\n]*", r"\"[^\"\n]*\"|'[^'\n]*'")
R = Lexis(_HASH, f"{_LONG}|{_LONG_SINGLE}")
JULIA = Lexis(rf"#=.*?(?:=#|\Z)|{_HASH}", rf'"""(?:\\.|[^\\])*?"""|{_LONG}')
PERL = Lexis(rf"^=[a-z].*?(?:^=cut[^\n]*|\Z)|^__(?:END|DATA)__.*|(?:^|(?<=\s)){_HASH}", f"{_HEREDOC}|{_LONG}|{_SINGLE}")
RUBY = Lexis(r"^=begin.*?(?:^=end[^\n]*|\Z)|^__END__.*|(?:^|(?<=\s))#(?!\{)[^\n]*", f"{_HEREDOC}|{_LONG}|{_SINGLE}")
OCTAVE = Lexis(
    r"^[ \t]*%\{[ \t]*$.*?(?:^[ \t]*%\}[ \t]*$|\Z)|[%#][^\n]*|\.\.\.[^\n]*",
    r"\"(?:\\.|[^\"\\\n])*\"|(?<![\w)\]}'.])'(?:''|[^'\n])*'",
)
LUA = Lexis(r"--\[\[.*?(?:\]\]|\Z)|--[^\n]*", f"{_DOUBLE}|{_SINGLE}")
PYTHON = Lexis(_HASH, rf'"""(?:\\.|[^\\])*?"""|\'\'\'(?:\\.|[^\\])*?\'\'\'|{_DOUBLE}|{_SINGLE}')
MAKE = Lexis(r"(?:^|(?<=[^\\$]))#[^\n]*", r"(?!x)x")
CMAKE = Lexis(r"#\[\[.*?(?:\]\]|\Z)|#[^\n]*", _LONG)


@dataclass(frozen=True)
class Text:
    """A string, and where it stands."""

    value: str
    start: int
    line: int
    calls: tuple[str, ...] = ()  #: what it is an argument of, the innermost first
    call: int = -1  #: where the innermost call begins: the same for all its arguments
    place: int = 0  #: which argument
    key: str = ""  #: the name that it is given: file="x"
    before: str = ""  #: what stands before it in its statement


@dataclass(frozen=True)
class Source:
    """A file, read."""

    text: str
    lexis: Lexis
    comments: list[str] = field(default_factory=list)

    @cached_property
    def code(self) -> str:
        """The text, comments and the insides of strings blanked: every place is as it was."""
        parts: list[str] = []
        at = 0
        for found in self.lexis.pattern.finditer(self.text):
            parts.append(self.text[at : found.start()])
            whole = found[0]
            if found.lastgroup == "comment":
                self.comments.append(whole)
                parts.append(re.sub(r"[^\n]", " ", whole))
            else:
                parts.append('"' + re.sub(r"[^\n]", " ", whole[1:-1]) + '"' if len(whole) > 1 else " ")
            at = found.end()
        return "".join([*parts, self.text[at:]])

    @cached_property
    def texts(self) -> tuple[Text, ...]:
        """The strings, in order."""
        code = self.code
        found: list[Text] = []
        walk = _Walk(code)
        for match in self.lexis.pattern.finditer(self.text):
            if match.lastgroup == "string" and len(found) < MOST_TEXTS:
                walk.to(match.start())
                found.append(self._text(match, walk))
        return tuple(found)

    def _text(self, match: re.Match[str], walk: _Walk) -> Text:
        quote = next((one for one in _TRIPLE if match[0].startswith(one)), match[0][0])
        value = match[0][len(quote) : -len(quote)]
        raw = quote in ("'", "`")
        value = value if raw else _ESCAPE.sub(lambda one: {"n": "\n", "t": "\t"}.get(one[1], one[1]), value)
        before = walk.before(match.start())
        key = _KEY.search(before)
        value = _added(value, before, self.code[match.end() : match.end() + 40])
        calls, call, place = walk.calls()
        return Text(
            _INTERPOLATED.sub(HOLE, value).replace("\0", ""),
            match.start(),
            self.line(match.start()),
            calls,
            call,
            place,
            key[1] if key else "",
            before,
        )

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(found.end() for found in re.finditer("\n", self.text))]

    def line(self, place: int) -> int:
        """Return the number of the line of a place."""
        return bisect_right(self._starts, place)

    @cached_property
    def constants(self) -> dict[str, Text]:
        """The names that are given one text, and only once."""
        found: dict[str, list[Text]] = {}
        for text in self.texts:
            if named := re.search(r"([A-Za-z_][\w.]*)\s*(?:=|<-|:=)\s*$", text.before):
                found.setdefault(named[1], []).append(text)
        return {name: texts[0] for name, texts in found.items() if len(texts) == 1}


def _added(value: str, before: str, behind: str) -> str:
    """Say that something is added to a text: `"out_" + i + ".csv"` is out_*; what is added to another is part of it."""
    if re.search(r"(?:\+|\.\.|<<|//|&)\s*$|[\w)\]]\s\.\s$", before) and not re.search(r"[\"(,=]\s*\+\s*$", before):
        return HOLE
    return value + HOLE if re.match(r"\s*(?:\+|\.\.|//|\.(?=\s*\$))\s*[\w$(]", behind) else value


class _Walk:
    """Goes through code once, knowing the calls that are open."""

    def __init__(self, code: str) -> None:
        self._code = code
        self._found = _BRACKET.finditer(code)
        self._next = next(self._found, None)
        self._open: list[tuple[str, int, int]] = []  # name, where, arguments so far
        self._statement = 0

    def to(self, place: int) -> None:
        while self._next is not None and self._next.start() < place:
            self._step(self._next[0], self._next.start())
            self._next = next(self._found, None)

    def _step(self, sign: str, at: int) -> None:
        if sign in "([{":
            named = _NAME.search(self._code, max(0, at - 80, self._statement), at) if sign == "(" else None
            if len(self._open) < DEEPEST:
                self._open.append((named[0].strip() if named else "", at, 0))
            self._statement = at + 1 if sign == "{" else self._statement
        elif sign in ")]}":
            if self._open:
                self._open.pop()
            self._statement = at + 1 if sign == "}" else self._statement
        elif sign == ",":
            if self._open:
                name, where, count = self._open[-1]
                self._open[-1] = (name, where, count + 1)
        elif sign == ";" or not self._open or not self._open[-1][0]:
            self._statement = at + 1

    def before(self, place: int) -> str:
        """Return what stands before a place in its statement, or since the last bracket or comma."""
        return self._code[max(self._statement, place - 200) : place]

    def calls(self) -> tuple[tuple[str, ...], int, int]:
        names = tuple(name for name, _, _ in reversed(self._open[-8:]) if name)
        _, where, place = self._open[-1] if self._open else ("", -1, 0)
        return names, where, place
