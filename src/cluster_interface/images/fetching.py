"""Files of package repositories, as the site reaches them: through its proxy, trusting its certificates."""

from __future__ import annotations

import ssl
import urllib.request
from typing import TYPE_CHECKING

from cluster_interface.images.commands import environment

if TYPE_CHECKING:
    from pathlib import Path

    from cluster_interface.settings import Images

_WAIT = 30.0  #: seconds without a byte


def fetch(url: str, largest: int, settings: Images, home: Path) -> bytes:
    """Return at most `largest` bytes of a file; OSError or ValueError where it cannot be had."""
    environ = {name.lower(): value for name, value in environment(settings, home).items()}
    proxies = {scheme: environ[f"{scheme}_proxy"] for scheme in ("http", "https") if f"{scheme}_proxy" in environ}
    trusted = ssl.create_default_context(cafile=environ.get("ssl_cert_file"), capath=environ.get("ssl_cert_dir"))
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler(proxies), urllib.request.HTTPSHandler(context=trusted)
    )
    with opener.open(url, timeout=_WAIT) as answer:
        data: bytes = answer.read(largest)
        return data
