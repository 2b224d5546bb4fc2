"""A proposal in the making: readers add what they find, each line with what it rests on."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from typing import TYPE_CHECKING

from cluster_interface.inspection.software import Software
from cluster_interface.inspection.wanted import Wanted
from cluster_interface.inspection.wording import clean_name, writable
from cluster_interface.model.filenames import check_name
from cluster_interface.model.proposal import Option, Proposal, Sureness

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cluster_interface.inspection.batch.directives import Dialect
    from cluster_interface.inspection.batch.request import Request
    from cluster_interface.inspection.project import Project
    from cluster_interface.model.proposal import Missing

MOST_SIGNS = 5  #: signs of network use that are named
MOST_NAMED = 20  #: files of one finding that get a line of their own; more are summed up

Follow = Callable[["Draft", str, "Sequence[str]"], bool]
FollowText = Callable[["Draft", str, str, str], None]


def _follow_nothing(_draft: Draft, _name: str, _arguments: Sequence[str]) -> bool:
    return False


def _follow_no_text(_draft: Draft, _interpreter: str, _name: str, _text: str) -> None:
    pass


class Draft(Wanted):
    """What has been found so far about one script."""

    def __init__(
        self,
        project: Project,
        script: str,
        arguments: Sequence[str],
        software: Software | None = None,
        start: str | None = None,
        *,
        home: str = "",
    ) -> None:
        super().__init__(software or Software(), home)
        self.project = project
        self.script = script
        self.arguments = tuple(arguments)
        self.command = ""
        self.asked_start = start  #: the directory in which the program is to be started; None: nobody said
        self.start = ""  #: the one in which it starts, below the job's
        self.options: tuple[Option, ...] = ()
        self.suggestions: tuple[str, ...] = ()
        self.missing: Missing | None = None
        self.batch: Request | None = None  #: what the directives of a batch script ask for
        self.dialect: Dialect | None = None  #: the batch system whose variables the script uses
        self.first: dict[str, str] = {}  #: commands that run before its own, and why
        self.built: set[str] = set()  #: programs that are made in the job itself
        self.builds = False  #: its scripts build by themselves what their words do not name
        self.unbuilt: dict[str, str] = {}  #: programs of the job's directory that are started, and where
        self.looked_up: set[str] = set()  #: commands that were looked for in the archive
        self.absolute: set[str] = set()  #: absolute paths that were named
        self.followed: set[str] = set()  #: files that were read because another one runs them
        self.follow: Follow = _follow_nothing  #: reads a file that another one runs, whatever its kind
        self.follow_text: FollowText = _follow_no_text  #: reads what an interpreter is given to run
        self.opaque = False  #: it starts what cannot be seen here
        self._inputs: dict[str, None] = {}
        self._outputs: dict[str, None] = {}
        self._network: dict[str, None] = {}

    def add_inputs(self, names: Iterable[str], rests_on: str, sure: Sureness = Sureness.LIKELY) -> None:
        """Add files of the project as inputs; the script itself is none."""
        new = [n for n in names if n in self.project and n != self.script and n not in self._inputs]
        self._inputs.update(dict.fromkeys(new))
        for name in new if len(new) <= MOST_NAMED else ():
            self.guess("files", self.of_job(name), rests_on, sure)
        if len(new) > MOST_NAMED:
            common = posixpath.commonpath(map(self.of_job, new))
            self.guess("files", f"{common}/**" if common else "**", f"{rests_on} ({len(new)} files)", sure)

    def add_output(self, pattern: str, rests_on: str) -> None:
        """Add a pattern of files that seem to be written; what cannot be a name below /job is left out."""
        try:
            check_name(self.of_job(pattern))
        except ValueError:
            return
        if pattern not in self._outputs:
            self._outputs[pattern] = None
            self.guess("outputs", self.of_job(pattern), rests_on, Sureness.LIKELY)

    def written(self, names: Iterable[str]) -> set[str]:
        """Return those names that are outputs and nothing but outputs so far."""
        return {name for name in names if name in self._outputs and name not in self._inputs}

    def needs_network(self, what: str) -> None:
        """Note that the script asks for something from outside, which a job must say."""
        if what not in self._network:
            self._network[what] = None
            self.guess("network", "true", what, Sureness.ASK)

    @property
    def name(self) -> str:
        """What the job is called: as its directives say, else as the script is."""
        said = self.batch.value("name") if self.batch else None
        return str(said) if said else clean_name(self.script)

    @property
    def array(self) -> tuple[int, ...]:
        """The indices of the array that the directives ask for; empty where they ask for none."""
        return self.batch.value("array")[0] if self.batch and self.batch.sweep else ()

    def proposal(self) -> Proposal:
        """Close the draft."""
        if self._network:
            named = ", ".join([*self._network][:MOST_SIGNS]) + (" …" if len(self._network) > MOST_SIGNS else "")
            self.warn(f"it seems to ask for things from the network: {named}. A job has none unless you say --network")
        batch = self.batch
        if self.on_host:
            self.warn_of_host()
        return Proposal(
            script=self.of_job(self.script),
            name=self.name,
            command=self.command,
            environment=self.environment,
            inputs=tuple(map(self.of_job, self._inputs)),
            outputs=tuple(map(self.of_job, self._outputs)),
            options=self.options,
            suggestions=tuple(map(writable, self.suggestions)),
            missing=self.missing,
            resources={**(batch.resources if batch else {}), **({"runtime": "none"} if self.on_host else {})},
            sweep=batch.sweep if batch else None,
            dialect=self.dialect,
            checkpoint=batch.checkpoint if batch else None,
            left_out=tuple(batch.left_out) if batch else (),
            guesses=self.guesses,
            warnings=self.warnings,
        )
