"""Where this machine takes Debian packages from, as lines for mmdebstrap; see sources.list(5)."""

from __future__ import annotations

import re
from pathlib import Path

APT = Path("/etc/apt")
OS_RELEASE = Path("/etc/os-release")

_LINE = re.compile(r"deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<components>.*)")


def of_this_machine(suite: str, apt: Path = APT, os_release: Path = OS_RELEASE) -> list[str]:
    """List this machine's own Debian sources, rewritten for `suite`; empty where it is no Debian.

    Only those of the distribution itself: an entry whose suite is not the machine's release (a vendor's own)
    is left out.
    """
    own = _release(os_release)
    if own is None:
        return []
    found = []
    for entry in _entries(apt):
        uri, entry_suite, components, options = entry
        name, dash, pocket = entry_suite.partition("-")
        if name == own and pocket in ("", "updates", "security") and "main" in components.split():
            found.append(f"deb {options}{uri} {suite}{dash}{pocket} main")
    return list(dict.fromkeys(found))


def _release(path: Path) -> str | None:
    try:
        facts = dict(line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)
    except OSError:
        return None
    return facts.get("VERSION_CODENAME", "").strip('"') or None if facts.get("ID") == "debian" else None


def _entries(apt: Path) -> list[tuple[str, str, str, str]]:
    """Read every entry as (uri, suite, components, options)."""
    entries: list[tuple[str, str, str, str]] = []
    for path in (apt / "sources.list", *sorted((apt / "sources.list.d").glob("*.list"))):
        if path.is_file():
            entries += _one_line_entries(path.read_text(errors="replace"))
    for path in sorted((apt / "sources.list.d").glob("*.sources")):
        entries += _deb822_entries(path.read_text(errors="replace"))
    return entries


def _one_line_entries(text: str) -> list[tuple[str, str, str, str]]:
    return [
        (found["uri"], found["suite"], found["components"], _signed_by(found["options"] or ""))
        for line in text.splitlines()
        if (found := _LINE.fullmatch(line.partition("#")[0].strip()))
    ]


def _deb822_entries(text: str) -> list[tuple[str, str, str, str]]:
    entries: list[tuple[str, str, str, str]] = []
    for stanza in re.split(r"\n\s*\n", "\n".join(line for line in text.splitlines() if not line.startswith("#"))):
        field = {
            name.strip().lower(): value.strip() for name, _, value in (s.partition(":") for s in stanza.splitlines())
        }
        if "deb" not in field.get("types", "").split() or field.get("enabled", "yes").lower() == "no":
            continue
        signed = field.get("signed-by", "")
        options = f"[signed-by={signed}] " if signed.startswith("/") else ""
        entries += [
            (uri, suite, field.get("components", ""), options)
            for uri in field.get("uris", "").split()
            for suite in field.get("suites", "").split()
        ]
    return entries


def _signed_by(options: str) -> str:
    signed = [option for option in options.split() if option.startswith("signed-by=/")]
    return f"[{signed[0]}] " if signed else ""
