"""What things are called: every name in the store is a digest of what the thing is made from.

Raise a recipe version when the way of making changes so that the result differs: old things stay, unused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster_interface.model.plan import digest

if TYPE_CHECKING:
    from collections.abc import Sequence

BASE_RECIPE = 1
LAYER_RECIPE = 1
LOCK_RECIPE = 1

EPOCH = 1735689600  #: 2025-01-01: the one time that everything in an image claims to be from


def base_key(*, suite: str, packages: Sequence[str], architecture: str, excluded: Sequence[str], ca: str | None) -> str:
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
        }
    )


def image_key(*, base: str, python: str, requirements: str) -> str:
    """Name an image: the base alone has the base's own key."""
    if not requirements:
        return base
    return digest({"recipe": LAYER_RECIPE, "base": base, "python": python, "requirements": requirements.splitlines()})


def request_key(
    *,
    base: str,
    python: str,
    requirements: Sequence[str],
    newest: str | None,
    index: str | None,
    extra: Sequence[str] = (),
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
            **({"extra": list(extra)} if extra else {}),
        }
    )
