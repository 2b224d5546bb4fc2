"""The arguments of a shell script: `$1`, `${2:-default}`, what `$#` must be, and `case "$1" in` in a loop that shifts.

Functions have arguments of their own; only of one that is called with `"$@"` these are the script's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cluster_interface.inspection.languages.places import ENDING, Places, note_count, plain_name
from cluster_interface.inspection.languages.usage import Usage
from cluster_interface.inspection.shell.branches import branches, read_branches
from cluster_interface.inspection.shell.getopts import ends_without
from cluster_interface.inspection.shell.parsing import trees

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tree_sitter import Node

    from cluster_interface.model.proposal import Option

MOST_NODES = 200_000
_COUNT = re.compile(r"\$\{?#\}?\"?\s*(-lt|-le|-ne|-eq|-gt|-ge|<=?|>=?|!=|==?)\s*\"?(\d+)")
_SIGNS = {"-lt": "<", "-le": "<=", "-ne": "!=", "-eq": "==", "-gt": ">", "-ge": ">=", "=": "=="}
_OTHERWISE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
_EMPTY = re.compile(
    r"(-z|!\s*-[nfedrs])\s+\"?\$\{?(\d)\b(?::?-)?\}?\"?|(-n)\s+\"?\$\{?(\d)\b|\$\{?(\d)\}?\"?\s*(==?)\s*(?:\"\"|'')"
)
_GLUE = re.compile(r"\"?\$\{?([1-9])\}?\"?\s*(?:==?|!=|=~)\s*\"?'?(-?)|(==?|!=)\s*\"?\$\{?([1-9])")
_PRESET = (  # what an empty variable is given
    r"\b{name}=\"?\$\{{{name}:?[-=]([^}}$]+)\}}|-z\s+\"?\$\{{?{name}\}}?\"?\s*\]+\s*(?:;\s*|&&\s*|\n\s*|then\b\s*)+"
    r"{name}=([^\s;$]+)"
)
_SHIFT = re.compile(r"shift(?:\s+(\d+))?\s*$")
_EXPANDED = re.compile(r"\$\{(\d+)(:?[-=?+])?(.*)\}$", re.DOTALL)
_LOOPS = ("while_statement", "until_statement", "for_statement", "c_style_for_statement")


def shell_arguments(text: str) -> list[Option]:
    """List the options of a script's loop over its arguments, and the arguments by their place."""
    if not re.search(r"\$\{?[1-9@*#]", text):
        return []
    walk = _Walk(text)
    for _, root in trees(text.encode(errors="replace")):
        walk.read(root)
    usage = Usage(text)
    named = list(read_branches(walk.branches, text, usage))
    return [*named, *walk.close(usage)]


@dataclass
class _Walk:
    """Goes through the statements in their order, as the shell does."""

    text: str
    places: Places = field(default_factory=Places)
    branches: list[tuple[str, str, str, bool]] = field(default_factory=list)
    functions: dict[str, Node] = field(default_factory=dict)
    variables: dict[str, int] = field(default_factory=dict)  #: name -> the place it is
    choices: dict[int, tuple[str, ...]] = field(default_factory=dict)
    helps: dict[int, str] = field(default_factory=dict)
    taken: set[int] = field(default_factory=set)
    checked: set[int] = field(default_factory=set)  #: the script ends without them
    shifted: int = 0
    hidden: bool = False  #: the words are others now

    def read(self, root: Node) -> None:
        """Go through one tree."""
        pending, seen = [root], 0
        while pending and seen < MOST_NODES:
            node = pending.pop()
            seen += 1
            pending += reversed(self._node(node))

    def close(self, usage: Usage) -> Iterator[Option]:
        """Yield the arguments, with what is known of each by its variable."""
        for name, place in self.variables.items():
            if ends_without(self.text, name) and place in self.places.found and not self.places.found[place].default:
                self.places.least = max(self.places.least or 0, place)
            elif found := re.search(_PRESET.format(name=name), self.text):
                self._default(place, next(filter(None, found.groups())).strip("\"'"))
        self.places.optional |= set(self.places.found) - self.taken - self.checked
        if self.places.many:  # those are the ones that are only looked at
            self.places.found = {place: one for place, one in self.places.found.items() if place in self.taken}
        for place, option in enumerate(self.places.options(usage), 1):
            more = {"choices": self.choices.get(place, ()), "help": self.helps.get(place, "")}
            yield option if option.many else option.model_copy(update=more)

    def _node(self, node: Node) -> list[Node]:
        kind = node.type
        if kind == "function_definition":
            if name := node.child_by_field_name("name"):
                self.functions[_text(name)] = node
            return []
        if kind == "command":
            return self._command(node)
        if kind in _LOOPS and (inside := self._loop(node)) is not None:
            return inside
        if kind == "case_statement":
            return self._case(node)
        if kind in ("test_command", "compound_statement") and kind != "program":
            self._test(node)
            return [] if kind == "test_command" else node.children
        if kind in ("simple_expansion", "expansion"):
            self._expansion(node)
        return node.children

    def _command(self, node: Node) -> list[Node]:
        words = _text(node)
        name = words.split(None, 1)[0] if words.strip() else ""
        if name == "shift":
            if found := _SHIFT.match(words):
                self.shifted += int(found[1] or 1)
            elif "OPTIND" in words:
                self.shifted, self.hidden = 0, False
        elif re.match(r"set\s+--", words) and not self.hidden:
            if re.search(r"\[@\]|\$\w*(?:ARGS|args|POSITIONAL)", words):
                self.shifted = 0
            else:
                self.hidden = True
        elif name in self.functions and re.fullmatch(r"\S+\s+(?:\"\$@\"|\$@|\"?\$\{@\}\"?|\$\*)\s*", words):
            body = self.functions.pop(name)
            return list(body.children)
        elif name in ("test", "["):
            self._test(node)
            return []
        return node.children

    def _loop(self, node: Node) -> list[Node] | None:
        """Read a loop over the arguments; None where it is one over something else."""
        head = _text(node).partition("\n")[0]
        subject = re.match(r"for\s+(\w+)(?:\s+in\s+\"?\$[@*]\"?|\s+in\s+\"?\$\{@\}\"?)?\s*(?:;|$)", head)
        if "getopts" in head:
            self.hidden = True
            return []
        cases = [one for one in _below(node, "case_statement") if _looked_at(one, subject[1] if subject else "", node)]
        if cases:
            for case in cases:
                self.branches += branches(_text(case), self.text, one_by_one=subject is not None)
                self._rest(case, subject[1] if subject else "1")
            self.shifted = 0
            return []
        if subject and not self.hidden and max(self.places.found, default=0) <= self.shifted:
            self.places.many = subject[1] if len(subject[1]) > 1 else "args"
        return [] if subject else None

    def _rest(self, case: Node, subject: str) -> None:
        """Take what a loop does with an argument that is no option."""
        for patterns, body, _, _ in branches(_text(case), self.text, one_by_one=False, options=False):
            if patterns.strip() not in ("*", "[!-]*", "[^-]*") or ENDING.search(body.partition("else")[0]):
                continue
            if found := re.search(rf"(\w+)(\+?)=\(?\s*\"?(?:\$\{{?\w+(?:\[@\])?\}}?\"?\s+)?\"?\$\{{?{subject}\b", body):
                many = bool(found[2]) or "(" in found[0]
                if many:
                    self.places.many = plain_name(found[1]) if "positional" not in found[1].lower() else "args"
                else:
                    self.places.take(1, plain_name(found[1]))
                    self.variables[found[1]] = 1

    def _case(self, node: Node) -> list[Node]:
        """Read a choice by an argument: `case "$1" in start) …`."""
        subject = _text(node.child_by_field_name("value") or node)
        found = re.fullmatch(r"\"?\$\{?(\w+)(?::?-[^}]*)?\}?\"?", subject)
        place = self._place(found[1]) if found else 0
        if not place or self.hidden:
            return node.children
        parts = list(branches(_text(node), self.text, one_by_one=False, options=False))
        words = [word.strip().strip("\"'") for patterns, *_ in parts for word in patterns.split("|")]
        named = tuple(dict.fromkeys(word for word in words if re.fullmatch(r"[A-Za-z0-9][\w.+-]*", word)))
        other = next((body for patterns, body, *_ in parts if patterns.strip() == "*"), None)
        self.branches += [one for one in branches(_text(node), self.text, one_by_one=False) if "shift" in one[1]]
        plain = not any(set("*?[") & set(word) for word in words if word != "*")
        if plain and len(named) > 1 and (other is None or ENDING.search(other)):
            self.choices[place] = tuple(one for one in named if one != "help")
            self.places.take(place, "command" if subject.strip('"${}').isdigit() else "")
            if other is not None:
                self.taken.add(place)
        before = set(self.taken)
        for item in node.children:
            if item.type == "case_item":
                self.read(item)
        self.places.optional |= self.taken - before
        return []

    def _test(self, node: Node) -> None:
        """Read what is asked of the arguments, and whether the script ends then."""
        condition = _text(node) if node.type != "compound_statement" else ""
        if node.type == "compound_statement" and (node.children or [node])[0].type != "((":
            return
        condition = condition or _text(node)
        behind, otherwise, negated = _consequences(node)
        for found in _COUNT.finditer(condition):
            sign = _SIGNS.get(found[1], found[1])
            ends = bool(ENDING.search(behind))
            if negated or (not ends and ENDING.search(otherwise)):
                sign, ends = _OTHERWISE[sign], ends if negated else True
            note_count(self.places, sign, int(found[2]) + self.shifted, ends=ends)
        for found in _EMPTY.finditer(condition):
            place = int(found[2] or found[4] or found[5]) + self.shifted
            if self.hidden:
                continue
            missing = (found[3] is None) != negated
            ends = bool(ENDING.search(behind if missing else otherwise))
            self.places.take(place)
            if (missing and ends) or (not missing and otherwise and ends):
                self.places.least = max(self.places.least or 0, place)
                self.checked.add(place)
            else:
                self.places.optional.add(place)
                preset = re.search(r"\b\w+=[\"']?([^\"'$\s;]+)", behind if missing else otherwise)
                if preset:
                    self._default(place, preset[1])
        for found in _GLUE.finditer(condition):
            if not self.hidden and not found[2] and not re.search(r"[\"']?-{1,2}\w|=~", condition):
                self.places.take(int(found[1] or found[4]) + self.shifted)

    def _expansion(self, node: Node) -> None:
        written = _text(node)
        number = re.fullmatch(r"\$(\d)", written)
        expanded = _EXPANDED.match(written)
        if written in ("$@", "$*", "${@}"):
            self.places.many = self.places.many or ("" if self.hidden or _is_parsed(node) else "args")
        if self.hidden or not (number or expanded):
            return
        place = int(number[1] if number else expanded[1] if expanded else 0) + self.shifted
        if place == self.shifted:  # $0
            return
        sign, said = (expanded[2] or "", expanded[3]) if expanded else ("", "")
        name, comment = self._assigned(node, place)
        default = said.strip("\"'") if sign in (":-", "-", ":=", "=") and "$" not in said else None
        self.places.take(place, name, default or None)
        self.taken.add(place)
        if sign in (":-", "-", ":=", "=", ":+", "+"):
            self.places.optional.add(place)
        elif sign in (":?", "?"):
            self.places.least = max(self.places.least or 0, place)
        self.helps.setdefault(place, comment)

    def _assigned(self, node: Node, place: int) -> tuple[str, str]:
        """Return the variable that a place is given to, and the comment behind it."""
        around = node.parent
        while around is not None and around.type in ("string", "concatenation", "command_substitution", "command"):
            around = around.parent
        if around is None or around.type != "variable_assignment":
            return "", ""
        whole = around.child_by_field_name("name")
        value = _text(around.child_by_field_name("value") or around)
        name = _text(whole) if whole else ""
        if re.fullmatch(r"\"?\$(?:\d|\{\d+[^{}]*\})\"?", value):
            self.variables.setdefault(name, place)
        comment = around.next_sibling
        near = comment is not None and comment.type == "comment" and comment.start_point[0] == around.end_point[0]
        return plain_name(name), " ".join(_text(comment).lstrip("# ").split()) if near and comment else ""

    def _place(self, name: str) -> int:
        return int(name) + self.shifted if name.isdigit() else self.variables.get(name, 0)

    def _default(self, place: int, value: str) -> None:
        self.places.optional.add(place)
        if option := self.places.found.get(place):
            self.places.found[place] = option.model_copy(update={"default": option.default or value})


def _is_parsed(node: Node) -> bool:
    """Say whether words are handed to getopt, which only sorts them."""
    around = node.parent
    while around is not None and around.type in ("string", "command"):
        if around.type == "command":
            return _text(around).startswith("getopt")
        around = around.parent
    return False


def _text(node: Node) -> str:
    return (node.text or b"").decode(errors="replace")


def _below(node: Node, kind: str) -> Iterator[Node]:
    pending = list(node.children)
    while pending:
        one = pending.pop(0)
        if one.type == kind:
            yield one
        elif one.type != "function_definition":
            pending += one.children


def _looked_at(case: Node, variable: str, loop: Node) -> bool:
    """Say whether what a case asks for is the next argument."""
    subject = _text(case.child_by_field_name("value") or case).strip("\"'")
    found = re.match(r"\$\{?(\w+)", subject)
    if found is None:
        return False
    return found[1] in ("1", variable) or bool(re.search(rf"\b{found[1]}=\"?\$\{{?1\b", _text(loop)))


def _consequences(node: Node) -> tuple[str, str, bool]:
    """Return what is done where a condition holds and where not; and whether it is turned around."""
    around, negated = node.parent, False
    before = node
    while around is not None and around.type in ("negated_command", "list", "redirected_statement"):
        if around.type == "negated_command":
            negated = not negated
        if around.type == "list":
            sign = next((_text(one) for one in around.children if one.type in ("&&", "||")), "")
            last = around.children[-1]
            if last.id != before.id and last.type != "test_command":
                return _text(last), "", negated != (sign == "||")
        before, around = around, around.parent
    if around is None or around.type not in ("if_statement", "elif_clause"):
        return "", "", negated
    parts = around.children
    start = next((at for at, one in enumerate(parts) if one.type == "then"), len(parts))
    end = next((at for at, one in enumerate(parts) if one.type in ("elif_clause", "else_clause")), len(parts))
    yes = " ".join(_text(one) for one in parts[start:end])
    return yes, " ".join(_text(one) for one in parts[end:] if one.type == "else_clause"), negated
