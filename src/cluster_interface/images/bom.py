"""What is in an image, as a bill of materials: CycloneDX 1.6 JSON (https://cyclonedx.org/docs/1.6/json/).

Components carry package URLs (https://github.com/package-url/purl-spec): Debian's from dpkg's own list in the base, the
index's from the lock with their hashes, conda's and R's from theirs.
"""

from __future__ import annotations

import re
import time
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from cluster_interface.images.keys import EPOCH
from cluster_interface.images.tree import inside

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cluster_interface.model.plan import Lock

_PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)((?:.*\\\n)*.*)$", re.MULTILINE)
_CONDA = re.compile(r"^- conda: (\S*/([^/\s]+?)-([^-/\s]+)-[^-/\s]+?\.(?:conda|tar\.bz2))$", re.MULTILINE)


def bill(lock: Lock, root: Path, version: str) -> dict[str, Any]:
    """Return the bill of an image whose base is at `root`; the same each time."""
    inner = lock
    components = []
    while True:
        components += [*_python(inner), *_conda(inner), *_r(inner)]
        if inner.under is None:
            break
        inner = inner.under
    components += _debian(root, inner.suite)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, lock.image)}",
        "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(EPOCH)),
            "tools": {"components": [{"type": "application", "name": "cluster-interface", "version": version}]},
            "component": {"type": "container", "bom-ref": lock.image, "name": f"cluster-interface/{lock.image[:24]}"},
        },
        "components": components,
    }


def _python(lock: Lock) -> Iterator[dict[str, Any]]:
    for name, version, rest in _PINNED.findall(lock.requirements):
        hashes = sorted(set(re.findall(r"sha256:([0-9a-f]{64})", rest)))
        found = _component(f"pkg:pypi/{quote(name.lower())}@{quote(version)}", name, version)
        properties = [{"name": "cluster-interface:sha256", "value": one} for one in hashes]
        yield {**found, **({"properties": properties} if properties else {})}


def _conda(lock: Lock) -> Iterator[dict[str, Any]]:
    for url, name, version in dict.fromkeys(_CONDA.findall(lock.conda)):
        channel = quote(url.rsplit("/", 2)[0], safe="")
        yield _component(f"pkg:conda/{quote(name)}@{quote(version)}?channel={channel}", name, version)


def _r(lock: Lock) -> Iterator[dict[str, Any]]:
    for line in lock.r:
        name, version, *_ = line.split()
        yield _component(f"pkg:cran/{quote(name)}@{quote(version)}", name, version)


def _debian(root: Path, suite: str | None) -> Iterator[dict[str, Any]]:
    """Read dpkg's status file (deb-control(5)) of the base."""
    status = inside(root, "/var/lib/dpkg/status")
    for stanza in re.split(r"\n\n+", status.read_text(errors="replace") if status else ""):
        field = dict(line.split(": ", 1) for line in stanza.splitlines() if re.match(r"[A-Za-z-]+: ", line))
        if "installed" in field.get("Status", "").split() and "Version" in field:
            name, version = field["Package"], field["Version"]
            query = f"arch={field.get('Architecture', 'all')}" + (f"&distro={suite}" if suite else "")
            yield _component(f"pkg:deb/debian/{quote(name)}@{quote(version)}?{query}", name, version)


def _component(purl: str, name: str, version: str) -> dict[str, Any]:
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
