"""What is lost, put back or tried again in the engine."""

import dataclasses

from tests.one_site import QUEUE
from tests.unit.engine_world import add, add_sweep, job, settle, states, task

from cluster_interface.engine.endings import GRACE
from cluster_interface.model.state import FailureCode, JobState, TaskState
from cluster_interface.ports import NativeState


def test_what_was_never_begun_is_handed_over_again(store, world, engine):
    """An order that the scheduler lost before it began is closed for good and tried again as a new attempt."""
    add(store)
    settle(engine, 1)
    lost = world.orders.pop("ci-a-1"), world.states.pop("ci-a-1")
    settle(engine, GRACE * 3)
    assert world.submissions == ["ci-a-1", "ci-a-2"]
    world.orders["ci-a-1"], world.states["ci-a-1"] = lost
    assert world.begin("ci-a-1") is None  # it turns up again after all, and leaves at once
    world.runs("ci-a-2", exit_code=0)
    settle(engine, 1)
    assert job(store).state is JobState.COMPLETED
    assert world.runs_of == [("a", 0)]


def test_what_is_lost_bit_by_bit_is_handed_over_again(store, world, engine):
    """Tasks that vanish one after the other, before they began, are all tried again once the last one's grace is over."""
    add_sweep(store, 2)
    settle(engine, 1)
    for element in (0, 1):
        world.states["ci-a-1"] = {n: seen for n, seen in world.states["ci-a-1"].items() if n != element}
        settle(engine, GRACE / 2)
    for _ in range(4):
        settle(engine, GRACE / 2)
    assert world.submissions == ["ci-a-1", "ci-a-2"]
    for element in (0, 1):
        world.runs("ci-a-2", element, exit_code=0)
    settle(engine, 1)
    assert job(store).state is JobState.COMPLETED


def test_a_scheduler_that_loses_everything_is_not_fed_for_ever(store, world, engine):
    """After some attempts that never began the job fails, and says so."""
    add(store)
    for _ in range(30):
        settle(engine, GRACE * 3)
        for mark in list(world.orders):
            del world.orders[mark], world.states[mark]
    assert (job(store).state, job(store).code) == (JobState.FAILED, FailureCode.LOST)
    assert len(world.submissions) == 6


def test_a_lost_node_is_tried_again_as_often_as_wished(store, world, engine):
    """Only the tasks that were lost are tried again, in a new attempt; the others are left as they ended."""
    add_sweep(store, 2, retry={"node_failed": 1})
    settle(engine, 1)
    world.runs("ci-a-1", 0, exit_code=0)
    world.runs("ci-a-1", 1, verdict="node_failed")
    settle(engine, GRACE * 3)
    assert world.submissions == ["ci-a-1", "ci-a-2"]
    assert world.lists["a", 2]["elements"] == "1\n"
    assert world.staged[-1] == {"tasks": 2, "attempt": 2, "only": [1], "keep": False, "host": False}
    assert states(store) == ["completed", "queued"]
    world.runs("ci-a-2", 0, task=1, verdict="node_failed")
    settle(engine, GRACE * 3)
    assert job(store).state is JobState.FAILED
    assert "1 node_failed" in job(store).reason


def test_out_of_memory_is_tried_again_with_more(store, world, engine):
    """Each new attempt asks for more memory, as far as the queue has it."""
    add(store, retry={"out_of_memory": 3, "memory_factor": 3})
    settle(engine, 1)
    for number in (1, 2, 3):
        world.runs(f"ci-a-{number}", exit_code=137, oom=True)
        settle(engine, 1)
    assert [order.ask.memory >> 30 for order in world.orders.values()] == [1, 3, 8]
    assert job(store).state is JobState.FAILED  # there is no more


def test_a_program_that_checkpoints_goes_on_past_the_time_limit(store, world, engine):
    """With `resume`, the time limit of the queue is a new attempt in the same directories, until the time asked for."""
    world.queue = dataclasses.replace(QUEUE, time=100)
    add(store, checkpoint={"resume": True}, resources={"time": 300})
    settle(engine, 1)
    assert world.orders["ci-a-1"].ask.time == 100
    world.runs("ci-a-1", verdict="time_limit", exit_code=143)
    settle(engine, 1)
    assert world.staged[-1]["keep"]
    world.runs("ci-a-2", verdict="time_limit", exit_code=143)
    settle(engine, 1)
    world.runs("ci-a-3", exit_code=0)
    settle(engine, 1)
    assert job(store).state is JobState.COMPLETED
    assert len(world.submissions) == 3


def test_without_resume_the_time_limit_is_the_end(store, world, engine):
    """A program that cannot go on is not started again."""
    add(store, retry={"node_failed": 3})
    settle(engine, 1)
    world.runs("ci-a-1", verdict="time_limit", exit_code=143)
    settle(engine, 1)
    assert job(store).code is FailureCode.TIME_LIMIT
    assert len(world.submissions) == 1


def test_what_is_put_back_into_the_queue_while_it_runs_does_not_run_twice(store, world, engine):
    """An administrator's requeue counts as a lost node: what waits again is withdrawn, and tried again as wished."""
    add(store, retry={"node_failed": 1})
    settle(engine, 1)
    world.begin("ci-a-1")
    settle(engine, 1)
    assert task(store).state is TaskState.RUNNING
    world.see("ci-a-1", state=NativeState.PENDING)
    settle(engine, GRACE / 2)
    assert world.submissions == ["ci-a-1"]
    settle(engine, GRACE)
    assert "ci-a-1" in world.canceled
    assert world.submissions == ["ci-a-1", "ci-a-2"]
    world.begin("ci-a-2")
    settle(engine, 1)
    world.see("ci-a-2", state=NativeState.PENDING)
    settle(engine, GRACE * 2)
    assert (job(store).state, job(store).code) == (JobState.FAILED, FailureCode.NODE_FAILED)
    assert "back into the queue" in job(store).reason
    assert world.runs_of == [("a", 0), ("a", 0)]


def test_a_controller_with_an_old_state_puts_nothing_back(store, world, engine):
    """After its crash it says that a job waits which still runs; what the program writes at its end counts."""
    add(store)
    settle(engine, 1)
    world.begin("ci-a-1")
    settle(engine, 1)
    world.see("ci-a-1", state=NativeState.PENDING)
    settle(engine, GRACE / 2)
    assert job(store).state is JobState.RUNNING
    world.statuses["a", 1, 0] = {"exit_code": 0}
    settle(engine, 1)
    assert job(store).state is JobState.COMPLETED
    assert world.submissions == ["ci-a-1"]


def test_a_task_that_had_completed_when_it_was_put_back_has_completed(store, world, engine):
    """The status file counts."""
    add(store)
    settle(engine, 1)
    world.begin("ci-a-1")
    settle(engine, 1)
    world.statuses["a", 1, 0] = {"exit_code": 0}
    world.see("ci-a-1", state=NativeState.PENDING)
    settle(engine, 1)
    assert job(store).state is JobState.COMPLETED
    assert world.submissions == ["ci-a-1"]
