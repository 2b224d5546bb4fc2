"""Amounts for people. Apart from `resources`, whose models cost an import that a command line need not pay."""

from __future__ import annotations

from datetime import UTC, datetime


def show_bytes(amount: int) -> str:
    """Bytes for people: `1.5 GiB`."""
    size = float(amount)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if size == int(size) or unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def spell_bytes(amount: int) -> str:
    """Bytes as one writes them in a spec, exactly: `512MiB`, `1536KiB`, `1000`."""
    for power, unit in ((4, "TiB"), (3, "GiB"), (2, "MiB"), (1, "KiB")):
        if amount and amount % 1024**power == 0:
            return f"{amount // 1024**power}{unit}"
    return str(amount)


def spell_time(seconds: int) -> str:
    """A length of time as one writes it in a spec, exactly: `1h30m`, `45s`."""
    parts = [(seconds // 3600, "h"), (seconds % 3600 // 60, "m"), (seconds % 60, "s")]
    return "".join(f"{n}{unit}" for n, unit in parts if n) or "0s"


def show_day(at: float) -> str:
    """A day for people, in UTC: `2026-05-01`."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"


def show_time(seconds: float) -> str:
    """A length of time for people: `2 h 5 min`."""
    whole = int(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds != whole else f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours // 24, "d"), (hours % 24, "h"), (minutes, "min"), (rest, "s")]
    return " ".join(f"{n} {unit}" for n, unit in parts if n) or "0 s"
