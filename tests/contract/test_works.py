"""What detached work keeps: it outlives who started it, is started once, and tells how it ended."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.conftest import wait_for
from tests.contract.rig import gone
from tests.counting import asked_by

from cluster_interface.adapters.processes import identify
from cluster_interface.adapters.works import DetachedWorks
from cluster_interface.model.errors import Conflict, Permanent, Problem, Rejected, Transient
from cluster_interface.model.job import Progress
from cluster_interface.model.state import FailureCode
from cluster_interface.ports import WorkState

ERRORS = {
    "permanent": Permanent("no such package: nump", code=FailureCode.IMAGE_FAILED),
    "rejected": Rejected(problems=[Problem("files.a", "is not there"), Problem("files.b", "is a directory")]),
    "conflict": Conflict("somebody else changed it"),
    "transient": Transient("the mirror does not answer"),
}


def add(request, report):
    """Work that returns a value."""
    report(Progress(stage="adding", done=1, total=2, unit="numbers"))
    return {"sum": sum(request["numbers"])}


def fail(request, _report):
    """Work that raises what it is told to."""
    if request["how"] in ERRORS:
        raise ERRORS[request["how"]]
    raise RuntimeError("the password is hunter2")


def wait(request, report):
    """Work that leaves a line, starts a helper, and waits for a file."""
    for number in range(100):
        report(Progress(stage="waiting", done=number, note="for a process"))
    report(Progress(stage="waiting", done=1, note="for a file"))  # the last for long, so it counts
    helper = subprocess.Popen(["sleep", "300"])
    with Path(request["runs"]).open("a") as file:
        file.write(f"{os.getpid()} {helper.pid}\n")
    while not Path(request["until"]).exists():
        time.sleep(0.01)
    helper.kill()
    helper.wait()
    return {"done": True}


def odd(_request, _report):
    """Work that returns what is no JSON."""
    return object()


KINDS = {"add": add, "fail": fail, "wait": wait, "odd": odd}


@pytest.fixture
def works(tmp_path):
    """Works in a directory of their own; none is left at the end."""
    made = DetachedWorks(tmp_path / "works", KINDS)
    yield made
    for mark in ("w", "x", "y"):
        made.stop(mark)


def until_over(works, mark="w"):
    """Wait for the result."""
    return wait_for(lambda: (w := works.look(mark)).state in (WorkState.DONE, WorkState.FAILED) and w, 60, 0.005)


def waiting(tmp_path):
    """A request that waits."""
    return {"runs": str(tmp_path / "runs"), "until": str(tmp_path / "until")}


def pids(tmp_path):
    """The pids that a waiting work left."""
    runs = tmp_path / "runs"
    return wait_for(
        lambda: runs.exists() and runs.read_text().endswith("\n") and [int(p) for p in runs.read_text().split()], 10
    )


def test_a_result_is_kept(works):
    """Absent before, then done with the value, for everybody who looks and however often."""
    assert works.look("w").state is WorkState.ABSENT
    works.start("w", "add", {"numbers": [1, 2, 3]})
    assert until_over(works).result == {"sum": 6}
    assert works.look("w").result == {"sum": 6}


@pytest.mark.parametrize("how", ERRORS)
def test_errors_come_back_as_they_were_raised(works, how):
    """Class, message, code and fields of an error survive the way from the child."""
    works.start("w", "fail", {"how": how})
    error = until_over(works).error
    assert (type(error), str(error)) == (type(ERRORS[how]), str(ERRORS[how]))
    assert vars(error) == vars(ERRORS[how])


def test_what_nobody_foresaw_is_told_safely(works):
    """An unexpected error becomes `internal` without its text; the traceback is in the log alone."""
    works.start("w", "fail", {"how": "bug"})
    error = until_over(works).error
    assert isinstance(error, Permanent)
    assert error.code is FailureCode.INTERNAL
    assert "hunter2" not in str(error)
    assert "hunter2" in works.log("w")
    works.start("x", "odd", {})
    assert isinstance(until_over(works, "x").error, Permanent)


def test_progress_is_seen(works, tmp_path):
    """While it runs, how far it is can be seen."""
    works.start("w", "wait", waiting(tmp_path))
    wait_for(lambda: (seen := works.look("w").progress) and seen.note == "for a file")
    assert (works.look("w").progress.stage, works.look("w").state) == ("waiting", WorkState.RUNNING)


def test_it_is_started_once(works, tmp_path):
    """Starting what runs or is done changes nothing."""
    works.start("w", "wait", waiting(tmp_path))
    works.start("w", "wait", waiting(tmp_path))
    (tmp_path / "until").touch()
    until_over(works)
    works.start("w", "wait", waiting(tmp_path))
    assert len(pids(tmp_path)) == 2


def test_of_many_engines_one_starts_it(tmp_path):
    """Eight processes that start the same mark at the same moment make one piece of work."""
    gate = tmp_path / "gate"
    engines = []
    for _ in range(8):
        if (pid := os.fork()) == 0:
            while not gate.exists():
                pass
            DetachedWorks(tmp_path / "works", KINDS).start("w", "wait", waiting(tmp_path))
            os._exit(0)
        engines.append(pid)
    gate.touch()
    assert [os.waitpid(pid, 0)[1] for pid in engines] == [0] * 8
    (tmp_path / "until").touch()
    works = DetachedWorks(tmp_path / "works", KINDS)
    assert until_over(works).result == {"done": True}
    assert len(pids(tmp_path)) == 2


def test_it_outlives_the_engine(tmp_path):
    """Work goes on when its engine is killed; the next engine sees it run, and its result."""
    engine = os.fork()
    if engine == 0:
        DetachedWorks(tmp_path / "works", KINDS).start("w", "wait", waiting(tmp_path))
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(engine, 0)
    works = DetachedWorks(tmp_path / "works", KINDS)
    pids(tmp_path)
    assert works.look("w").state is WorkState.RUNNING
    (tmp_path / "until").touch()
    assert until_over(works).result == {"done": True}


def test_a_death_without_a_result_is_absence_and_counted(works, tmp_path):
    """Killed work is absent again, with its deaths; started again, its helper of before is gone first."""
    for deaths in (1, 2):
        works.start("w", "wait", waiting(tmp_path))
        wait_for(lambda n=deaths: len(pids(tmp_path)) == 2 * n)
        work, helper = pids(tmp_path)[-2:]
        os.kill(work, signal.SIGKILL)
        wait_for(lambda: works.look("w").state is WorkState.ABSENT)
        assert works.look("w").deaths == deaths
    (tmp_path / "until").touch()
    works.start("w", "wait", waiting(tmp_path))
    assert gone(helper)
    assert until_over(works).result == {"done": True}


def test_stop_ends_all_of_it(works, tmp_path):
    """Stopping ends the process and what it started, and forgets; stopping nothing is no error."""
    works.start("w", "wait", waiting(tmp_path))
    both = pids(tmp_path)
    works.stop("w")
    assert all(map(gone, both))
    assert works.look("w").state is WorkState.ABSENT
    assert works.look("w").deaths == 0
    works.stop("w")


def test_a_pid_given_to_another_is_not_the_work(works, tmp_path):
    """A record whose pid is now another process's (of another start or boot) is a death, and is never killed."""
    works.start("w", "wait", waiting(tmp_path))
    work, helper = pids(tmp_path)
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    try:
        who = tmp_path / "works/w/who"
        record = json.loads(who.read_text())
        who.write_text(json.dumps(record | {"pid": other.pid, "ticks": identify(other.pid).ticks - 1}))
        assert works.look("w").state is WorkState.ABSENT
        works.stop("w")
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
        os.killpg(work, signal.SIGKILL)
        wait_for(lambda: gone(work) and gone(helper))


def test_no_zombies_stay(works):
    """Ended children are collected when the engine looks."""
    for mark in ("w", "x", "y"):
        works.start(mark, "add", {"numbers": []})
        until_over(works, mark)
    wait_for(lambda: works.look("w") and not works._children)


def test_the_engine_is_woken(tmp_path):
    """When a result is there the child says so, by the mark."""
    reader, writer = os.pipe()
    works = DetachedWorks(tmp_path / "works", KINDS, wake=lambda mark: os.write(writer, mark.encode()))
    works.start("job/1 image.ä", "add", {"numbers": [1]})
    assert os.read(reader, 100).decode() == "job/1 image.ä"
    assert works.look("job/1 image.ä").result == {"sum": 1}
    works.stop("job/1 image.ä")
    os.close(reader)
    os.close(writer)


def test_starting_is_a_fork_and_no_more(works, tmp_path):
    """An engine's step is not held up by starting work: no program is started, and nothing waited for."""
    asked = asked_by(lambda: works.start("w", "wait", waiting(tmp_path)))
    assert asked["os.fork"] == 1
    assert not {"subprocess.Popen", "os.exec", "os.posix_spawn", "os.system", "time.sleep"} & set(asked)


@pytest.mark.parametrize("mark", ["..", ".", "a/../../b", "x" * 500, "\x01"])
def test_marks_stay_in_the_directory(tmp_path, mark):
    """No mark leads out of the works' own directory."""
    works = DetachedWorks(tmp_path / "works", KINDS)
    works.start(mark, "add", {"numbers": [2]})
    assert until_over(works, mark).result == {"sum": 2}
    works.stop(mark)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["works"]
    assert (tmp_path / "works").is_dir()


def test_small_work_is_done_at_once_and_without_a_process(tmp_path):
    """Its result or error is there after `start`, there is no record of it, and `stop` forgets it."""
    works = DetachedWorks(tmp_path / "works", KINDS, small={"add": lambda _: True, "fail": lambda _: True})
    works.start("w", "add", {"numbers": [1, 2]})
    assert works.look("w").result == {"sum": 3}
    works.start("x", "fail", {"how": "conflict"})
    assert isinstance(works.look("x").error, Conflict)
    assert not list(tmp_path.glob("works/*"))
    works.stop("w")
    assert works.look("w").state is WorkState.ABSENT


def test_what_is_not_small_or_fails_oddly_gets_a_process(tmp_path):
    """As does what had one before."""
    works = DetachedWorks(tmp_path / "works", KINDS, small={"add": lambda r: len(r["numbers"]) < 2, "fail": bool})
    works.start("w", "add", {"numbers": [1, 2]})
    assert until_over(works).result == {"sum": 3}
    works.start("x", "fail", {"how": "oddly"})
    assert isinstance(until_over(works, "x").error, Permanent)
    for mark in ("w", "x"):
        assert (tmp_path / "works" / mark).exists()
        works.stop(mark)
