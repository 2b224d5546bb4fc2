"""A shell script as commands: words with plain variables filled in, redirections apart.

This is no shell: what cannot be known without running (substitutions, arithmetic, most expansions) becomes a
HOLE, a wildcard in file names. The grammar is the Shell Command Language of POSIX.1, chapter 2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

HOLE = "\0"  #: stands where a part of a word is unknown

LONGEST_VALUE = 4096  #: characters that variables may make of a word
MOST_JOINED = 200  #: lines that make one logical line
LONGEST = 20_000  #: characters of a logical line that is still carried on

_HEREDOC = re.compile(r"<<(-?)\s*(?:\\?([\w.]+)|'([^'\n]+)'|\"([^\"\n]+)\")")
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)\+?=(.*)", re.DOTALL)
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?:(:?[-=])([^{}]*))?\}|(\w+)|\{[^{}]*\}|[@*#?$!-])")
_REDIRECTION = re.compile(r"(\d*|&)(>>|>\||>&|<&|<>|>|<)(.*)", re.DOTALL)
_BREAKS = ("&&", "||", ";;", ";", "|&", "|", "&", "(", ")")


@dataclass(frozen=True)
class Redirection:
    """`> results.txt`: the operator and the file."""

    operator: str
    target: str


@dataclass(frozen=True)
class Command:
    """One simple command."""

    line: int
    words: tuple[str, ...]
    redirections: tuple[Redirection, ...] = ()
    heredoc: str = ""  #: the text that stands below it


def read_commands(text: str, arguments: Iterable[str] = (), known: Mapping[str, str] | None = None) -> list[Command]:
    """Split a script into its simple commands, in order; never raises. `known` are variables that are set before."""
    variables = {**(known or {}), **{str(place): word for place, word in enumerate(arguments, 1)}}
    commands: list[Command] = []
    for number, logical, heredoc in _logical_lines(text):
        for raw in _split(logical):
            commands += _command(number, raw, variables, heredoc)
    return commands


def _logical_lines(text: str) -> Iterable[tuple[int, str, str]]:
    """Yield line number, logical line and here-document: continuations and open quotes joined, comments dropped."""
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        start, whole = at, lines[at]
        at += 1
        while at < len(lines) and at - start < MOST_JOINED and len(whole) < LONGEST and _is_open(whole):
            whole = whole[:-1] + " " + lines[at] if whole.endswith("\\") else f"{whole}\n{lines[at]}"
            at += 1
        body: list[str] = []
        for tab, *names in _HEREDOC.findall(whole):
            end = next(name for name in names if name)
            while at < len(lines) and (lines[at].lstrip("\t") if tab else lines[at]) != end:
                body.append(lines[at])
                at += 1
            at += 1
        yield start + 1, _HEREDOC.sub(" ", whole), "\n".join(body)


def _is_open(line: str) -> bool:
    """Say whether a line goes on in the next one: a backslash at its end, or a quote that is not closed."""
    return not _Cutter(line).closed


def _split(line: str) -> list[list[str]]:
    """Split a logical line at control operators into lists of raw words, quotes still in them.

    What stands before a closing parenthesis that was never opened is the pattern of a `case`, no command.
    """
    commands: list[list[str]] = [[]]
    depth, first = 0, 0  # `first` of `commands` is where a pattern such as `a|b)` would begin
    for piece in _Cutter(line).pieces:
        depth += piece == "("
        if piece == ")" and not depth:
            del commands[first:]
        depth -= piece == ")" and depth > 0
        if piece in _BREAKS or piece == "\n":
            commands.append([])
            first = first if piece == "|" else len(commands) - 1
        else:
            commands[-1].append(piece)
    return [words for words in commands if words]


class _Cutter:
    """Cuts a line into raw words and operators; `closed` is False where it ends inside a quote."""

    def __init__(self, line: str) -> None:
        self._line, self._at = line, 0
        self._word: list[str] = []  # its characters
        self._closers: list[str] = []  # what ends the quotes and substitutions that are open
        self.pieces: list[str] = []
        self.closed = True
        while self._at < len(line):
            self._step(line[self._at])
        self._end_word()
        self.closed = self.closed and not self._closers

    def _step(self, c: str) -> None:
        inside = self._closers[-1] if self._closers else ""
        if c == "\\" and inside != "'":
            self.closed = self._at + 1 < len(self._line)
            self._take(2)
        elif inside != "'" and self._line.startswith(("$(", "${"), self._at):
            self._closers.append(")" if self._line[self._at + 1] == "(" else "}")
            self._take(2)
        elif not inside and self._line.startswith(("<(", ">("), self._at):
            self._closers.append(")")
            self._take(2)
        elif inside:
            self._within(c, inside)
        elif c in "'\"`":
            self._closers.append(c)
            self._take(1)
        else:
            self._plain(c)

    def _within(self, c: str, inside: str) -> None:
        """Go on inside quotes or a substitution, which may hold others."""
        if c == inside:
            self._closers.pop()
        elif inside == ")" and c == "(":
            self._closers.append(")")
        elif inside in ")}`" and c in "'\"`":
            self._closers.append(c)
        self._take(1)

    def _plain(self, c: str) -> None:
        if c == "#" and not self._word:
            end = self._line.find("\n", self._at)
            self._at = end if end >= 0 else len(self._line)
        elif c in " \t\n":
            self._end_word()
            self.pieces += ["\n"] if c == "\n" else []
            self._at += 1
        elif operator := self._operator():
            self._end_word()
            self.pieces.append(operator)
            self._at += len(operator)
        else:
            self._take(1)

    def _take(self, length: int) -> None:
        self._word.append(self._line[self._at : self._at + length])
        self._at += length

    def _end_word(self) -> None:
        self.pieces += ["".join(self._word)] if self._word else []
        self._word = []

    def _operator(self) -> str:
        """Return the control operator that stands here; `>&`, `&>` and `>|` belong to redirections."""
        if self._word[-1:] in ([">"], ["<"]) or self._line.startswith("&>", self._at):
            return ""
        return next((operator for operator in _BREAKS if self._line.startswith(operator, self._at)), "")


def _command(number: int, raw: list[str], variables: dict[str, str], heredoc: str) -> list[Command]:
    words: list[str] = []
    redirections: list[Redirection] = []
    pending = list(reversed(raw))
    while pending:
        token = pending.pop()
        found = (
            None
            if token.startswith(("'", '"', "<(", ">("))
            else _REDIRECTION.fullmatch(_split_redirection(token, pending))
        )
        if found:
            target, rest = _up_to_next(found[3])
            pending += [rest] if rest else []
            target = target or (pending.pop() if pending else "")
            redirections.append(Redirection(found[2], unquote(target, variables)))
        elif not words and (assigned := _ASSIGNMENT.fullmatch(token)):
            variables[assigned[1]] = unquote(assigned[2], variables)
        else:
            words.append(unquote(token, variables))
    if not words and not redirections:
        return []
    return [Command(number, tuple(words), tuple(redirections), heredoc)]


def _up_to_next(target: str) -> tuple[str, str]:
    """Cut a plain target where the next redirection begins: `in>out`."""
    found = re.match(r"([^<>'\"`$\\&]+)([<>].*)", target, re.DOTALL)
    return (found[1], found[2]) if found else (target, "")


def _split_redirection(token: str, pending: list[str]) -> str:
    """Return a redirection token; where a word stands before it (`cat<in`) put that word first."""
    at = next((place for place, c in enumerate(token) if c in "<>"), -1)
    head = token[:at] if at > 0 else ""
    if not head or head.isdigit() or head == "&" or any(c in head for c in "'\"`$\\(="):
        return token
    pending.append(token[at:])
    return head


def unquote(word: str, variables: Mapping[str, str]) -> str:
    """Take the quotes off a word and fill in what is known; substitutions become holes."""
    if len(word) > LONGEST:
        return HOLE
    parts: list[str] = []
    at, quoted = 0, False
    while at < len(word):
        c = word[at]
        if c == "'" and not quoted:
            end = word.find("'", at + 1)
            end = len(word) if end < 0 else end
            parts.append(word[at + 1 : end])
            at = end + 1
        elif c == '"':
            quoted, at = not quoted, at + 1
        elif c == "\\":
            parts.append(word[at + 1 : at + 2])
            at += 2
        elif c == "`" or word.startswith(("$(", "<(", ">("), at):
            parts.append(HOLE)
            at = _end_of_substitution(word, at)
        elif c == "$" and (found := _VARIABLE.match(word, at)):
            parts.append(_value(found, variables))
            at = found.end()
        else:
            parts.append(c)
            at += 1
    text = "".join(parts)
    return text if len(text) <= max(LONGEST_VALUE, len(word)) else HOLE


def _value(found: re.Match[str], variables: Mapping[str, str]) -> str:
    name = found[1] or found[4]
    if name in variables:
        return variables[name]
    return str(found[3]) if found[2] else HOLE


def _end_of_substitution(word: str, at: int) -> int:
    if word[at] == "`":
        end = word.find("`", at + 1)
        return len(word) if end < 0 else end + 1
    depth = 0
    for place in range(at + 1, len(word)):
        depth += (word[place] == "(") - (word[place] == ")")
        if not depth:
            return place + 1
    return len(word)
