"""The files that a shell script's words name, as they are seen from the directory that its commands are in."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from cluster_interface.inspection.batch.uses import INDEX
from cluster_interface.inspection.paths import add_absolute
from cluster_interface.inspection.project import simplify
from cluster_interface.inspection.shell.words import HOLE
from cluster_interface.inspection.wording import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cluster_interface.inspection.draft import Draft

LONGEST_NAME = 1024  #: characters of a word that may name a file
MOST_PER_FILE = 100  #: indices of an array that are tried, for each file that is there
_NO_WRITING = ("/dev/", "&")


class Files:
    """Adds to a draft what is read and written."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._indices = draft.array
        self.place = ""  #: the directory that commands are in, below the one that the script is started in
        self.lost = False  #: they may be in one that is not known
        self.made: set[str] = set()  #: what is there whether it was there before or not

    def go(self, words: Sequence[str]) -> None:
        """Take `cd DIR`; what is known to be the directory that the script was started in is a full stop."""
        named = [word for word in words if not word.startswith("-")]
        if named[:1] == ["."]:
            self.place = ""
        elif not named or HOLE in named[0] or named[0].startswith(("/", "~")):
            self.lost = True
        elif named and HOLE not in named[0]:
            place = posixpath.normpath(posixpath.join(self.place, named[0]))
            if place == "." or place in self._draft.project.directories:
                self.place = "" if place == "." else place
            else:
                self.lost = True

    def one(self, word: str) -> str | None:
        """Return the file that a word names from where the commands are, else from where they were at first."""
        names = [posixpath.normpath(posixpath.join(home, word)) for home in (self.place, "")] if word else []
        return next((name for name in names if HOLE not in name and name in self._draft.project), None)

    def each(self, word: str) -> list[str]:
        """List the files that a word names, which may be a pattern."""
        if file := self.one(word):
            return [file]
        pattern = posixpath.normpath(posixpath.join(self.place, word.replace(HOLE, "*")))
        return self._draft.project.matching(pattern) if pattern.strip("*./") and "*" in pattern else []

    def read(self, word: str, where: str) -> None:
        """Take what a word names for an input, wherever it stands."""
        for text in dict.fromkeys([word, word.partition("=")[2]]):
            if not text.strip(HOLE + INDEX + "*./") or len(text) > LONGEST_NAME:
                continue
            if text.startswith(("/", "~/")):
                add_absolute(self._draft, text.replace(INDEX, "*").replace(HOLE, "*"), where)
            elif INDEX in text and len(self._indices) <= len(self._draft.project.files) * MOST_PER_FILE:
                for index in self._indices:
                    self._read(text.replace(INDEX, str(index)), f"{where}, for an index of the array")
            else:
                self._read(text.replace(INDEX, HOLE), where)

    def makes(self, word: str) -> None:
        """Note what is written anew: who reads it from here on wants no earlier one of that name."""
        name = simplify(posixpath.normpath(posixpath.join(self.place, word)))
        if HOLE not in name and INDEX not in name and name not in self._draft.project.directories:
            self.made.add(name)

    def _read(self, text: str, where: str) -> None:
        name = simplify(posixpath.normpath(text.replace(HOLE, "*")))
        project = self._draft.project
        if name in project:
            self._draft.add_inputs([name] if name not in self.made else [], where)
        elif "*" in name and name.split("*", 1)[0].rpartition("/")[0] in {"", *project.directories}:
            known = name.replace("*", "").strip("./")
            self._draft.add_inputs(project.matching(name) if known else [], where)
        elif name in project.directories:
            self._draft.add_inputs(project.below(name), where)

    def write(self, target: str, where: str) -> None:
        """Take what is written to for an output."""
        target = target.replace(INDEX, HOLE)
        if not target.strip(HOLE + "*/") or target.startswith(_NO_WRITING) or target.isdigit() or target == "-":
            return
        if target.startswith("/"):
            if not target.startswith("/tmp/"):  # noqa: S108 - only named
                named = shown(target.replace(HOLE, "*"))
                self._draft.warn(f"{where} writes {named}, which is not there in the job: use a relative path")
            return
        name = simplify(posixpath.normpath(posixpath.join(self.place, target.replace(HOLE, "*"))))
        if self._draft.of_job(name).startswith(".."):
            self._draft.warn(f"{where} writes {shown(name)}, outside the job's directory, which is not possible")
        else:
            self._draft.built.add(posixpath.basename(name))
            self._draft.add_output(name, where)
