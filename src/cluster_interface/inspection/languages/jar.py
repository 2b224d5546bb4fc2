"""Java archives, which are run as they are."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from cluster_interface.inspection.python.files import read_arguments
from cluster_interface.model.proposal import Sureness

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.project import Project
    from cluster_interface.inspection.shebang import Shebang


class Jar:
    """An archive with compiled classes; what it says of itself is not looked at."""

    says = "a Java archive (.jar)"

    def detects(self, name: str, _shebang: Shebang | None) -> bool:
        """Say whether the ending is that of one."""
        return name.lower().endswith(".jar")

    def uses(self, _project: Project, _name: str) -> frozenset[str]:
        """Name nothing: what is in it is compiled."""
        return frozenset()

    def read(self, draft: Draft) -> None:
        """Fill the draft."""
        self.follow(draft, draft.script, draft.arguments)
        read_arguments(draft, draft.arguments, set())
        draft.command = shlex.join(["java", "-jar", draft.script, *draft.arguments])
        draft.guess("command", draft.command, self.says, Sureness.KNOWN)
        if len(draft.project.files) > 1:
            draft.warn("which files a compiled program reads cannot be seen: say --input for what it needs")

    def follow(self, draft: Draft, name: str, _arguments: Sequence[str]) -> None:
        """Add what runs it."""
        draft.add_system("default-jre-headless", f"{name} is {self.says}")


JAR = Jar()
