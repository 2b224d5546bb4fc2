"""Room is made without waiting for anybody, and who asks is told what was left and why."""

import fcntl
import hashlib
import os
import time

import pytest

from cluster_interface.images import Store, pruning
from cluster_interface.images.faces.engine import Engine
from cluster_interface.images.packages import Package
from cluster_interface.model.errors import Transient
from cluster_interface.model.plan import Lock
from cluster_interface.settings import Images

LONG_AGO = time.time() - 7200
OLD = {"older_than": 3600, "larger_than": 0, "keep": 0, "dry_run": False}


class SilentEngine(Engine):
    """An engine that takes its time and then does not answer."""

    def __init__(self):
        super().__init__(None)
        self.asked = 0

    def remove(self, name):
        self.asked += 1
        raise Transient("the Docker engine does not answer")


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "store", Images())
    made._engine = SilentEngine()
    return made


@pytest.fixture
def shelf(store):
    return store._shelf


def key(name):
    """Make the key of a name."""
    return hashlib.sha256(name.encode()).hexdigest()


def base(shelf, name):
    """Put a base into the store, unused for long."""
    place = shelf.base(key(name))
    (place / "rootfs").mkdir(parents=True)
    shelf.write(
        place / "base.json",
        {"key": key(name), "name": name, "created": 0.0, "size": 9, "suite": "bookworm", "interpreter": None},
    )
    os.utime(place / "base.json", (LONG_AGO, LONG_AGO))
    return key(name)


def image(shelf, name, on, requirements="six==1.17.0\n"):
    """Put an image into the store, unused for long."""
    lock = Lock(base=on, image=key(name), python="3.11", requirements=requirements, suite="bookworm")
    (shelf.layer(lock.image) / "env").mkdir(parents=True)
    about = {"lock": lock.model_dump(mode="json"), "size": 5, "created": 0.0}
    shelf.write(shelf.layer(lock.image) / "layer.json", about)
    os.utime(shelf.layer(lock.image) / "layer.json", (LONG_AGO, LONG_AGO))
    return lock


def package(shelf, name):
    """Put an installed package into the store that nothing has any more."""
    place = shelf.package(key(name))
    (place / "tree").mkdir(parents=True)
    (place / "tree/file").touch()
    (place / "package.json").write_text(Package(name=name, files=("file",)).model_dump_json())
    os.utime(place, (LONG_AGO, LONG_AGO))
    return place


def wheel(shelf, name):
    """Put a wheel into the store that was made of a source; return its hash."""
    place = shelf.root / "built" / key(name)
    place.mkdir()
    (place / f"{name}-1.0-py3-none-any.whl").write_bytes(name.encode() * 100)
    os.utime(place, (LONG_AGO, LONG_AGO))
    return hashlib.sha256(name.encode() * 100).hexdigest()


def gone(done):
    return {image.key for image in done.images}


def test_a_build_in_the_installers_cache_is_not_waited_for(store, shelf):
    """The images and packages go; the cache is emptied of them the next time, when nobody uses it."""
    on = base(shelf, "base")
    lock = image(shelf, "one", on)
    package(shelf, "six")
    cached = shelf.wheels / "wheels-v8/pypi/six"
    cached.mkdir(parents=True)
    (shelf.wheels / "CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55")
    (shelf.wheels / ".lock").touch()
    with (shelf.wheels / ".lock").open() as used:
        fcntl.flock(used, fcntl.LOCK_SH)  # as uv itself does while it installs
        done = store.prune([], **OLD)
    assert gone(done) == {lock.image, on}
    assert done.packages == 1
    assert done.left == ("package in the installer's cache, which a build uses now: the next time",)
    assert cached.exists()
    assert store.prune([], **OLD).left == ()
    assert not cached.exists()
    assert shelf.all("unwanted") == []


def test_an_engine_that_does_not_answer_is_asked_once(store, shelf):
    """Images that are in it stay, with the base they stand on; the others go."""
    on = base(shelf, "base")
    loaded = [image(shelf, f"in docker {number}", on) for number in range(5)]
    for lock in loaded:
        shelf.write(shelf.note("docker", lock.image), {"diff_ids": []})
    free = image(shelf, "free", on)
    done = store.prune([], **OLD)
    assert gone(done) == {free.image}
    assert store._engine.asked == 1
    assert done.left == ("5 images in the Docker engine, which does not answer now",)
    assert not done.unfinished


def test_what_is_used_or_made_stays(store, shelf):
    """A build that stands on a base keeps it, though nothing else does; each is named."""
    on, other = base(shelf, "base"), base(shelf, "other")
    made = image(shelf, "one", other)
    with shelf.use(on), shelf.hold(made.image):
        done = store.prune([], **OLD)
    assert gone(done) == set()
    assert done.left == (f"image {made.image[:24]}, image {on[:24]} being made or used right now",)
    assert gone(store.prune([], **OLD)) == {made.image, other, on}


def test_after_a_while_the_rest_is_left(store, shelf, monkeypatch):
    """Who asks is told to ask again."""
    monkeypatch.setattr(pruning, "PATIENCE", -1.0)
    lock = image(shelf, "one", base(shelf, "base"))
    package(shelf, "six")
    done = store.prune([], **OLD)
    assert (done.images, done.packages, done.unfinished) == ((), 0, True)
    assert "want of time" in done.left[0]
    monkeypatch.undo()
    assert lock.image in gone(store.prune([], **OLD))


def test_wheels_of_sources_go_when_nothing_names_them(store, shelf):
    """Not those of an image, of a job's lock, of lately or too small; a lock that names one which went is forgotten."""
    names = ("ofimage", "ofjob", "ofnobody", "ofoldlock", "lately")
    made = {name: wheel(shelf, name) for name in names}
    os.utime(shelf.root / "built" / key("lately"))
    on = base(shelf, "base")
    text = {name: f"{name}==1.0 \\\n    --hash=sha256:{made[name]}\n" for name in names}
    used = image(shelf, "one", on, text["ofimage"])
    job = Lock(base=on, image=key("a job's"), python="3.11", requirements=text["ofjob"])
    old = Lock(base=on, image=key("old"), python="3.11", requirements=text["ofoldlock"])
    for lock in (job, old):
        shelf.write(shelf.note("locks", lock.image), lock.model_dump(mode="json"))
    needed = {used.image, job.image, on}
    assert store.prune(needed, **{**OLD, "larger_than": 10**6}).wheels == 0
    assert store.prune(needed, **OLD).wheels == 2
    left = {place.name for place in shelf.all("built")}
    assert left == {key("ofimage"), key("ofjob"), key("lately")}
    assert shelf.note("locks", job.image).exists()
    assert not shelf.note("locks", old.image).exists()
