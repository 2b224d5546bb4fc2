"""Put the uv that uv.lock names into a directory. Usage: python3 scripts/fetch_uv.py DIRECTORY.

Needs neither pip nor venv, which a Debian machine lacks at first, but Python 3.8's standard library alone; so it
reads the lock by pattern (tomllib is of 3.11).
"""

from __future__ import annotations

import hashlib
import io
import platform
import re
import sys
import urllib.request
import zipfile
from pathlib import Path

LOCK = Path(__file__).resolve().parent.parent / "uv.lock"


def wheel() -> tuple[str, str]:
    """Return URL and SHA-256 of the wheel for this machine, as locked."""
    package = re.search(r'\[\[package\]\]\nname = "uv"\n.*?(?=\n\[\[package\]\]|\Z)', LOCK.read_text(), re.DOTALL)
    wheels = re.findall(r'url = "([^"]+\.whl)", hash = "sha256:([0-9a-f]{64})"', package[0] if package else "")
    libc = "manylinux" if platform.libc_ver()[0] == "glibc" else "musllinux"
    for url, sha256 in wheels:
        if libc in url and url.endswith(f"_{platform.machine()}.whl"):
            return url, sha256
    sys.exit(f"uv has no wheel for {platform.machine()} with this C library; install uv by hand")


def main(directory: Path) -> None:
    """Fetch, check, unpack the one program."""
    url, sha256 = wheel()
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            data = answer.read()
    except OSError as error:
        sys.exit(f"{url}: {error}")
    if hashlib.sha256(data).hexdigest() != sha256:
        sys.exit(f"{url} is not what uv.lock names")
    archive = zipfile.ZipFile(io.BytesIO(data))
    name = next(name for name in archive.namelist() if name.endswith(".data/scripts/uv"))
    directory.mkdir(parents=True, exist_ok=True)
    program = directory / "uv"
    program.write_bytes(archive.read(name))
    program.chmod(0o755)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
