"""What the tools' failures have in common: the disk, the network, and which of many words to show."""

from __future__ import annotations

import re

from cluster_interface.model.errors import ClusterError, Permanent, Transient
from cluster_interface.model.state import FailureCode

_LONGEST = 500  #: characters of a tool's own words in a message
_SECRET = re.compile(r"(://)[^/@\s\"']+@")

DISK = re.compile(r"No space left on device|os error 28\b|Disk quota exceeded|os error 122\b")

_UNREACHABLE = re.compile(
    r"dns error|tcp connect error|client error \(Connect\)|error sending request|operation timed out|timed out|"
    r"Connection reset|Connection refused|connection closed|request or response body error|"
    r"status server error \(5\d\d|\b429 Too Many Requests|Could not connect to|Could not resolve|"
    r"no such host|dial tcp|i/o timeout|pinging container registry|"
    r"Temporary failure resolving|Unable to connect to|Connection failed|Failed to fetch .*  5\d\d ",
    re.IGNORECASE,
)
_CERTIFICATE = re.compile(
    r"invalid peer certificate|UnknownIssuer|certificate verif|self.signed certificate|x509: certificate", re.IGNORECASE
)
_REFUSED = re.compile(r"status client error \((401|403|407)[^)]*\)|HTTP status (401|403|407)")


def image_failed(message: str) -> Permanent:
    """Make the error that fails a job for its image."""
    return Permanent(message, code=FailureCode.IMAGE_FAILED)


def without_secrets(text: str) -> str:
    """Leave out passwords in addresses."""
    return _SECRET.sub(r"\1***@", text)


def disk_full(where: object) -> Permanent:
    """Say that the disk is full that holds `where`, such as the image store."""
    return image_failed(
        f"the disk that holds {where} is full: free some space (`clif images prune` removes images that nobody needs) "
        "and run the job again"
    )


def network(text: str, who: str, setting: str, said: str) -> ClusterError | None:
    """Make an error of a network that fails, naming the setting to correct; None if it did not."""
    if _CERTIFICATE.search(text):
        return Transient(f"{who}'s certificate is not trusted here: set images.ca_bundle to the site's ({said})")
    if found := _REFUSED.search(text):
        code = next(filter(None, found.groups()))
        return image_failed(f"{who} refuses this machine (HTTP {code}); correct {setting} or images.proxy")
    if not _UNREACHABLE.search(text):
        return None
    through = " through the proxy" if re.search(r"tunnel|proxy", text, re.IGNORECASE) else ""
    return Transient(f"{who} cannot be reached{through} ({said})")


_NOISE = re.compile(
    r"\$ |\+ |note: |hint: |[\u00d7╰│]|(?:error: )?subprocess-exited|error: metadata-generation|.*finished with status|"
    r"Traceback|ERROR: Failed (?:building|to build)|.*\[(?:\d+ lines?|end) of output\]"
)  #: what the shell and pip say around a program's own words
_TELLING = re.compile(
    r"\w*Error\b|\berror\b|deprecated|requires|\bfatal\b|not found|no such|cannot|failed|denied|unable|undefined",
    re.IGNORECASE,
)


def telling(text: str) -> str:
    """Take the line of a log that matters: the first that speaks of an error, else the last."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not _NOISE.match(line.strip())]
    return short(next((line for line in lines if _TELLING.search(line)), lines[-1] if lines else "it does not say why"))


def last_message(text: str) -> str:
    """Take the last message of a Go program that logs `msg="…"`."""
    found = re.findall(r'msg="((?:[^"\\]|\\.)*)"', text)
    return short(found[-1].replace('\\"', '"')) if found else last(text)


def last(text: str) -> str:
    """Take the last line."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()] or ["no reason given"]
    return short(lines[-1].removeprefix("cause: ").removeprefix("Caused by: "))


def short(text: str) -> str:
    """Put it on one line that a message can hold."""
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
