"""What an environment asks for: which base, which Python, which packages; and the name of that question."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from cluster_interface.images import base as bases
from cluster_interface.images import conda, dockerfiles, importing, oci, pins, rpackages
from cluster_interface.images.base import SUITES, Recipe
from cluster_interface.images.failures import image_failed
from cluster_interface.images.keys import dockerfile_key, origin_key, request_key
from cluster_interface.images.lock import Target
from cluster_interface.images.requirements import Wanted, read, without_cuda
from cluster_interface.model.base import Model
from cluster_interface.model.environment import CondaEnvironment, PythonEnvironment
from cluster_interface.model.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cluster_interface.images.shelf import Shelf
    from cluster_interface.model.jobspec import Environment
    from cluster_interface.settings import Images


_READ = "is read before staging: upload it, write it inline, or name a file of the server's machine"
_NOT_ADDED = "packages of the distribution cannot be added to an image made elsewhere; use setup, or a Dockerfile"


FIRST_OF_3_11 = "2023-01-01"  #: from when on most packages have wheels for it


class Request(Model):
    """An environment, taken apart."""

    base: str = ""  #: key; empty: not known before the registry has said which image is meant
    recipe: Recipe | None = None  #: None: the base was not bootstrapped here
    target: Target | None = None  #: None: the base has no Python, or is not there yet
    key: str = ""  #: finds the answer again
    wanted: tuple[Wanted, ...] = ()
    newest: str | None = None
    indexes: tuple[str, ...] = ()  #: asked before the site's own
    conda: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    r: tuple[str, ...] = ()  #: R packages to be built from source
    origin: str | None = None  #: an image of a registry
    dockerfile: str | None = None  #: key of a context
    torch: str | None = None
    field: str = ""  #: what names the base in the spec, for messages

    @property
    def layered(self) -> bool:
        """Whether anything has to be resolved beyond the base."""
        return bool(self.wanted or self.conda or self.r)


def understand(
    shelf: Shelf,
    settings: Images,
    environment: Environment,
    requirements: str,
    files: Mapping[str, bytes] | None = None,
    *,
    gpus: bool = True,
) -> Request:
    """Take an environment apart, at once and without the network; Rejected names the field that cannot be.

    `files` are the job's small files where a Dockerfile wants them. Without `gpus`, packages that come with and without
    CUDA are taken without.
    """
    _refuse(environment, settings)
    python = environment.python or PythonEnvironment()
    ground = _ground(shelf, settings, environment, python, files or {})
    text = requirements
    if python.lock:
        text += f"\n{_locked(python.lock, files or {}, ground, python)}"
    packages = read(python.packages, text)
    cuda = gpus or not settings.torch_cpu
    wanted = environment.conda or CondaEnvironment.model_construct(packages=(), channels=())
    request = ground.model_copy(
        update={
            "wanted": tuple(packages if cuda else map(without_cuda, packages)),
            "newest": environment.newest,
            "indexes": python.extra_index_urls,
            "conda": wanted.packages,
            "channels": conda.channels(settings, wanted.channels) if wanted.packages else (),
            "torch": None if cuda else "cpu",
        }
    )
    if request.wanted and request.target is None and not request.origin and not request.conda:
        raise Rejected.field(request.field, "this base has no Python to install packages for")
    return request.model_copy(update={"key": key_of(request, settings)})


def _locked(path: str, files: Mapping[str, bytes], ground: Request, python: PythonEnvironment) -> str:
    if path not in files:
        raise Rejected.field("environment.python.lock", f"{path} {_READ}")
    version = ground.target.python if ground.target else python.version or minor(SUITES["bookworm"].python)
    return pins.requirements(path, files[path], version)


def key_of(request: Request, settings: Images) -> str:
    """Name the question."""
    return request_key(
        base=request.base,
        python=request.target.python if request.target else "",
        requirements=[" ".join([one.requirement, *sorted(one.hashes)]) for one in request.wanted],
        newest=request.newest,
        index=settings.index_url,
        more={
            "indexes": request.indexes,
            "conda": request.conda,
            "channels": request.channels,
            "r": request.r,
            "repositories": [settings.cran, settings.bioconductor] if request.r else None,
            "torch": request.torch,
        },
    )


def minor(version: str) -> str:
    """Shorten 3.11.2 to 3.11."""
    return ".".join(version.split(".")[:2])


def at_origin(request: Request, reference: str, settings: Images) -> Request:
    """Settle which image a request stands on."""
    settled = request.model_copy(update={"origin": reference, "base": origin_key(reference, platform.machine())})
    return settled.model_copy(update={"key": key_of(settled, settings)})


def _refuse(environment: Environment, settings: Images) -> None:
    """Refuse in words what this store cannot do, or the site does not allow."""
    if environment.image and environment.image.startswith("/"):
        raise Rejected.field(
            "environment.image",
            "a .sif file is taken as a base once: `apptainer build --sandbox DIR FILE.sif`, "
            "`tar -C DIR -cf ROOT.tar .`, `clif images import-base ROOT.tar NAME`, then environment.base: NAME",
        )
    for url in (environment.python or PythonEnvironment()).extra_index_urls:
        if url not in {allowed.rstrip("/") for allowed in settings.extra_index_urls}:
            raise Rejected.field(
                "environment.python.extra_index_urls", f"{url} is not allowed here; the site lists those that are"
            )


def _ground(
    shelf: Shelf, settings: Images, environment: Environment, python: PythonEnvironment, files: Mapping[str, bytes]
) -> Request:
    if environment.image or environment.dockerfile:
        field = "environment.image" if environment.image else "environment.dockerfile"
        for part in ("system", "r"):
            if getattr(environment, part):
                raise Rejected.field(f"environment.{part}", _NOT_ADDED)
        if environment.image:
            return _of_image(environment.image, settings, field)
        return _of_dockerfile(environment.dockerfile or "", settings, python, files, field)
    if name := environment.base or settings.base:
        return _imported(shelf, name, environment, python)
    return _suited(settings, environment, python)


def _of_image(reference: str, settings: Images, field: str) -> Request:
    name = oci.full(reference, settings, field)
    pinned = "@" in name
    return Request(base=origin_key(name, platform.machine()) if pinned else "", origin=name, field=field)


def _of_dockerfile(
    path: str, settings: Images, python: PythonEnvironment, files: Mapping[str, bytes], field: str
) -> Request:
    if python.packages or python.requirements or python.lock:
        raise Rejected.field("environment.python", "packages are installed by the Dockerfile itself; name them there")
    if path not in files:
        raise Rejected.field(field, f"{path} {_READ}")
    try:
        text = files[path].decode()
    except UnicodeDecodeError:
        raise Rejected.field(field, f"{path} is not UTF-8 text") from None
    dockerfiles.check(text, settings)
    context = dockerfiles.key_of(dockerfiles.context(path, files))
    base = dockerfile_key(context, platform.machine(), network=settings.build_network)
    return Request(base=base, dockerfile=context, field=field)


def _imported(shelf: Shelf, name: str, environment: Environment, python: PythonEnvironment) -> Request:
    base = importing.named(shelf, name)
    if base is None:
        raise Rejected.field("environment.base", f"there is no base named {name!r}; `clif images list` shows them")
    for field in ("system", "r"):
        if getattr(environment, field):
            raise Rejected.field(f"environment.{field}", f"packages cannot be added to {name!r}: it was made elsewhere")
    has = base.interpreter
    if python.version and (has is None or has.version != python.version) and not environment.conda:
        raise Rejected.field(
            "environment.python.version",
            f"{name!r} has {f'Python {has.version}' if has else 'no Python'}; ask for that, or another base",
        )
    target = Target(python=has.version, machine=platform.machine(), glibc=has.glibc) if has else None
    return Request(base=base.key, target=target, field="environment.base")


def _suited(settings: Images, environment: Environment, python: PythonEnvironment) -> Request:
    has_conda = environment.conda is not None and bool(environment.conda.packages)
    version = python.version or (_python_of(environment.newest) if python.packages and not environment.r else None)
    suite = _suite(settings.suite, None if has_conda else version)
    system, sources = rpackages.split(environment.r, suite) if environment.r else ((), ())
    recipe = bases.recipe(settings, suite, (*environment.system, *system), environment.as_of)
    facts = SUITES[suite]
    target = Target(python=facts.python, machine=platform.machine(), glibc=facts.glibc)
    return Request(base=recipe.key, recipe=recipe, target=target, r=sources, field="environment.python.packages")


def _python_of(day: str | None) -> str | None:
    """Return the Python that packages of a day are made for, where that of the site's own base was too new then."""
    return minor(SUITES["bullseye"].python) if day and day < FIRST_OF_3_11 else None


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
