"""Further package indexes that files name: those that the site allows are taken, without what is secret in them.

pip: https://pip.pypa.io/en/stable/cli/pip_install/; uv: https://docs.astral.sh/uv/concepts/indexes/; poetry:
https://python-poetry.org/docs/repositories/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from cluster_interface.inspection.python.stated import Need
from cluster_interface.inspection.wording import shown
from cluster_interface.model.environment import PythonEnvironment
from cluster_interface.model.proposal import Sureness

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cluster_interface.inspection.draft import Draft

FIELD = "environment.python.extra_index_urls"
OPTIONS = ("-i", "--index-url", "--extra-index-url", "--index", "--default-index")  #: pip's and uv's
_PYPI = ("pypi.org", "pypi.python.org")
_PYTORCH = "download.pytorch.org"


def of_words(words: Sequence[str], where: str) -> list[Need]:
    """List what the words of a command line name with pip's options."""
    pairs = [(word.partition("=")[0], word.partition("=")[2]) for word in words]
    values = [value or (words[at] if at < len(words) else "") for at, (_, value) in enumerate(pairs, 1)]
    return [
        Need(value, f"{where}, {option}")
        for (option, _), value in zip(pairs, values, strict=True)
        if option in OPTIONS and value
    ]


def of_tables(where: str, *values: Any) -> tuple[Need, ...]:
    """List what tables of TOML or JSON name: an address, a table with one in `url`, or lists of these."""
    return tuple(Need(address, where) for value in values for address in _addresses(value))


def _addresses(value: Any) -> Iterator[str]:
    for one in value if isinstance(value, list) else [value]:
        address = one.get("url") if isinstance(one, dict) else one
        if isinstance(address, str) and address:
            yield address


def propose_indexes(draft: Draft, needs: Iterable[Need]) -> None:
    """Take those that the site allows; say of the others why not."""
    for need in needs:
        url, secret = without_user(need.requirement)
        host = urlsplit(url).hostname or ""
        if host in _PYPI:
            continue
        if host == _PYTORCH:
            draft.warn_once(
                url, f"{need.where}: {url} is not asked: whether PyTorch comes with CUDA follows from resources.gpus"
            )
        elif not _is_address(url):
            draft.warn_once(url, f"{need.where}: {shown(url)} is no address of a package index, so it is not asked")
        else:
            _propose(draft, url, need.where, secret=secret)


def _propose(draft: Draft, url: str, where: str, *, secret: bool) -> None:
    if secret:
        draft.warn_once(
            f"secret {url}",
            f"{where}: the user or password in the address of {url} is not kept: take it out of the file, and ask "
            "whoever runs this site for a way to this index without one",
        )
    if url in draft.software.indexes:
        draft.add_index(url, where)
        return
    draft.guess(FIELD, url, f"{where}; this site does not allow it yet", Sureness.ASK)
    draft.warn_once(
        url,
        f"{where} names the package index {url}, which this site does not allow, so packages come from the site's own; "
        "it can be allowed with images.extra_index_urls",
    )


def without_user(url: str) -> tuple[str, bool]:
    """Return an address without user and password, and whether it had any."""
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return "", False
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=host, query="", fragment="")).rstrip("/"), host != parts.netloc


def _is_address(url: str) -> bool:
    try:
        PythonEnvironment(extra_index_urls=(url,))
    except ValueError:
        return False
    return url.startswith(("https://", "http://"))
