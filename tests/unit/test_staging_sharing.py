"""Work that processes share is done whole, whatever becomes of the others."""

from __future__ import annotations

import os
import signal

import psutil
import pytest

from cluster_interface.staging.sharing import MOST_NUMBERS, batched, shared

WORKS = list(range(40))


def gathered(do, processes=3, works=WORKS):
    """What was done, and what it gave."""
    found = []
    shared(works, do, lambda work, result: found.append((work, result)), processes)
    return sorted(found)


@pytest.mark.parametrize("processes", [1, 2, 3, 100])
@pytest.mark.parametrize("count", [0, 1, 3, 40])
def test_each_is_done_once(processes, count):
    """However many share, and however little there is."""
    assert gathered(lambda n: n * n, processes, WORKS[:count]) == [(n, n * n) for n in WORKS[:count]]


def test_each_of_very_many_is_done_once():
    """However quickly they are taken, and in however many turns."""
    works = list(range(2 * MOST_NUMBERS + 500))
    assert gathered(lambda n: -n, 4, works) == [(n, -n) for n in works]


def test_results_that_no_pipe_holds_come_through():
    """A process waits until it was heard."""
    assert [len(result) for _, result in gathered(lambda n: bytes(200_000 + n))] == [200_000 + n for n in WORKS]


def test_several_processes_take_part(tmp_path):
    """Each piece waits until another process has begun one."""

    def do(_):
        (tmp_path / str(os.getpid())).touch()
        while len(list(tmp_path.iterdir())) < 2:
            pass
        return os.getpid()

    assert len({pid for _, pid in gathered(do, 2)}) == 2


@pytest.mark.parametrize("end", [lambda: os.kill(os.getpid(), signal.SIGKILL), lambda: 1 / 0])
def test_what_another_process_did_not_end_is_done_here(end):
    """Killed, or stopped by an error that it alone meets: nothing is missing."""
    here = os.getpid()

    def do(n):
        if os.getpid() != here:
            end()
        return n

    assert gathered(do) == [(n, n) for n in WORKS]


def test_an_error_is_raised_here():
    """Wherever the piece was tried; and no process is left over."""

    def do(n):
        if n == 25:
            raise LookupError("this one")
        return n

    before = psutil.Process().children()
    with pytest.raises(LookupError, match="this one"):
        gathered(do)
    assert psutil.Process().children() == before


def test_who_gives_up_leaves_no_process():
    """Where results cannot be taken, the others end, though nobody hears them."""

    def refuse(_work, _result):
        raise OSError("full")

    before = psutil.Process().children()
    with pytest.raises(OSError, match="full"):
        shared(WORKS, lambda n: bytes(200_000), refuse, 3)
    assert psutil.Process().children() == before


def test_where_no_process_can_be_had_all_is_done_here(monkeypatch):
    """A limit on processes costs time, and nothing else."""

    def fork():
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(os, "fork", fork)
    assert gathered(lambda n: n) == [(n, n) for n in WORKS]


def test_pieces():
    """All of it, in order."""
    assert batched([1, 2, 3, 4, 5], 2) == [[1, 2], [3, 4], [5]]
    assert batched([], 2) == []
