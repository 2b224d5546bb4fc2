"""Kept downloads: one for many, nobody's for somebody else, never believed when they were changed."""

from __future__ import annotations

import hashlib
import os
import threading

import pytest

from cluster_interface.model.errors import Permanent, Transient
from cluster_interface.staging.cache import Cache, Origin
from cluster_interface.staging.parts import part

DATA = b"genome" * 1000
SUM = hashlib.sha256(DATA).hexdigest()
ADDRESS = "https://example.edu/genome"


class Job:
    """A job's directory, which wants files from a cache."""

    def __init__(self, path):
        path.mkdir(exist_ok=True)
        self.path, self.fetched, self.said = path, 0, []

    def want(self, cache, origin, sha256=None, data=DATA, alone=False):
        def fetch(into):
            self.fetched += 1
            into.restart()
            into.write(data)

        home = os.open(self.path, os.O_RDONLY)
        try:
            with part(home, "incoming/x", 2**30, self.said.append) as wanted:
                wanted.alone = alone
                cache.give(origin, sha256, wanted, fetch)
                wanted.finish(0o755 if alone else 0o644)
                assert (self.path / "incoming/x").read_bytes() == data
                assert (wanted.size, wanted.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        finally:
            os.close(home)
        return (self.path / "incoming/x").stat()


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache", 2**30)


@pytest.fixture
def jobs(tmp_path):
    return [Job(tmp_path / f"job{number}") for number in range(3)]


def test_the_second_is_given_a_name_of_the_first(cache, jobs):
    """Same address, same version: one download, and one file with several names."""
    origin = Origin(address=ADDRESS, validator='"v1"')
    seen = [job.want(cache, origin) for job in jobs]
    assert [job.fetched for job in jobs] == [1, 0, 0]
    assert len({one.st_ino for one in seen}) == 1


def test_another_version_is_fetched(cache, jobs):
    """A new ETag means new bytes; without any, what was there before is not believed."""
    jobs[0].want(cache, Origin(address=ADDRESS, validator='"v1"'))
    jobs[1].want(cache, Origin(address=ADDRESS, validator='"v2"'), data=b"new")
    jobs[2].want(cache, Origin(address=ADDRESS), data=b"newer")
    assert [job.fetched for job in jobs] == [1, 1, 1]


def test_a_checksum_is_enough_whatever_the_address(cache, jobs):
    """Pinned bytes are the same wherever they come from."""
    jobs[0].want(cache, Origin(address=ADDRESS))
    jobs[1].want(cache, Origin(address="https://mirror.example.edu/g"), SUM)
    assert jobs[1].fetched == 0


def test_nobody_gets_what_is_somebody_elses(cache, jobs):
    """To know the checksum, or the very address, is not to have the right: each owner fetches for themselves."""
    private = Origin(address=ADDRESS, validator='"v1"', owner="ada")
    jobs[0].want(cache, private)
    jobs[1].want(cache, Origin(address=ADDRESS, validator='"v1"', owner="eve"), SUM)
    jobs[2].want(cache, Origin(address=ADDRESS, validator='"v1"'), SUM)
    assert [job.fetched for job in jobs] == [1, 1, 1]
    jobs[0].want(cache, private)
    assert jobs[0].fetched == 1


def test_what_was_changed_is_not_believed(cache, jobs):
    """A kept file that somebody wrote to, through any of its names, is forgotten."""
    origin = Origin(address=ADDRESS, validator='"v1"')
    jobs[0].want(cache, origin)
    (jobs[0].path / "incoming/x").write_bytes(b"EVIL" + DATA[4:])
    jobs[1].want(cache, origin, SUM)
    assert jobs[1].fetched == 1


def test_a_program_is_a_file_of_its_own(cache, jobs):
    """What gets other permissions is a copy: they belong to the file, not to its name."""
    origin = Origin(address=ADDRESS, validator='"v1"')
    plain, program = jobs[0].want(cache, origin), jobs[1].want(cache, origin, alone=True)
    assert (plain.st_mode & 0o777, program.st_mode & 0o777) == (0o644, 0o755)
    assert jobs[1].fetched == 0


def test_many_at_once_fetch_once(cache, tmp_path):
    """Those who come while a download is under way wait for it, and hear how far it is; no version is needed."""
    begun, go, fetched = threading.Event(), threading.Event(), []

    def fetch(into):
        fetched.append(1)
        into.restart()
        into.write(DATA[:1000])
        begun.set()
        assert go.wait(60)
        into.write(DATA[1000:])

    said = [[] for _ in range(6)]

    def want(number):
        path = tmp_path / f"many{number}"
        path.mkdir()
        home = os.open(path, os.O_RDONLY)
        with part(home, "x", 2**30, said[number].append) as wanted:
            cache.give(Origin(address=ADDRESS), None, wanted, fetch)
        os.close(home)

    first = threading.Thread(target=want, args=(0,))
    first.start()
    assert begun.wait(60)
    others = [threading.Thread(target=want, args=(number,)) for number in range(1, 6)]
    for thread in others:
        thread.start()
    while not all(1000 in heard for heard in said[1:]):
        assert all(thread.is_alive() for thread in others)
    go.set()
    for thread in (first, *others):
        thread.join(60)
    assert len(fetched) == 1
    assert {(tmp_path / f"many{number}/x").read_bytes() for number in range(6)} == {DATA}


def test_a_download_that_was_cut_is_taken_up_by_whoever_is_next(cache, jobs):
    """What one job fetched before it died is there for the next."""

    def die(into):
        into.restart()
        into.write(DATA[:1000])
        raise ConnectionError

    def go_on(into):
        into.resume()
        assert into.size == 1000
        into.write(DATA[1000:])

    origin = Origin(address=ADDRESS, validator='"v1"')
    for job, fetch in zip(jobs[:2], (die, go_on), strict=True):
        home = os.open(job.path, os.O_RDONLY)
        with part(home, "x", 2**30, lambda _: None) as wanted:
            if fetch is die:
                with pytest.raises(ConnectionError):
                    cache.give(origin, SUM, wanted, fetch)
            else:
                cache.give(origin, SUM, wanted, fetch)
                assert wanted.sha256 == SUM
        os.close(home)


def test_what_was_not_used_for_longest_goes_first(tmp_path, jobs):
    """Beyond the bound the oldest goes; what was just used stays, however large."""
    cache = Cache(tmp_path / "small", 2500)
    origins = [Origin(address=f"{ADDRESS}/{number}", validator='"v"') for number in range(3)]
    jobs[0].want(cache, origins[0], data=b"a" * 1000)
    jobs[0].want(cache, origins[1], data=b"b" * 1000)
    jobs[0].want(cache, origins[0], data=b"a" * 1000)
    jobs[0].want(cache, origins[2], data=b"c" * 1000)
    jobs[1].want(cache, origins[0], data=b"a" * 1000)
    jobs[1].want(cache, origins[2], data=b"c" * 1000)
    assert jobs[1].fetched == 0
    jobs[1].want(cache, origins[1], data=b"b" * 1000)
    assert jobs[1].fetched == 1
    large = Origin(address=f"{ADDRESS}/large", validator='"v"')
    jobs[2].want(cache, large, data=b"x" * 5000)
    jobs[2].want(cache, large, data=b"x" * 5000)
    assert jobs[2].fetched == 1


def test_a_file_that_is_too_large_is_refused_from_the_cache_too(cache, jobs):
    """The bound on one input holds for what is here already."""
    origin = Origin(address=ADDRESS, validator='"v1"')
    jobs[0].want(cache, origin)
    home = os.open(jobs[1].path, os.O_RDONLY)
    with part(home, "x", 100, lambda _: None) as wanted, pytest.raises(Permanent, match="larger than this site takes"):
        cache.give(origin, SUM, wanted, lambda _: None)
    os.close(home)


def test_what_a_kill_left_is_never_written_through(cache, jobs):
    """A second name of a kept file that a killed job left behind is taken away, not emptied: others read it."""
    origin = Origin(address=ADDRESS, validator='"v1"')
    jobs[0].want(cache, origin)
    jobs[1].want(cache, origin)  # as if it had died before the file was in place
    home = os.open(jobs[1].path, os.O_RDONLY)
    with part(home, "incoming/x", 2**30, lambda _: None) as again:
        again.restart()
        again.write(b"other")
    os.close(home)
    assert (jobs[0].path / "incoming/x").read_bytes() == DATA
    jobs[2].want(cache, origin, SUM)
    assert jobs[2].fetched == 0


def test_small_files_are_kept_and_given_many_at_once(cache, jobs, tmp_path):
    """What came together is noted together, is there for others once it is written, and is never taken unread."""
    origins = [Origin(address=f"{ADDRESS}/{number}", validator='"v"') for number in range(3)]
    sums = [cache.keep(origin, origin.address.encode()) for origin in origins]
    cache.close()
    other = Cache(tmp_path / "cache", 2**30)
    found = [other.find(origin) for origin in origins]
    assert [kept.sha256 for kept in found] == sums
    (tmp_path / "cache/public/data" / sums[1]).write_bytes(b"EVIL")
    home = os.open(jobs[0].path, os.O_RDONLY)
    (jobs[0].path / "2").write_bytes(b"left by an earlier try")
    wanted = [("public", sha256, str(number)) for number, sha256 in enumerate(sums)]
    linked = other.link([*wanted, ("of-eve", sums[0], "3")], home)
    os.close(home)
    assert [kept and kept.sha256 for kept in linked] == [sums[0], None, sums[2], None]
    assert {path.name: path.read_bytes() for path in jobs[0].path.iterdir()} == {
        number: origins[int(number)].address.encode() for number in ("0", "2")
    }
    assert other.find(origins[1]) is None


def test_a_damaged_index_is_begun_anew(cache, jobs, tmp_path):
    """It is only a memory: what it forgot is fetched again, after another try."""
    origin = Origin(address=ADDRESS, validator='"v1"')
    jobs[0].want(cache, origin)
    cache.close()
    (tmp_path / "cache/index.db").write_bytes(b"no database" * 1000)
    with pytest.raises(Transient, match="index of what was downloaded"):
        jobs[1].want(cache, origin)
    jobs[1].want(cache, origin)
    jobs[2].want(cache, origin)
    assert [job.fetched for job in jobs] == [1, 1, 0]


def test_what_is_not_in_the_index_is_pruned_too(tmp_path, jobs):
    """Bytes that a kill left without a note are within the bound like all others."""
    cache = Cache(tmp_path / "small", 2500)
    jobs[0].want(cache, Origin(address=ADDRESS, validator='"v"'), data=b"a" * 1000)
    data = tmp_path / "small/public/data"
    (data / ("0" * 64)).write_bytes(b"b" * 1000)
    os.utime(data / ("0" * 64), ns=(0, 0))
    jobs[0].want(cache, Origin(address=f"{ADDRESS}/2", validator='"v"'), data=b"c" * 2000)
    assert [path.read_bytes()[:1] for path in data.iterdir()] == [b"c"]
