"""What an environment asks for: which base, which Python, which packages; and the name of that question."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from cluster_interface.images import base as bases
from cluster_interface.images import importing
from cluster_interface.images.base import SUITES, Recipe
from cluster_interface.images.failures import image_failed
from cluster_interface.images.keys import request_key
from cluster_interface.images.lock import Target
from cluster_interface.images.requirements import Wanted, read
from cluster_interface.model.base import Model
from cluster_interface.model.errors import Rejected
from cluster_interface.model.jobspec import PythonEnvironment

if TYPE_CHECKING:
    from cluster_interface.images.shelf import Shelf
    from cluster_interface.model.jobspec import Environment
    from cluster_interface.settings import Images


class Request(Model):
    """An environment, taken apart."""

    base: str  #: key
    recipe: Recipe | None  #: None: the base was imported
    target: Target | None  #: None: the base has no Python
    key: str = ""  #: finds the answer again
    wanted: tuple[Wanted, ...] = ()
    newest: str | None = None
    indexes: tuple[str, ...] = ()  #: asked before the site's own


def understand(shelf: Shelf, settings: Images, environment: Environment, requirements: str) -> Request:
    """Take an environment apart, at once and without the network; Rejected names the field that cannot be."""
    _refuse(environment, settings)
    python = environment.python or PythonEnvironment()
    wanted = tuple(read(python.packages, requirements))
    name = environment.base or settings.base
    request = _imported(shelf, name, environment, python) if name else _suited(settings, environment, python)
    target = request.target
    if wanted and target is None:
        raise Rejected.field("environment.base", f"{name!r} has no Python to install packages for")
    key = request_key(
        base=request.base,
        python=target.python if target else "",
        requirements=[" ".join([one.requirement, *sorted(one.hashes)]) for one in wanted],
        newest=environment.newest,
        index=settings.index_url,
        extra=python.extra_index_urls,
    )
    return request.model_copy(
        update={"key": key, "wanted": wanted, "newest": environment.newest, "indexes": python.extra_index_urls}
    )


_NOT_HERE = ("r", "conda", "venv", "image", "dockerfile", "setup")


def _refuse(environment: Environment, settings: Images) -> None:
    """Refuse in words what this store cannot do, or the site does not allow."""
    for name in _NOT_HERE:
        if getattr(environment, name):
            raise Rejected.field(f"environment.{name}", "is not made by this version yet; leave it out")
    python = environment.python or PythonEnvironment()
    if python.lock:
        raise Rejected.field("environment.python.lock", "is not read by this version yet; write python.requirements")
    for url in python.extra_index_urls:
        if url not in {allowed.rstrip("/") for allowed in settings.extra_index_urls}:
            raise Rejected.field(
                "environment.python.extra_index_urls", f"{url} is not allowed here; the site lists those that are"
            )


def minor(version: str) -> str:
    """Shorten 3.11.2 to 3.11."""
    return ".".join(version.split(".")[:2])


def _imported(shelf: Shelf, name: str, environment: Environment, python: PythonEnvironment) -> Request:
    base = importing.named(shelf, name)
    if base is None:
        raise Rejected.field("environment.base", f"there is no base named {name!r}; `clif images list` shows them")
    if environment.system:
        raise Rejected.field("environment.system", f"packages cannot be added to {name!r}: it was made elsewhere")
    has = base.interpreter
    if python.version and (has is None or has.version != python.version):
        raise Rejected.field(
            "environment.python.version",
            f"{name!r} has {f'Python {has.version}' if has else 'no Python'}; ask for that, or another base",
        )
    target = Target(python=has.version, machine=platform.machine(), glibc=has.glibc) if has else None
    return Request(base=base.key, recipe=None, target=target)


def _suited(settings: Images, environment: Environment, python: PythonEnvironment) -> Request:
    suite = _suite(settings.suite, python.version)
    recipe = bases.recipe(settings, suite, environment.system)
    facts = SUITES[suite]
    target = Target(python=facts.python, machine=platform.machine(), glibc=facts.glibc)
    return Request(base=recipe.key, recipe=recipe, target=target)


def _suite(own: str, version: str | None) -> str:
    """Choose the release of Debian whose Python is asked for; the site's own where none is."""
    if own not in SUITES:
        raise image_failed(f"images.suite: {own!r} is not one of {', '.join(SUITES)}")
    if version is None or minor(SUITES[own].python) == version:
        return own
    for name, facts in SUITES.items():
        if minor(facts.python) == version:
            return name
    has = ", ".join(f"{minor(facts.python)} ({name})" for name, facts in SUITES.items())
    raise Rejected.field(
        "environment.python.version", f"Python {version} is in no base that can be made here; there is {has}"
    )
