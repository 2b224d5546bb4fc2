"""A shell script as commands: words with plain variables filled in, redirections apart.

The grammar is tree-sitter's for bash, which covers that of sh and goes on behind what it cannot read. This is no
shell: what cannot be known without running (substitutions, arithmetic, most expansions) becomes a HOLE, a wildcard in
file names; the commands inside a substitution are commands like any other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster_interface.inspection.shell.known import INTERPRETERS, RUN_BY
from cluster_interface.inspection.shell.parsing import trees

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tree_sitter import Node

HOLE = "\0"  #: stands where a part of a word is unknown

LONGEST_VALUE = 4096  #: characters that variables may make of a word
DEEPEST = 100  #: quotes and substitutions inside each other that are still read

_VARIABLE = re.compile(r"\$(?:\{(\w+)(?:(:?[-=])([^{}]*))?\}|(\w+))")
_QUOTES = ("string", "raw_string", "ansi_c_string", "translated_string")
_SUBSTITUTIONS = ("command_substitution", "process_substitution", "arithmetic_expansion", "brace_expression", "array")
_WORDS = (
    *("word", "number", "concatenation", "simple_expansion", "expansion", "extglob_pattern", "regex", "test_operator"),
    *(_QUOTES + _SUBSTITUTIONS),
)
_STATEMENTS = ("unset_command", "test_command")
_DECLARES = ("declaration_command", "variable_assignment")
MOST_ELEMENTS = 200  #: of an array whose elements are run as commands
_ELEMENT = re.compile(r"\"?\$\{?(\w+)(?:\[[^\]]*\])?\}?\"?")
_PYTHON = re.compile(r"python[\d.]*")


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
    beside: bool = False  #: it runs in the background: `&`


@dataclass(frozen=True)
class Script:
    """A script taken apart."""

    commands: tuple[Command, ...]
    functions: frozenset[str]  #: the names that it defines itself


def read_commands(text: str, arguments: Iterable[str] = (), known: Mapping[str, str] | None = None) -> list[Command]:
    """Split a script into its simple commands, in order; never raises. `known` are variables that are set before."""
    return list(read_script(text, arguments, known).commands)


def read_script(text: str, arguments: Iterable[str] = (), known: Mapping[str, str] | None = None) -> Script:
    """Take a script apart; never raises. `known` are variables that are set before it starts."""
    variables = {**(known or {}), **{str(place): word for place, word in enumerate(arguments, 1)}}
    reading = _Reading(variables)
    for above, root in trees(text.replace("\0", " ").encode("utf-8", "replace")):
        reading.read(root, above)
    return Script(tuple(reading.commands), frozenset(reading.functions))


class _Reading:
    """Walks the tree in the order of the text, keeping what the variables are."""

    def __init__(self, variables: dict[str, str]) -> None:
        self._variables = variables
        self._elements: dict[str, list[str]] = {}  # of arrays, and what loops go over
        self.commands: list[Command] = []
        self.functions: set[str] = set()
        self._above = 0

    def read(self, root: Node, above: int) -> None:
        """Read a tree; `above` are the lines of the script before it."""
        self._above = above
        pending = [root]
        while pending:
            node = pending.pop()
            pending += reversed(self._take(node))

    def _take(self, node: Node) -> list[Node]:
        """Note what a node says; return those inside it that are still to be read."""
        kind = node.type
        if kind == "redirected_statement":
            return self._redirected(node)
        if kind in ("command", *_STATEMENTS):
            return self._command(node, [], node)
        if kind in _DECLARES:
            return self._assign(node) if kind == "variable_assignment" else node.named_children
        if kind in ("for_statement", "select_statement"):
            return self._loop(node)
        if kind == "function_definition" and (name := node.child_by_field_name("name")):
            self.functions.add(_text(name))
        if kind == "ERROR":
            return self._broken(node)
        return node.named_children

    def _redirected(self, node: Node) -> list[Node]:
        body = node.child_by_field_name("body")
        redirects = [child for child in node.named_children if child.type.endswith("_redirect")]
        for child in list(redirects):
            redirects += [inner for inner in child.named_children if inner.type.endswith("_redirect")]
        if body is not None and body.type in ("command", *_STATEMENTS):
            return self._command(body, redirects, node)
        inside = self._add(node, [], redirects)
        return [*([body] if body else []), *inside]

    def _command(self, node: Node, redirects: list[Node], whole: Node) -> list[Node]:
        """Add a command; variables that are set for it alone are not set for its own words."""
        words: list[Node] = []
        inside: list[Node] = []
        set_before: list[Node] = []
        for child in node.named_children:
            if child.type == "variable_assignment":
                (set_before if not words else inside).append(child)
            elif child.type.endswith("_redirect"):
                redirects = [*redirects, child]
            elif child.type == "command_name":
                words += child.named_children
            elif node.type == "test_command":
                words += _leaves(child)
            elif child.type in _WORDS:
                words.append(child)
            else:
                inside.append(child)
        inside += self._add(whole, words, redirects, "test" if node.type == "test_command" else "")
        return [*set_before, *inside]

    def _add(self, node: Node, words: list[Node], redirects: list[Node], name: str = "") -> list[Node]:
        """Add a command of these words; return what stands inside them and their redirections."""
        inside: list[Node] = []
        found: list[Redirection] = []
        heredoc = ""
        for redirect in redirects:
            if redirect.type == "file_redirect":
                operator = next((child.type for child in redirect.children if not child.is_named), ">")
                targets = [child for child in redirect.named_children if child.type in _WORDS]
                words = [*words, *targets[1:]]  # `cmd > file more`: the grammar gives what follows to the redirection
                found += [Redirection(operator, self.value(target)) for target in targets[:1]]
                inside += [deep for target in targets[:1] for deep in _substitutions(target)]
            else:
                body = next((child for child in redirect.named_children if child.type == "heredoc_body"), None)
                heredoc = _text(body) if body else heredoc
                inside += _substitutions(body or redirect)
        values = [*([name] if name else []), *(self.value(word) for word in words)]
        if values and words and words[0].type in ("simple_expansion", "expansion") and HOLE not in values[0]:
            values[:1] = values[0].split() or [HOLE]  # `$COMMAND data.csv`, unquoted
        line = self._above + node.start_point[0] + 1
        if values or found:
            self.commands.append(Command(line, tuple(values), tuple(found), heredoc, _is_beside(node)))
        if words and not name:
            self.commands += [Command(line, run) for run in self._run(words)]
        return [*(deep for word in words for deep in _substitutions(word)), *inside]

    def _run(self, words: list[Node]) -> list[tuple[str, ...]]:
        """List what is run of an array or a loop: `bash -c "${COMMANDS[$SLURM_ARRAY_TASK_ID]}"`, `python $SCRIPT`."""
        first, *rest = map(_text, words)
        name = first.rpartition("/")[2]
        as_text = name == "eval" or (name in INTERPRETERS and "-c" in rest)
        if as_text or name in INTERPRETERS or name in RUN_BY or _PYTHON.fullmatch(name):
            before = ("eval",) if as_text else (first,)
            given = next((word for word in rest if self._elements_of(word)), "")
        else:
            before, given = ("eval",), first
        return [(*before, text) for text in self._elements_of(given)]

    def _elements_of(self, word: str) -> list[str]:
        named = _ELEMENT.fullmatch(word)
        return self._elements.get(named[1], []) if named else []

    def _list(self, name: str, words: list[Node]) -> None:
        """Note the elements of an array, or what a loop goes over; `"${ALL[@]}"` is those of that array."""
        known = self._elements.setdefault(name, [])
        for word in words:
            known += self._elements_of(_text(word)) or [self.value(word)]
        del known[MOST_ELEMENTS:]

    def _assign(self, node: Node) -> list[Node]:
        name, value = node.child_by_field_name("name"), node.child_by_field_name("value")
        if name and name.type == "subscript" and value and (array := name.child_by_field_name("name")):
            self._list(_text(array), [value])
        elif name and value and value.type == "array":
            self._list(_text(name), value.named_children)
        if name is None or name.type != "variable_name":
            return _substitutions(value) if value else []
        self._variables[_text(name)] = self.value(value) if value else ""
        return _substitutions(value) if value else []

    def _loop(self, node: Node) -> list[Node]:
        """Note what a loop goes over, as the words of a command; its variable is one of them, so it is not known."""
        words = [child for child in node.named_children if child.type in _WORDS]
        if variable := node.child_by_field_name("variable"):
            self._list(_text(variable), words)
            values = {self.value(word) for word in words}
            self._variables[_text(variable)] = next(iter(values)) if len(values) == 1 and len(words) == 1 else HOLE
        inside = self._add(node, words, [], "for")
        return [*inside, *(child for child in node.named_children if child.type not in (*_WORDS, "variable_name"))]

    def _broken(self, node: Node) -> list[Node]:
        """Read what the grammar could not: words that follow a command's name are taken for its own."""
        inside: list[Node] = []
        words: list[Node] = []
        for child in node.named_children:
            if child.type == "command_name" or (words and child.start_point[0] != words[-1].end_point[0]):
                inside += self._add(words[0], words, []) if words else []
                words = []
            if child.type == "command_name":
                words = list(child.named_children)
            elif child.type in _WORDS and words:
                words.append(child)
            else:
                inside.append(child)
        return [*(self._add(words[0], words, []) if words else []), *inside]

    def value(self, node: Node, depth: int = 0) -> str:
        """Return what a word is, as far as that is known."""
        text = "".join(self._pieces(node, depth))
        return text if len(text) <= max(LONGEST_VALUE, node.end_byte - node.start_byte) else HOLE

    def _pieces(self, node: Node, depth: int) -> Iterable[str]:
        kind = node.type
        if depth > DEEPEST or kind in _SUBSTITUTIONS:
            yield HOLE
        elif kind in ("simple_expansion", "expansion"):
            yield self._expanded(_text(node))
        elif kind == "raw_string":
            yield _text(node)[1:-1]
        elif kind == "ansi_c_string":
            yield _text(node)[2:-1]
        elif kind in ("string", "translated_string"):
            yield from self._between(node, depth, quoted=True)
        elif kind == "concatenation":
            yield from self._between(node, depth, quoted=False)
        else:
            yield re.sub(r"\\(\n)?(.?)", lambda found: found[2], _text(node), flags=re.DOTALL)

    def _between(self, node: Node, depth: int, *, quoted: bool) -> Iterable[str]:
        """Yield the parts of a word and what stands between them, without its own quotes."""
        text, start = node.text or b"", node.start_byte
        at = 0
        for child in node.children:
            yield text[at : child.start_byte - start].decode("utf-8", "replace")
            at = child.end_byte - start
            if child.type == "string_content":
                yield re.sub(r'\\([$`"\\])|\\\n', r"\1", _text(child))
            elif child.is_named:
                yield self.value(child, depth + 1)
            elif child.type not in ('"', "$") or not quoted:
                yield _text(child)
        yield text[at:].decode("utf-8", "replace")

    def _expanded(self, text: str) -> str:
        found = _VARIABLE.fullmatch(text)
        if not found:
            return HOLE
        name = found[1] or found[4]
        if name in self._variables:
            return self._variables[name]
        return found[3].strip("'\"") if found[2] and "$" not in found[3] and "`" not in found[3] else HOLE


def _is_beside(node: Node) -> bool:
    """Say whether a command is started in the background, alone or with others."""
    while node.parent is not None and node.parent.type in ("list", "pipeline", "redirected_statement"):
        if node.parent.children[-1] != node and node.parent.type == "list":
            break
        node = node.parent
    return node.next_sibling is not None and node.next_sibling.type == "&"


def _text(node: Node) -> str:
    return (node.text or b"").decode("utf-8", "replace")


def _leaves(node: Node) -> list[Node]:
    """List the words of a condition."""
    found: list[Node] = []
    pending = [node]
    while pending:
        one = pending.pop()
        if one.type in _WORDS:
            found.append(one)
        else:
            pending += reversed(one.named_children)
    return found


def _substitutions(node: Node) -> list[Node]:
    """List the substitutions inside a word, for their commands."""
    found: list[Node] = []
    pending = [node]
    while pending:
        one = pending.pop()
        if one.type in ("command_substitution", "process_substitution"):
            found.append(one)
        else:
            pending += reversed(one.named_children)
    return found
