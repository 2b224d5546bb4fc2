"""Sweeps in the engine: many tasks, their orders, and what becomes of each."""

import dataclasses
import random

import pytest
from tests.one_site import QUEUE
from tests.unit.engine_world import (
    World,
    add_sweep,
    engine_of,
    finish,
    job,
    look,
    run_some,
    settle,
    states,
    tasks,
)

from cluster_interface.engine.endings import GRACE
from cluster_interface.engine.reconcile import turn
from cluster_interface.model.state import FailureCode, JobState
from cluster_interface.store import claims


def test_every_task_of_a_sweep_has_its_own_ending(store, world, engine):
    """One order, an element per task; a failed task fails the job in numbers, and the others keep their own."""
    add_sweep(store, 3)
    settle(engine, 1)
    assert [world.orders[mark].elements for mark in world.submissions] == [3]
    assert world.lists["a", 1]["parameters"].splitlines() == [f"CLIF_PARAM_n={n}" for n in range(3)]
    assert world.scripts[-1].command == 'echo "${CLIF_PARAM_n}"'
    world.runs("ci-a-1", 0, exit_code=0)
    world.runs("ci-a-1", 1, exit_code=3)
    settle(engine, 1)
    assert states(store) == ["completed", "failed", "queued"]
    assert job(store).reason == "1 failed, 1 completed of 3 tasks"
    world.runs("ci-a-1", 2, exit_code=0)
    settle(engine, 1)
    assert (job(store).code, job(store).reason) == (FailureCode.TASKS_FAILED, "1 of 3 tasks failed (1 exit_code)")
    assert job(store).state is JobState.FAILED


def test_an_array_is_cut_to_the_sites_maximum(store, world, engine):
    """More tasks than an array may have become several orders, each known by its own mark."""
    world.queue = dataclasses.replace(QUEUE, max_array=4)
    add_sweep(store, 10)
    settle(engine, 1)
    assert [(order.mark, order.offset, order.elements) for order in world.orders.values()] == [
        ("ci-a-1", 0, 4), ("ci-a-1.1", 4, 4), ("ci-a-1.2", 8, 2),
    ]  # fmt: skip
    for mark in list(world.orders):
        for element in range(world.orders[mark].elements):
            world.runs(mark, element, exit_code=0)
    settle(engine, 1)
    assert job(store).state is JobState.COMPLETED
    assert sorted(world.runs_of) == [("a", n) for n in range(10)]


def test_few_at_a_time_are_few_at_a_time_over_all_orders(store, world, engine):
    """With a bound on running tasks, an order follows when the one before it has ended."""
    world.queue = dataclasses.replace(QUEUE, max_array=2)
    add_sweep(store, 4, sweep={"max_running": 1})
    settle(engine, 1)
    assert world.submissions == ["ci-a-1"]
    assert world.orders["ci-a-1"].max_running == 1
    for element in (0, 1):
        world.runs("ci-a-1", element, exit_code=0)
    settle(engine, 1)
    assert world.submissions == ["ci-a-1", "ci-a-1.1"]
    for element in (0, 1):
        world.runs("ci-a-1.1", element, exit_code=0)
    settle(engine, 1)
    assert job(store).state is JobState.COMPLETED


@pytest.mark.parametrize("exit_code", [0, 1])
def test_one_task_goes_first_and_the_rest_if_it_succeeds(store, world, engine, exit_code):
    """The first task runs alone; when it fails, no other is tried, and each says why."""
    add_sweep(store, 3, sweep={"first_alone": True})
    settle(engine, 1)
    assert [world.orders[mark].elements for mark in world.submissions] == [1]
    world.runs("ci-a-1", exit_code=exit_code)
    settle(engine, 1)
    if exit_code:
        assert job(store).state is JobState.FAILED
        assert states(store) == ["failed", "canceled", "canceled"]
        assert {task.reason for task in tasks(store)[1:]} == {"not tried: the first task failed"}
        assert len(world.submissions) == 1
        return
    assert [world.orders[mark].elements for mark in world.submissions] == [1, 2]
    for element in (0, 1):
        world.runs("ci-a-1.1", element, exit_code=0)
    settle(engine, 1)
    assert job(store).state is JobState.COMPLETED


@pytest.mark.parametrize("how", ["failed", "lost"])
def test_one_task_goes_first_once_more_and_the_rest_follows(store, world, engine, how):
    """A first task that is tried again goes alone again, and takes those along that wait for it."""
    add_sweep(store, 3, sweep={"first_alone": True}, retry={"exit_code": 1})
    settle(engine, 1)
    if how == "failed":
        world.runs("ci-a-1", exit_code=1)
    else:
        del world.orders["ci-a-1"], world.states["ci-a-1"]
    settle(engine, GRACE * 3)
    assert world.submissions == ["ci-a-1", "ci-a-2"]
    assert world.orders["ci-a-2"].elements == 1
    finish(world, engine, 2, [0, 1, 2])
    assert (job(store).state, states(store)) == (JobState.COMPLETED, ["completed"] * 3)
    assert world.submissions == ["ci-a-1", "ci-a-2", "ci-a-2.1"]


def test_what_waited_for_a_lost_order_goes_along_with_it(store, world, engine):
    """With a bound on running tasks, the orders behind a lost one belong to the next attempt."""
    world.queue = dataclasses.replace(QUEUE, max_array=2)
    add_sweep(store, 4, sweep={"max_running": 1})
    settle(engine, 1)
    del world.orders["ci-a-1"], world.states["ci-a-1"]
    settle(engine, GRACE * 3)
    assert world.submissions == ["ci-a-1", "ci-a-2"]
    finish(world, engine, 2, range(4))
    assert (job(store).state, states(store)) == (JobState.COMPLETED, ["completed"] * 4)


def test_packed_tasks_share_an_element(store, world, engine):
    """Each line of the list names the tasks of one element; a task ends when its status is there."""
    add_sweep(store, 5, sweep={"pack": 2})
    settle(engine, 1)
    order = world.orders["ci-a-1"]
    assert (order.elements, order.time) == (3, 2 * order.ask.time)
    assert world.lists["a", 1]["elements"] == "0 1\n2 3\n4\n"
    world.begin("ci-a-1", 0, task=0)
    world.statuses["a", 1, 0] = {"exit_code": 0}
    settle(engine, 1)
    assert states(store) == ["completed", "queued", "queued", "queued", "queued"]
    for task, element in ((1, 0), (2, 1), (3, 1), (4, 2)):
        world.runs("ci-a-1", element, task=task, exit_code=0)
    settle(engine, 1)
    assert job(store).state is JobState.COMPLETED


@pytest.mark.parametrize("seed", range(8))
def test_no_task_of_a_sweep_runs_twice_whatever_fails(store, seed):
    """Lost answers, orders that vanish and turn up again, nodes that fail, engines that die: each task ends once."""
    dice = random.Random(seed)
    world = World(chance=dice.random)
    world.queue = dataclasses.replace(QUEUE, max_array=3)
    engine = engine_of(store, world)
    add_sweep(store, 8)
    vanished = {}
    for _ in range(250):
        engine.tools.clock.time += 2
        look(engine)
        for mark in [mark for mark in world.orders if dice.random() < 0.04]:
            vanished[mark] = world.orders.pop(mark), world.states.pop(mark)
        run_some(world, lambda: dice.random() < 0.2, 8)
        if vanished and dice.random() < 0.1:
            mark, (world.orders[mark], world.states[mark]) = vanished.popitem()
        with store.write() as db:
            claims.nudge_states(db, list(JobState))
            if dice.random() < 0.1:
                claims.claim(db)
                db.exec_driver_sql("UPDATE job SET lease_until = 0")
        turn(engine.store, engine.tools)
    world.chance = lambda: 1.0
    for _ in range(12):
        settle(engine, GRACE * 3)
        run_some(world, lambda: True, 8)
    settle(engine, GRACE * 3)
    assert job(store).state is JobState.COMPLETED
    assert sorted(world.runs_of) == [("a", n) for n in range(8)]
