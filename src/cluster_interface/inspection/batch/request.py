"""What the directives of a script ask for, gathered option by option."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from pydantic import ValidationError

from cluster_interface.inspection.batch import reasons
from cluster_interface.inspection.batch.arrays import parse_array
from cluster_interface.model.errors import Rejected
from cluster_interface.model.proposal import LeftOut
from cluster_interface.model.resources import Resources
from cluster_interface.model.sweep import Sweep

if TYPE_CHECKING:
    from collections.abc import Callable

    from cluster_interface.inspection.batch.directives import Dialect
    from cluster_interface.inspection.batch.options import Apply, Option
    from cluster_interface.model.wishes import Checkpoint

PARAMETER = "array"  #: the sweep's parameter that an array job's index becomes
LONGEST_NAME = 128
_VARIABLE = re.compile(r"[A-Za-z_]\w*", re.ASCII)


@dataclass(frozen=True)
class Fact:
    """What an option says, understood."""

    value: Any
    option: Option


class Request:
    """The facts so far; a dialect makes resources of them when all directives are read."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.facts: dict[str, Fact] = {}
        self.resources: dict[str, Any] = {}
        self.rests_on: dict[str, str] = {}  #: field -> the directives that say it
        self.variables: dict[str, Fact] = {}
        self.sweep: Sweep | None = None
        self.checkpoint: Checkpoint | None = None
        self.left_out: list[LeftOut] = []
        self.warnings: list[str] = []

    def say(self, fact: str, value: Any, option: Option) -> None:
        """Note a fact. Said twice, the last one counts, as in each of the batch systems; a change is warned of."""
        before = self.facts.get(fact)
        if before and before.value != value:
            self.warnings.append(
                f"line {option.line}: {option.written} replaces {before.option.written} of line {before.option.line}"
            )
        self.facts[fact] = Fact(value, option)

    def value(self, fact: str) -> Any:
        """Return what was said; None where nothing was."""
        found = self.facts.get(fact)
        return found.value if found else None

    def options(self, *facts: str) -> list[Option]:
        """Return the options that said these facts, those that were said."""
        return [self.facts[fact].option for fact in facts if fact in self.facts]

    def leave(self, option: Option, why: str, part: str = "") -> None:
        """List an option, or a part of it, as not carried over."""
        written = f"{option.written} ({part})" if part and part not in option.written.split() else option.written
        self.left_out.append(LeftOut(line=option.line, directive=written, why=why))

    def ask(self, field: str, value: Any, *facts: str) -> None:
        """Ask for a resource, on what these facts' options say; Rejected where the model refuses the value."""
        options = self.options(*facts)
        try:
            Resources.model_validate({field: value})
        except ValidationError as error:
            message = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise options[-1].refuse(f"resources.{field}", message) from None
        self.resources[field] = value
        self.rests_on[f"resources.{field}"] = "; ".join(dict.fromkeys(option.where for option in options))

    def ask_as_said(self, *fields: str) -> None:
        """Ask for resources whose facts have their names."""
        for field in fields:
            if field in self.facts:
                self.ask(field, self.value(field), field)

    def ask_array(self) -> None:
        """Make a sweep of the array, if there is one."""
        if "array" not in self.facts:
            return
        indices, most = self.value("array")
        most = self.value("max_running") or most
        self.sweep = Sweep(parameters={PARAMETER: indices}, max_running=most)
        self.rests_on["sweep"] = "; ".join(option.where for option in self.options("array", "max_running"))

    def contradict(self, field: str, why: str, *facts: str) -> NoReturn:
        """Refuse facts that cannot all be true, naming their lines."""
        options = self.options(*facts)
        said = " and ".join(dict.fromkeys(f"line {option.line}: {option.written}" for option in options))
        raise Rejected.field(field, f"{said}: {why}")


def fill(fact: str, parse: Callable[[str], Any] = str, unlimited: str = "") -> Apply:
    """Make the rule that notes an option's value, read by `parse`.

    What cannot be read is refused; None, which stands for all there is, is left out with `unlimited` as the reason.
    """

    def apply(request: Request, option: Option) -> None:
        try:
            value = parse(option.value)
        except ValueError as error:
            raise option.refuse(_field(fact), str(error)) from None
        if value is None:
            request.leave(option, unlimited)
            request.facts.pop(fact, None)
        else:
            request.say(fact, value, option)

    return apply


def leave(why: str) -> Apply:
    """Make the rule that lists an option as not carried over."""
    return lambda request, option: request.leave(option, why)


def same(request: Request, option: Option) -> None:
    """Do nothing: what the option asks for is so anyway."""
    del request, option


def name(request: Request, option: Option) -> None:
    """Take a job's name over; what a name cannot have is left away."""
    plain = "".join(c for c in option.value if c.isprintable()).strip()[:LONGEST_NAME]
    if plain:
        request.say("name", plain, option)


def variables(request: Request, option: Option, items: str | None = None) -> None:
    """Take the variables of a list over that have a value; the others would come from the person's shell."""
    for item in (option.value if items is None else items).split(","):
        variable, given, value = item.strip().partition("=")
        if given and _VARIABLE.fullmatch(variable):
            request.variables[variable] = Fact(value, option)
        elif item.strip().upper() not in ("", "NONE", "NIL"):
            request.leave(option, reasons.CLEAN, item.strip())


def array(request: Request, option: Option) -> None:
    """Take an array over."""
    try:
        indices = parse_array(option.value)
    except ValueError as error:
        raise option.refuse("sweep.parameters", str(error)) from None
    request.say("array", indices, option)


def first_of(text: str) -> str:
    """Return the first of a list of names."""
    return text.split(",", maxsplit=1)[0].strip()


def shared_out(amount: int, parts: int) -> int:
    """Divide an amount so that all parts together have at least as much."""
    return math.ceil(amount / max(parts, 1))


def _field(fact: str) -> str:
    return f"resources.{fact}" if fact in Resources.model_fields else _FIELDS.get(fact, "script")


_FIELDS = {
    "ntasks": "resources.tasks_per_node",
    "ntasks_per_node": "resources.tasks_per_node",
    "cpus_per_task": "resources.cpus",
    "ncpus": "resources.cpus",
    "slots": "resources.cpus",
    "per_node": "resources.tasks_per_node",
    "mem_per_cpu": "resources.memory",
    "hard_memory": "resources.memory",
    "reserved_memory": "resources.memory",
    "mem_per_gpu": "resources.memory",
    "total_memory": "resources.memory",
    "process_memory": "resources.memory",
    "gres": "resources.gpus",
    "gpus_total": "resources.gpus",
    "gpus_per_node": "resources.gpus",
    "gpus_per_task": "resources.gpus",
    "signal": "checkpoint.signal_before",
    "soft_time": "checkpoint.signal_before",
    "max_running": "sweep.max_running",
}
