"""The tree of a shell script, and what to do where the grammar goes astray.

tree-sitter-bash allows a line break between any two words, and tries only so many readings at once: behind a long
pipeline with redirections it may take the next lines for more words of a command, without calling that an error. Such
a script is read statement by statement.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

import tree_sitter_bash
from tree_sitter import Language, Parser

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tree_sitter import Node

LONGEST_STATEMENT = 400  #: lines
MOST_PARSED = 5_000_000  #: bytes of one script, those of a statement counted anew for each line that it grows by
#: `LOG=$METHOD-$BASIS.log`, of which the grammar makes an assignment and a command `BASIS.log`
_WORD_OF_SEVERAL = re.compile(
    rb"(?<![\w$'\"{-])[A-Za-z_]\w*=[\w./:,+@%-]*\$\w+[-./:,+@%][\w./:,+@%-]*\$\w[\w./:,+@%$-]*"
)
_PLAIN = re.compile(rb"\$(\w+)")


def trees(text: bytes) -> Iterator[tuple[int, Node]]:
    """Yield trees that are the whole script, each with the number of lines before it."""
    text = _WORD_OF_SEVERAL.sub(lambda found: _PLAIN.sub(rb"${\1}", found[0]), text)
    whole = _parse(text)
    if not _runs_on(whole):
        yield 0, whole
        return
    lines, at, left = text.splitlines(keepends=True), 0, MOST_PARSED
    while at < len(lines):
        for end in range(at + 1, min(at + LONGEST_STATEMENT, len(lines)) + 1):
            statement = b"".join(lines[at:end])
            left -= len(statement)
            root = _parse(statement)
            if left < 0 or _is_whole(statement, root):
                break
        else:
            end, root = at + 1, _parse(lines[at])  # it cannot be read in any case
        if left < 0:
            end, root = len(lines), _parse(b"".join(lines[at:]))
        yield at, root
        at = end


def _parse(text: bytes) -> Node:
    return Parser(_language()).parse(text).root_node  # a parser is not to be shared between threads


@cache
def _language() -> Language:
    return Language(tree_sitter_bash.language())


def _is_whole(statement: bytes, root: Node) -> bool:
    return not root.has_error and not statement.rstrip(b"\r\n").endswith(b"\\") and not _runs_on(root)


def _runs_on(root: Node) -> bool:
    """Say whether a command of the tree has words on lines that do not continue the one before."""
    pending = [root]
    while pending:
        node = pending.pop()
        parts = node.children
        if node.type in ("command", "file_redirect") and not any("heredoc" in part.type for part in parts):
            text, start = node.text or b"", node.start_byte
            gaps = (text[a.end_byte - start : b.start_byte - start] for a, b in pairwise(parts))
            if any(b"\n" in gap.replace(b"\\\r\n", b"").replace(b"\\\n", b"") for gap in gaps):
                return True
        pending += parts
    return False
