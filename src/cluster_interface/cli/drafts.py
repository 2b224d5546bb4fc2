"""A draft for people: what would run, where, and what each guess rests on."""

from __future__ import annotations

import math
import re
import shlex
from typing import TYPE_CHECKING, Any

from cluster_interface.cli.talk import print_json, say
from cluster_interface.cli.terminal import plain
from cluster_interface.model.amounts import spell_bytes, spell_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cluster_interface.client import Draft

_EMPTY: tuple[tuple[str, Any], ...] = (
    ("variables", {}),
    ("resources", {}),
)  # an empty `environment` or file entry does say something
_FLAGS = {"environment.python.packages": "--with", "environment.system": "--system"}
_PLACES = re.compile(r"(?: \S+[ =]\{\w+\})*")  #: what a sweep adds to a command
MOST_LEFT = 4  #: files of earlier runs that are named
HANG = 15  #: where what is said begins, behind its title
MOST_LINES = 12  #: of one kind; the rest is counted


def show_draft(draft: Draft) -> None:
    """Print a draft to stderr: a screenful at most for a common script."""
    document, proposal = draft.document, (draft.inspected or {}).get("proposal", {})
    guesses = [guess for guess in proposal.get("guesses", ()) if guess not in draft.asks]
    _row("repository", [draft.origin] if draft.origin else ())
    _row("command", [document.get("command", "(to be inferred)")], copied=True)
    _row("environment", _environment(document.get("environment"), guesses))
    _row("files", _files(document.get("files", {}), guesses))
    _row("left here", _left(draft.left))
    if document.get("deliver"):
        _row("deliver", document["deliver"])
    _row("outputs", document.get("outputs") or [f"{_found(guesses, 'outputs')}every file that is new or changed"])
    _row("resources", [*_stated(draft, guesses), _resources(draft, guesses)])
    _row("sweep", _values(draft, guesses, "sweep") or _tasks(document))
    _row("after", document.get("after") or ())
    _row("checkpoint", _values(draft, guesses, "checkpoint"))
    if draft.inspected and _goes_where_it_was_inspected(document.get("resources") or {}, draft.inspected):
        _row("bounds", [_bounds(draft.inspected["bounds"])])
    asked = [(guess, flag) for guess in draft.asks if (flag := _FLAGS.get(guess["field"]))]
    for guess, flag in asked:  # what else is asked for has a warning that says what to do
        say(f"  not sure     {plain(guess['value'])}: {plain(guess['rests_on'])}", colour="yellow", hang=HANG)
        file = "a file of yours? --input FILE; " if guess["rests_on"].startswith("import ") else ""
        say(f"{'':{HANG}}not installed: {file}that package? {flag} {plain(guess['value'])}", colour="yellow", hang=HANG)
    _row("left out", [f"{one['directive']} (line {one['line']}): {one['why']}" for one in proposal.get("left_out", ())])
    told = tuple(f"{flag} {guess['value']}" for guess, flag in asked)
    for warning in (*_missing(document, proposal), *proposal.get("warnings", ()), *draft.notes):
        if told and warning.endswith(told):
            continue  # it is asked about above
        say(f"  warning      {plain(warning)}", colour="yellow", hang=HANG)


def show_options(draft: Draft) -> None:
    """Print to stderr what the script takes on its command line, and ready command lines."""
    proposal = (draft.inspected or {}).get("proposal", {})
    _row("options", [_option(option) for option in proposal.get("options", ())])
    _row("ready", proposal.get("suggestions", ()), copied=True)


def _missing(document: dict[str, Any], proposal: dict[str, Any]) -> Iterator[str]:
    """Say what the script needs and its proposed command does not give, and how it is given."""
    missing = proposal.get("missing")
    command, proposed = document.get("command") or "", proposal.get("command") or ""
    added = command.removeprefix(proposed)  # by a sweep: --n {n}
    if not missing or not command.startswith(proposed) or not _PLACES.fullmatch(added):
        return
    given = set(re.split(r"[ =]", added))
    if names := [name for name in missing["names"] if name not in given]:
        example = f"clif run {shlex.quote(proposal['script'])} -- {missing['example']}"
        yield f"{proposal['script']} needs {', '.join(names)}, not given: for example {example}"


def _option(option: dict[str, Any]) -> str:
    """Say of an option in one line: how it is written, what it takes, what it is for."""
    name = option["name"].upper() if option["positional"] else ", ".join((option["name"], *option["aliases"]))
    takes = "|".join(option["choices"]) or ("" if option["flag"] or option["positional"] else option["kind"].upper())
    needed = "needed" if option["required"] else ""
    default = f"else {option['default']}" if option["default"] not in (None, "") else ""
    if takes and option["joined"]:
        name, takes = f"{name}={takes}", ""
    words = " ".join(filter(None, (option["command"], name, takes)))
    return "  ".join(filter(None, (words, needed or default, option["help"])))


def print_spec(draft: Draft, *, json_: bool) -> None:
    """Print the draft's spec to stdout: as YAML, or with the server's inspection as JSON."""
    if json_:
        print_json({"spec": draft.document, "inspection": draft.inspected})
        return
    import click  # noqa: PLC0415 - beside yaml, which only this needs
    import yaml  # noqa: PLC0415 - 30 ms, only to describe

    document = _spelled(_without_empty(draft.document))
    click.echo(yaml.safe_dump(document, sort_keys=False, allow_unicode=False, width=math.inf), nl=False)


def _row(title: str, lines: Iterable[str], *, copied: bool = False) -> None:
    """Print lines under a title; what people copy is not broken."""
    lines = [plain(line) for line in lines]
    for number, line in enumerate(lines[:MOST_LINES]):
        say(f"  {title if number == 0 else '':<12} {line}", hang=None if copied else HANG)
    if len(lines) > MOST_LINES:
        say(f"  {'':<12} … and {len(lines) - MOST_LINES} more", dim=True)


def _environment(environment: Any, guesses: list[dict[str, Any]]) -> list[str]:
    if not isinstance(environment, dict):
        return ["as the spec says"]
    python, conda, r = environment.get("python") or {}, environment.get("conda") or {}, environment.get("r") or {}
    lines = [f"{name} {environment[name]}" for name in ("image", "dockerfile", "base", "venv") if environment.get(name)]
    if python:
        lines.append(f"Python {python.get('version') or '(of the base image)'}")
    lines += [python[name] for name in ("requirements", "lock") if python.get(name)]
    rests = {guess["value"]: guess["rests_on"] for guess in guesses if guess["field"].startswith("environment")}
    packages = (*(python.get("packages") or ()), *(environment.get("system") or ()))
    lines += [f"{package}  ({rests.get(package, 'named by you')})" for package in packages]
    lines += [f"R: {package}" for kind in ("packages", "bioconductor") for package in r.get(kind) or ()]
    lines += [f"conda: {conda}"] if isinstance(conda, str) else [f"conda: {one}" for one in conda.get("packages") or ()]
    taken = " ".join(rests.values())  # modules that became packages are named there
    for name in environment.get("modules") or ():
        lent = "the host lends" in rests.get(name, "")
        lines += [f"module {name}{f'  ({rests[name]})' if lent else ''}"] if lent or f" {name}" not in taken else []
    lines += [f"{name}={value}" for name, value in (environment.get("variables") or {}).items()]
    lines += ["a setup step"] if environment.get("setup") else []
    lines += [f"as of {environment['as_of']}"] if environment.get("as_of") else []
    return lines or ["the base image alone"]


def _files(files: dict[str, Any], guesses: list[dict[str, Any]]) -> list[str]:
    rests = {guess["value"]: guess["rests_on"] for guess in guesses if guess["field"] == "files"}
    return [f"{name}  ({rests[name]})" if name in rests else name + _whence(files[name]) for name in files] or ["none"]


def _whence(entry: Any) -> str:
    """Say of what is not copied where it is."""
    if not isinstance(entry, dict):
        return ""
    if entry.get("mode") == "mount":
        how = "mounted, to be written" if entry.get("writable") else "mounted"
        return f"  ({how}: {str(entry.get('source')).removeprefix('file:')})"
    return f" -> {entry['target']}" if entry.get("target") else ""


def _left(names: Sequence[str]) -> Iterator[str]:
    """Say which files here are outputs of earlier runs, hence no inputs."""
    if names:
        more = f" and {len(names) - MOST_LEFT:,} more" if len(names) > MOST_LEFT else ""
        yield f"{', '.join(names[:MOST_LEFT])}{more}: outputs of earlier runs, no inputs; --input NAME gives one"


def _found(guesses: list[dict[str, Any]], field: str) -> str:
    values = [guess["value"] for guess in guesses if guess["field"] == field]
    return f"{', '.join(values[:4])}{', …' if len(values) > 4 else ''}; and " if values else ""


def _stated(draft: Draft, guesses: list[dict[str, Any]]) -> list[str]:
    """Return a line for each resource that is as the directives of the script say."""
    asked = draft.document.get("resources") or {}
    said = draft.inspected["proposal"].get("resources", {}) if draft.inspected else {}
    return [
        f"{name} {guess['value']}  ({guess['rests_on']})"
        for guess in guesses
        if (name := guess["field"].removeprefix("resources.")) in said and asked.get(name) == said[name]
    ]


def _values(draft: Draft, guesses: list[dict[str, Any]], field: str) -> list[str]:
    """Return what a field is guessed to be, if it is so in the document."""
    said = [f"{guess['value']}  ({guess['rests_on']})" for guess in guesses if guess["field"] == field]
    return said if draft.document.get(field) else []


def _resources(draft: Draft, guesses: list[dict[str, Any]]) -> str:
    stated = {line.partition(" ")[0] for line in _stated(draft, guesses)}
    asked = draft.document.get("resources") or {}
    spelled = _amounts(asked)
    parts = [
        f"{name} {draft.earlier.get(name, value)}" for name, value in spelled.items() if value and name not in stated
    ]
    if draft.inspected:
        parts += [f"{name} {draft.inspected[name]}" for name in ("queue", "runtime") if name not in asked]
    network = "with network" if draft.document.get("network") else "no network"
    return ", ".join([*parts, network])


def _tasks(document: dict[str, Any]) -> Iterator[str]:
    """Say how many tasks there will be, as far as that is known here."""
    sweep = document.get("sweep")
    if isinstance(sweep, dict):
        yield _origin(sweep)
        bounds = {"max_running": "at most {} at a time", "pack": "{} to a start"}
        said = [words.format(sweep[name]) for name, words in bounds.items() if sweep.get(name)]
        if said := [*said, *(["the first one alone"] if sweep.get("first_alone") else [])]:
            yield ", ".join(said)


def _origin(sweep: dict[str, Any]) -> str:
    if sweep.get("table"):
        return f"one for each row of {sweep['table']}"
    if sweep.get("files"):
        return f"one for each file that matches {sweep['files']}"
    lists = sweep.get("parameters") or {}
    counts = [len(values) for values in lists.values() if isinstance(values, list)]
    count = min(counts, default=0) if sweep.get("method") == "zip" else math.prod(counts)
    return f"{count:,}: {', '.join(f'{name} ({len(values)})' for name, values in lists.items())}"


def _goes_where_it_was_inspected(wanted: dict[str, Any], inspected: dict[str, Any]) -> bool:
    """Say whether the bounds that were told, of the default queue and runtime, are those of this job."""
    same = all(wanted.get(name) in {None, inspected[name]} for name in ("queue", "runtime"))
    return same and wanted.get("scheduler") is None


def _bounds(bounds: dict[str, str]) -> str:
    kinds: dict[str, list[str]] = {}
    for name, kept in bounds.items():
        kinds.setdefault(kept, []).append(name)
    return "; ".join(f"{kept}: {', '.join(names)}" for kept, names in kinds.items()) or "none known"


def _spelled(document: dict[str, Any]) -> dict[str, Any]:
    """Write the amounts of a spec as people do: `512MiB`, `1h30m`."""
    parts = {name: document[name] for name in ("resources", "checkpoint") if isinstance(document.get(name), dict)}
    return {**document, **{name: _amounts(part) for name, part in parts.items()}}


def _amounts(part: dict[str, Any]) -> dict[str, Any]:
    spell = {"memory": spell_bytes, "time": spell_time, "signal_before": spell_time}
    return {
        name: spell[name](value) if name in spell and type(value) is int and value > 0 else value
        for name, value in part.items()
    }


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        found = {name: _without_empty(inner) for name, inner in value.items()}
        return {name: inner for name, inner in found.items() if inner not in (None, []) and (name, inner) not in _EMPTY}
    return value
