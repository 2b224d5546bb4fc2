"""How long files stay: announced, put off, removed in time, counted; and outputs that are taken elsewhere."""

import pytest
from sqlalchemy import func, select, update
from tests.unit.engine_world import World, add, engine_of, job, settle

from cluster_interface.engine.keeping import Keeper
from cluster_interface.model.errors import Conflict, Permanent, Transient
from cluster_interface.model.job import Delivery
from cluster_interface.model.state import JobState
from cluster_interface.ports import NativeState
from cluster_interface.service.views import Views
from cluster_interface.service.wishes import Wishes
from cluster_interface.settings import Retention
from cluster_interface.store import jobs, keeping
from cluster_interface.store import tables as t

DAY = 86400.0
POLICY = Retention(days=30, warn=7)


@pytest.fixture
def world():
    return World()


def run(store, engine, world, name="a", **spec):
    """Let a job go all the way."""
    add(store, name, **spec)
    settle(engine, 1)
    world.runs(f"ci-{name}-1", exit_code=0)
    settle(engine, 1)
    assert job(store, name).state is JobState.COMPLETED


def keeper(engine):
    return Keeper(engine.store, engine.tools)


def put(store, name="a", **values):
    """Set a job's columns; times are relative to now."""
    with store.write() as db:
        at = keeping.clock(db)
        db.execute(update(t.job).where(t.job.c.id == name).values({k: v and at + v for k, v in values.items()}))


def days(store, value):
    """A time as days from now."""
    with store.read() as db:
        return round((value - keeping.clock(db)) / DAY, 2)


def notes(store, name="a"):
    with store.read() as db:
        return [event.why for event in jobs.events(db, name) if event.old == event.new]


def test_files_are_kept_for_the_days_of_the_policy(store, world):
    """From the end on; without a policy for good; nothing is announced long before."""
    engine = engine_of(store, world, POLICY)
    run(store, engine, world)
    run(store, engine_of(store, world), world, "b")
    keeper(engine_of(store, world, POLICY)).round()
    assert days(store, job(store).keep_until) == 30
    assert (job(store).warned, notes(store)) == (None, [])


def test_removal_is_announced_once_and_then_done(store, world):
    """The announcement is an event, the removal long work; the list of outputs stays, and nothing is counted."""
    engine = engine_of(store, world, POLICY)
    run(store, engine, world)
    look_after = keeper(engine)
    put(store, keep_until=3 * DAY)
    for _ in range(3):
        look_after.round()
    assert days(store, job(store).keep_until) == 7  # never less than what is announced
    assert [note.partition(" in ")[0] for note in notes(store)] == ["its files will be removed"]
    assert ("remove", {"job": "a"}) not in world.asked
    put(store, keep_until=-1)
    look_after.round()
    look_after.round()
    assert world.asked.count(("remove", {"job": "a"})) == 1
    assert job(store).removed is not None
    assert notes(store)[1:] == ["its files were removed"]
    with store.read() as db:
        assert [output.path for output in jobs.outputs(db, "a")] == ["o"]
        assert keeping.used(db, "ada") == 0


def test_nothing_is_removed_that_was_not_announced(store, world):
    """An engine that was away announces first, and waits its days."""
    engine = engine_of(store, world, POLICY)
    run(store, engine, world)
    put(store, keep_until=-40 * DAY)
    keeper(engine).round()
    assert days(store, job(store).keep_until) == 7
    assert job(store).removed is None


def test_a_new_policy_takes_old_jobs_in_and_an_old_one_lets_go(store, world):
    """Jobs from before get their days, and the warning's at least; without a policy, what was to come is called off."""
    plain = engine_of(store, world)
    run(store, plain, world)
    run(store, plain, world, "b")
    put(store, ended=-100 * DAY)
    keeper(engine_of(store, world, POLICY)).round()
    assert days(store, job(store).keep_until) == 7
    assert days(store, job(store, "b").keep_until) == 30
    keeper(plain).round()
    assert (job(store).keep_until, job(store).warned) == (None, None)


def test_trouble_is_tried_again_and_given_up(store, world):
    """A removal that fails three times waits for the next start; one that nobody can tell of goes on."""
    engine = engine_of(store, world, POLICY)
    run(store, engine, world)
    put(store, keep_until=-1, warned=-DAY)
    world.results["remove"] = Permanent("the filesystem is read-only")
    look_after = keeper(engine)
    for _ in range(6):
        look_after.round()
    assert world.asked.count(("remove", {"job": "a"})) == 3
    assert job(store).removed is None
    world.results["remove"] = {}
    keeper(engine).round()
    assert job(store).removed is not None


def test_what_jobs_hold_is_measured_and_summed_up(store, world):
    """At the end with the outputs; where a job ended before that, afterwards; each owner's alone."""
    engine = engine_of(store, world)
    world.results["outputs"] = {**world.results["outputs"], "size": 70}
    run(store, engine, world)
    world.results["outputs"] = {name: v for name, v in world.results["outputs"].items() if name != "size"}
    run(store, engine, world, "b")
    assert (job(store).size, job(store, "b").size) == (70, None)
    keeper(engine).round()
    assert job(store, "b").size == 5
    with store.read() as db:
        assert (keeping.used(db, "ada"), keeping.used(db, "eve")) == (75, 0)


# --- delivery


def test_outputs_are_delivered_before_the_job_ends(store, world):
    """The work gets places, outputs and names; what became of it is kept with the job."""
    world.results["deliver"] = {"deliveries": [{"to": "file:/lab/a", "files": 1, "size": 1, "trouble": "", "at": 1.0}]}
    run(store, engine_of(store, world), world, deliver="file:/lab/{job}")
    (request,) = [request for kind, request in world.asked if kind == "deliver"]
    assert (request["to"], request["by_task"], [o["path"] for o in request["outputs"]]) == (
        ["file:/lab/a"],
        False,
        ["o"],
    )
    assert job(store).deliveries == (Delivery(to="file:/lab/a", files=1, size=1, at=1.0),)
    assert job(store).reason == "1 output"


@pytest.mark.parametrize("how", ["told", "died"])
def test_a_delivery_that_failed_is_a_note_and_no_failure(store, world, how):
    """The job ends as it did, its reason says what is not there, and the outputs are in its directory."""
    told = {"deliveries": [{"to": "s3://x/y", "trouble": "no such bucket", "at": 1.0}]}
    world.results["deliver"] = told if how == "told" else Permanent("no such bucket")
    run(store, engine_of(store, world), world, deliver=["s3://x/y"])
    assert job(store).reason == "1 output; not delivered to s3://x/y: no such bucket"
    assert job(store).deliveries[0].trouble == "no such bucket"


def wishes(store, world):
    views = Views(site=world, works=world, stager=world, shelf=world)
    return Wishes(
        store=store, site=world, shelf=None, stager=world, identity=world, views=views, retention=POLICY,
        wake=lambda job: None,
    )  # fmt: skip


def test_each_request_to_deliver_again_is_work_of_its_own(store, world, monkeypatch):
    """What an engine that died left of the request before is not taken for the answer to the next."""
    engine, ask = engine_of(store, world), wishes(store, world).deliver
    world.results["deliver"] = {"deliveries": [{"to": "s3://x/y", "trouble": "no such bucket", "at": 1.0}]}
    run(store, engine, world, deliver=["s3://x/y"])
    assert ask("ada", "a").delivering
    with monkeypatch.context() as patch:
        patch.setattr(world, "stop", lambda mark: None)
        keeper(engine).round()
    world.results["deliver"] = {"deliveries": [{"to": "s3://x/y", "files": 1, "size": 1, "at": 2.0}]}
    assert ask("ada", "a").delivering
    keeper(engine).round()
    assert [(one.files, one.trouble) for one in job(store).deliveries] == [(1, "")]
    assert job(store).reason == "1 output"


def test_what_is_not_there_is_not_delivered(store, world):
    """A job without outputs, and one whose files are about to go, are refused in words."""
    engine, ask = engine_of(store, world), wishes(store, world)
    add(store, deliver=["s3://x/y"])
    with store.write() as db:
        jobs.request_cancel(db, "a")
    settle(engine, 1)
    with pytest.raises(Conflict, match="left no outputs"):
        ask.deliver("ada", "a")
    world.results["deliver"] = {"deliveries": [{"to": "s3://x/y", "trouble": "no such bucket", "at": 1.0}]}
    run(store, engine, world, "b", deliver=["s3://x/y"])
    ask.discard("ada", "b")
    with pytest.raises(Conflict, match="are being removed"):
        ask.deliver("ada", "b")
    assert (job(store).deliver_asked, job(store, "b").deliver_asked) == (None, None)


def test_a_delivery_waits_for_what_is_away(store, world):
    """What cannot be told now is asked again; the job stays where it is, with the reason."""
    world.results["deliver"] = Transient("another engine holds the records of long work")
    engine = engine_of(store, world)
    add(store, deliver=["s3://x/y"])
    settle(engine, 1)
    world.runs("ci-a-1", exit_code=0)
    world.see("ci-a-1", state=NativeState.ENDED)
    settle(engine, 1)
    assert job(store).state is JobState.STAGING_OUT
    assert job(store).reason.startswith("another engine holds the records of long work; it is tried again at ")
    world.results["deliver"] = {"deliveries": []}
    settle(engine, 1)
    assert job(store).state is JobState.COMPLETED


def test_links_go_with_their_tickets(store):
    """What is taken back leaves no row behind."""
    from cluster_interface.store import links

    add(store)
    with store.write() as db:
        link, token = links.add(db, owner="ada", group="ada", job="a", path="", seconds=60, most=2)
        assert links.click(db, token)
        assert links.click(db, token)
        assert links.click(db, token) is None
        assert links.revoke(db, "a", link.id)
        assert [db.execute(select(func.count()).select_from(table)).scalar() for table in (t.link, t.ticket)] == [0, 0]
