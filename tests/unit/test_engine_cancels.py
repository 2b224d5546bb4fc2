"""Cancels in the engine, at any moment: what has begun is ended, what has not never begins."""

import pytest
from tests.unit.engine_world import add, add_sweep, job, look, settle, task

from cluster_interface.engine.endings import GRACE
from cluster_interface.engine.reconcile import turn
from cluster_interface.model.errors import Permanent, Transient
from cluster_interface.model.state import FailureCode, JobState, TaskState
from cluster_interface.ports import NativeState
from cluster_interface.service.views import Views
from cluster_interface.store import claims, jobs


@pytest.mark.parametrize("steps", range(7))
def test_cancel_at_any_moment_ends_in_canceled(store, world, engine, steps):
    """Wherever a job is, a cancel ends it, nothing is left at the scheduler, and what ran is reaped on its node."""
    add(store)
    for _ in range(steps):
        turn(engine.store, engine.tools)
        if "ci-a-1" in world.orders and steps == 6 and not world.claims:
            world.begin("ci-a-1")
        look(engine)
    with store.write() as db:
        jobs.request_cancel(db, "a")
    settle(engine)
    assert job(store).state is JobState.CANCELED
    assert task(store).state is TaskState.CANCELED
    assert all(seen.state is NativeState.ENDED for states in world.states.values() for seen in states.values())
    assert ("reaped ci-a-1 on n1" in world.canceled) == bool(world.runs_of)


def test_a_job_accepted_before_the_cancel_but_never_answered_is_found_and_ended(store, world, engine):
    """The native job whose id was lost is found by its mark when the job is canceled."""
    add(store)
    world.chance = iter([1.0, 0.0, *[1.0] * 1000]).__next__  # taken, and the answer lost
    for _ in range(5):
        turn(engine.store, engine.tools)
    assert world.submissions == ["ci-a-1"]
    assert job(store).state is JobState.PREPARING
    with store.write() as db:
        jobs.request_cancel(db, "a")
    settle(engine)
    assert job(store).state is JobState.CANCELED
    assert "ci-a-1" in world.canceled


def test_an_order_that_appears_after_the_cancel_runs_nothing(store, world, engine):
    """A scheduler that took an order without telling, and starts it only later, finds its tasks revoked."""
    add(store)
    settle(engine, 1)
    order = world.orders.pop("ci-a-1")
    seen = world.states.pop("ci-a-1")
    with store.write() as db:
        jobs.request_cancel(db, "a")
    settle(engine)
    assert job(store).state is JobState.CANCELED
    world.orders["ci-a-1"], world.states["ci-a-1"] = order, seen
    assert world.begin("ci-a-1") is None
    assert world.runs_of == []


@pytest.mark.parametrize("trouble", [None, Permanent("it may not be asked any more")])
def test_a_canceled_sweep_is_shown_with_what_became_of_its_tasks(store, world, engine, monkeypatch, trouble):
    """Not with the counts from before the cancel, whether the scheduler lets it be canceled or not."""

    def observe(handles):
        raise trouble

    add_sweep(store, 3)
    settle(engine, 1)
    world.runs("ci-a-1", 0, exit_code=0)
    world.begin("ci-a-1", 1)
    settle(engine, 1)
    with store.write() as db:
        jobs.request_cancel(db, "a")
    if trouble:
        monkeypatch.setattr(world, "observe", observe)
    for _ in range(60):
        with store.write() as db:
            claims.nudge_states(db, list(JobState))
        if not turn(store, engine.tools):
            break
    assert job(store).state is JobState.CANCELED
    with store.read() as db:
        assert Views(site=world, works=world, stager=world, shelf=world).job(db, job(store)).counts == {
            "completed": 1,
            "canceled": 2,
        }


def test_trouble_that_ends_a_job_ends_its_native_jobs(store, world, engine):
    """A job that fails with orders at the scheduler leaves none of them behind."""
    add_sweep(store, 4, sweep={"first_alone": True})
    settle(engine, 1)
    world.runs("ci-a-1", exit_code=0)
    world.refuses = "no more of yours today"
    settle(engine, 1)
    assert (job(store).code, job(store).reason) == (FailureCode.SCHEDULER_REJECTED, "no more of yours today")


@pytest.mark.parametrize(("node", "outcome"), [(None, JobState.FAILED), ("n1", JobState.QUEUED)])
def test_who_canceled_what_had_not_begun(store, world, engine, node, outcome):
    """Canceled while it waited: somebody's wish. On its node before it began: the scheduler's own, and tried again."""
    add(store)
    settle(engine, 1)
    world.see("ci-a-1", state=NativeState.ENDED, verdict="canceled", node=node)
    settle(engine, GRACE * 3)
    assert job(store).state is outcome
    assert len(world.submissions) == (1 if node is None else 2)


def test_a_cancel_needs_no_scheduler_where_nothing_was_handed_over(store, world, engine, monkeypatch):
    """A job whose scheduler went away can be canceled; not where that may have taken it."""
    world.results["build"] = Transient("later")
    add(store)
    engine.tools.images.find = lambda lock, face: None
    settle(engine, 1)
    assert job(store).state is JobState.PREPARING

    def gone(name):
        raise Transient(f"this server has no scheduler {name} now")

    monkeypatch.setattr(world, "scheduler", gone)
    with store.write() as db:
        jobs.request_cancel(db, "a")
    world.declared.add("ci-a-1")
    settle(engine, 1)
    assert job(store).state is JobState.PREPARING
    world.declared.clear()
    settle(engine, 60)
    assert job(store).state is JobState.CANCELED
