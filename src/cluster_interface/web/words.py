"""States, failures, sizes and times in words for people; and names made safe to look at."""

from __future__ import annotations

import re
import time
import unicodedata
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from cluster_interface.model.amounts import show_bytes, show_time
from cluster_interface.model.state import FailureCode, JobState
from cluster_interface.service.previews import can_look

if TYPE_CHECKING:
    from cluster_interface.wire import PatternView, WaitingView

_BEGINS = re.compile(  # the same as in dom.ts: what else comes first may be a name
    r"(?:a|all|asked|asks|every|has|is|it|its|left|line|many|must|no|nothing|queue|the|there|this|what|which|write) "
)
LONGEST_SHOWN = 300  #: characters of a name on a page

MEANING = {
    JobState.SUBMITTED: "Working out exactly what it needs: versions, sizes and checksums.",
    JobState.AWAITING_APPROVAL: "A steward looks at it before it may run.",
    JobState.PREPARING: "Putting its software together and bringing its files in place.",
    JobState.QUEUED: "In the scheduler's queue: it starts when there is room.",
    JobState.RUNNING: "Running on the cluster.",
    JobState.STAGING_OUT: "It has ended; its outputs are being listed and checked.",
    JobState.COMPLETED: "It ended well.",
    JobState.FAILED: "It did not end well.",
    JobState.CANCELED: "It was canceled.",
    JobState.REJECTED: "A steward did not let it run.",
}

ADVICE = {
    FailureCode.EXIT_CODE: "The program itself reported an error. The end of its log usually says why.",
    FailureCode.OUT_OF_MEMORY: "It needed more memory than it asked for: change it to ask for more and run it again.",
    FailureCode.TIME_LIMIT: "Its time was over before it was done: ask for more time, or give it less to do.",
    FailureCode.NODE_FAILED: "The machine under it failed, which is not your job's fault: run it again.",
    FailureCode.TASKS_FAILED: "Some of its tasks failed. What the others left behind is here.",
    FailureCode.IMAGE_FAILED: "Its software could not be put together. What stands above says what to change.",
    FailureCode.INPUT_UNAVAILABLE: "A file it needs could not be had: check the path or the address.",
    FailureCode.OUTPUT_MISSING: "It ended without an error, but did not write what it promised.",
    FailureCode.SCHEDULER_REJECTED: "The scheduler did not take it: ask for less, or choose another queue.",
    FailureCode.LOST: "The cluster lost track of it: run it again.",
    FailureCode.INTERNAL: "The trouble is on the server's side: its administrator sees more with “clif doctor”.",
}


def state_label(state: str) -> str:
    """Write a state as words: `staging out`."""
    return str(state).replace("_", " ")


def visible(text: str) -> str:
    """Make hostile names harmless to look at: controls and bidi marks as `⟨U+202E⟩`, what is too long cut."""
    shown = "".join(f"⟨U+{ord(c):04X}⟩" if _is_hidden(c) else c for c in text[:LONGEST_SHOWN])
    return shown if len(text) <= LONGEST_SHOWN else f"{shown}…"


def visible_lines(text: str) -> str:
    """Make a text of several lines harmless to look at, line breaks and tabs kept, nothing cut."""
    return "".join(f"⟨U+{ord(c):04X}⟩" if c not in "\n\t" and _is_hidden(c) else c for c in text)


def sentence(text: str) -> str:
    """Begin with a capital letter, unless what it begins with may be a name: `environment.setup ends with 2`."""
    return text[:1].upper() + text[1:] if _BEGINS.match(text) else text


def coded(text: str) -> Markup:
    """Set what stands between backticks as code; a backtick without another stays."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        parts[-2:] = ["`".join(parts[-2:])]
    shown = (Markup("<code>{}</code>").format(part) if number % 2 else part for number, part in enumerate(parts))
    return Markup("").join(shown)


def _is_hidden(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


#: flags of the command line -> what the form of "Change…" calls the same
_IN_FORM = {
    "--with": "“Another package”", "--system": "“Another package” of the system", "--input": "“Choose files”",
    "--network": "“Let it use the network”", "--memory": "“Memory”", "--time": "“Time”", "--cpus": "“Cores”",
}  # fmt: skip
_FLAG = re.compile(r"`(--[a-z-]+)( [^`]*)?`")
_BROUGHT = re.compile(r": `--(?:with|system) [^`]*` brings it")


def on_page(text: str, missing: object = None) -> str:
    """Say of advice for the command line what it is on the page: what a button does is not said once more."""
    if missing:
        text = _BROUGHT.sub("", text)
    text = text.replace("say `--", "use `--")
    return _FLAG.sub(
        lambda found: f"{_IN_FORM[found[1]]}{_named(found[2])}" if found[1] in _IN_FORM else found[0], text
    )


def _named(value: str | None) -> str:
    return f": `{value.strip()}`" if value else ""


def whence(entry: Any) -> str:
    """Say where a file of a job came from; nothing of one that was handed over."""
    source = str(getattr(entry, "source", "") or "")
    return "" if source.startswith("upload:") else source


def ago(at: float, now: float | None = None) -> str:
    """Say how long ago `at` (seconds since 1970) was: `3 min ago`; the same words as times.ts uses."""
    seconds = max(0, int((time.time() if now is None else now) - at))
    if seconds < 10:
        return "just now"
    if seconds < 60:
        return f"{seconds // 10 * 10} s ago"
    if seconds < 3600:
        return f"{seconds // 60} min ago"
    if seconds < 86400:
        return f"{seconds // 3600} h ago"
    days = seconds // 86400
    return f"{days} day ago" if days == 1 else f"{days} days ago"


def lasted(seconds: float) -> str:
    """Write a length of time: tenths only where they say something."""
    return show_time(seconds if seconds < 10 else int(seconds))


def moment(at: float) -> str:
    """Write a time for people, in UTC."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"


def iso(at: float) -> str:
    """Write a time as HTML's `datetime` wants it."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"


def waits(waiting: WaitingView, now: float) -> str:
    """Say where a waiting job stands, when it is expected to start, and how far such guesses were off."""
    parts = [] if waiting.position is None else [f"Place {waiting.position} in the queue."]
    if waiting.start is not None:
        parts.append(f"Expected to start in {lasted(max(0.0, waiting.start - now))}.")
        if waiting.usually_off is not None:
            parts.append(f"Such guesses were off by {lasted(waiting.usually_off)} (median of {waiting.guesses}).")
    return " ".join(parts)


def filled_in(pattern: PatternView) -> dict[str, str]:
    """Write what stands in a pattern's form when it is opened: the example's values, else the defaults, as text."""
    values = {name: field.default for name, field in pattern.fields.items()} | pattern.example.values
    return {name: _as_text(value) for name, value in values.items() if value is not None}


def _as_text(value: Any) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{name} = {_as_text(inner)}" for name, inner in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def kind(media: str) -> str:
    """Write a media type for people: `csv`, `png`, `hdf5`; nothing for what is only bytes."""
    if media in ("", "application/octet-stream"):
        return ""
    short = media.rpartition("/")[2].rpartition(".")[2].removeprefix("x-").partition("+")[0]
    return {"plain": "text", "tab-separated-values": "tsv", "sheet": "xlsx"}.get(short, short)


FILTERS = {
    "kind": kind,
    "looks": can_look,
    "state_label": state_label,
    "visible": visible,
    "visible_lines": visible_lines,
    "coded": coded,
    "sentence": sentence,
    "on_page": on_page,
    "whence": whence,
    "ago": ago,
    "lasted": lasted,
    "moment": moment,
    "iso": iso,
    "bytes": show_bytes,
}
