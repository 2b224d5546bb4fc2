"""What mmdebstrap and apt say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cluster_interface.images.failures.words import DISK, disk_full, image_failed, network, short, without_secrets

if TYPE_CHECKING:
    from cluster_interface.model.errors import ClusterError


def of_bootstrap(text: str, suite: str, store: object) -> ClusterError:
    """Make an error of what mmdebstrap and apt said when they failed."""
    text = without_secrets(text)
    if DISK.search(text):
        return disk_full(f"the image store ({store})")
    if missing := _missing_packages(text):
        return image_failed(
            f"environment.system: Debian {suite} has no package named {' or '.join(missing)}; "
            "see packages.debian.org for what it is called"
        )
    for pattern, sentence in _APT:
        if pattern.search(text):
            return image_failed(sentence.format(suite=suite) + f" ({short(_last_errors(text))})")
    if trouble := network(text, "the Debian mirror", "images.mirror", short(_last_errors(text))):
        return trouble
    return image_failed(f"the base could not be made from Debian {suite}: {short(_last_errors(text))}")


_APT = tuple(
    (re.compile(pattern), sentence)
    for pattern, sentence in (
        (
            r"unable to pick chroot mode automatically|newuidmap|is not allowed by /etc/sub[ug]id",
            (
                "this account may not make user namespaces with several ids, so it cannot bootstrap a base: have the "
                "administrator add it to /etc/subuid and /etc/subgid, or take a base made elsewhere: "
                "`clif images import-base FILE`"
            ),
        ),
        (
            r"unmet dependencies|held broken packages|Conflicts:",
            "the distribution packages in environment.system cannot be installed together on Debian {suite}",
        ),
        (
            r"NO_PUBKEY|is not signed|signatures couldn't be verified|GPG error",
            "the mirror's signature cannot be checked: install debian-archive-keyring, or correct images.mirror",
        ),
        (r"is not valid yet|is expired", "the mirror's index is not valid now: is this machine's clock right?"),
        (
            r"does not have a Release file|404 +Not Found",
            "the mirror does not have Debian {suite}: correct images.suite or images.mirror",
        ),
    )
)

_MISSING = re.compile(
    r"Unable to locate package (\S+)|Package '?([^\s']+)'? has no installation candidate|Couldn't find any package "
    r"by (?:glob|regex) '([^']+)'"
)


def _missing_packages(text: str) -> list[str]:
    return sorted({next(filter(None, found)) for found in _MISSING.findall(text)})


def _last_errors(text: str) -> str:
    errors = [line.strip() for line in text.splitlines() if line.startswith(("E:", "Err:", "dpkg: error"))]
    telling = [
        line
        for line in errors
        if not line.startswith(("E: run_chroot", "E: apt-get", "E: mmdebstrap", "E: setup failed"))
    ]
    return "; ".join((telling or errors or text.strip().splitlines() or ["no reason given"])[:3])
