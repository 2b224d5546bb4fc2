"""What things are called: every name in the store is a digest of what the thing is made from.

Raise a recipe version when the way of making changes so that the result differs: old things stay, unused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster_interface.model.plan import digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BASE_RECIPE = 2
GROWN_RECIPE = 2
LAYER_RECIPE = 2
LOCK_RECIPE = 2
ORIGIN_RECIPE = 2
SETUP_RECIPE = 2

EPOCH = 1735689600  #: 2025-01-01: the one time that everything in an image claims to be from


def base_key(
    *, suite: str, packages: Sequence[str], architecture: str, excluded: Sequence[str], ca: str | None, day: str | None
) -> str:
    """Name a bootstrapped base by its recipe. `ca` is the SHA-256 of the site's certificates, if it adds any."""
    return digest(
        {
            "recipe": BASE_RECIPE,
            "suite": suite,
            "packages": sorted(set(packages)),
            "architecture": architecture,
            "excluded": list(excluded),
            "epoch": EPOCH,
            "ca": ca,
            **({"day": day} if day else {}),
        }
    )


def grown_key(*, under: str, packages: Sequence[str]) -> str:
    """Name a base that is another one with more distribution packages."""
    return digest({"recipe": GROWN_RECIPE, "under": under, "packages": sorted(set(packages))})


def image_key(*, base: str, python: str, requirements: str, conda: str = "", r: Sequence[str] = ()) -> str:
    """Name an image: the base alone has the base's own key."""
    if not (requirements or conda or r):
        return base
    made = {"recipe": LAYER_RECIPE, "base": base, "python": python, "requirements": requirements.splitlines()}
    more = {name: value for name, value in (("conda", conda), ("r", list(r))) if value}
    return digest({**made, **more})


def origin_key(reference: str, architecture: str) -> str:
    """Name the base that an image of a registry makes."""
    return digest({"recipe": ORIGIN_RECIPE, "origin": reference, "architecture": architecture})


def dockerfile_key(context: str, architecture: str, *, network: bool) -> str:
    """Name the base that a Dockerfile makes."""
    return digest({"recipe": ORIGIN_RECIPE, "context": context, "architecture": architecture, "network": network})


def setup_key(under: str, setup: str, *, network: bool) -> str:
    """Name the base that a setup step makes of an image."""
    return digest({"recipe": SETUP_RECIPE, "under": under, "setup": setup, "network": network})


def request_key(
    *,
    base: str,
    python: str,
    requirements: Sequence[str],
    newest: str | None,
    index: str | None,
    more: Mapping[str, object],
) -> str:
    """Name a question to the resolver, so that its answer is found again."""
    return digest(
        {
            "recipe": [LOCK_RECIPE, LAYER_RECIPE],  # a lock names the image it makes
            "base": base,
            "python": python,
            "requirements": list(requirements),
            "exclude_newer": newest,
            "index": index,
            **{name: value for name, value in more.items() if value},
        }
    )
