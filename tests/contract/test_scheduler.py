"""What every scheduler keeps: the fake one, and the local one as root and as an ordinary user."""

import os

import pytest
from tests.conftest import wait_for
from tests.contract.fakes import FakeScheduler
from tests.contract.rig import Node, account_of, as_account, ask

from cluster_interface.model.errors import Rejected, Transient
from cluster_interface.ports import NativeState

QUICK, LONG = "exit 0\n", "sleep 60\n"


class Faked:
    """The fake with a rig's manners."""

    def __init__(self, node):
        self.scheduler, self.node = FakeScheduler(), node

    def order(self, text, **more):
        """Write an order for a script."""
        return self.node.order(text, **more)

    def let_end(self, native_id):
        """See to it that it has ended."""
        self.scheduler.end(native_id)

    def let_run(self, native_id):
        """See to it that it runs."""
        self.scheduler.run(native_id)


class Real:
    """The local scheduler with its dispatcher."""

    def __init__(self, node):
        self.scheduler, self.node = node.scheduler, node

    def order(self, text, **more):
        """Write an order for a script."""
        return self.node.order(text, **more)

    def let_end(self, native_id):
        """See to it that it has ended."""
        wait_for(lambda: self.scheduler.observe([native_id])[native_id][0].state is NativeState.ENDED, 20, 0.01)

    def let_run(self, native_id):
        """See to it that it runs."""
        wait_for(lambda: self.scheduler.observe([native_id])[native_id][0].state is NativeState.RUNNING, 20, 0.01)


@pytest.fixture(params=["fake", "local", "local as an ordinary user"])
def on(request, place, ordinary):
    """Run a body with one scheduler after the other."""
    account = account_of(ordinary)
    os.chown(place, account.uid, account.gid)
    node = Node(place, account)

    def run(body):
        if request.param == "fake":
            body(Faked(node))
        elif request.param == "local":
            with node:
                body(Real(node))
        else:

            def inside():
                with node:
                    body(Real(node))

            as_account(ordinary, inside)

    return run


def test_a_submission_is_found_by_its_mark(on):
    """A submitted order is found again by its mark, an unknown mark is not."""

    def body(rig):
        native_id = rig.scheduler.submit(rig.order(QUICK, mark="ci-found-1"))
        assert rig.scheduler.find("ci-found-1") == native_id
        assert rig.scheduler.find("ci-found-2") is None
        assert rig.scheduler.find("ci-found-") is None

    on(body)


def test_ended_orders_are_found(on):
    """An order that has ended is found by its mark and observed as ended."""

    def body(rig):
        native_id = rig.scheduler.submit(rig.order(QUICK, mark="ci-over-1"))
        rig.let_end(native_id)
        assert rig.scheduler.find("ci-over-1") == native_id
        seen = rig.scheduler.observe([native_id])[native_id][0]
        assert (seen.state, seen.verdict) == (NativeState.ENDED, None)

    on(body)


def test_unknown_ids_are_left_out(on):
    """Absence is not an end: ids that the scheduler does not know are not in its answer."""

    def body(rig):
        native_id = rig.scheduler.submit(rig.order(QUICK))
        assert set(rig.scheduler.observe([native_id, "987654"])) == {native_id}
        assert rig.scheduler.observe(["987654"]) == {}
        assert rig.scheduler.observe([]) == {}

    on(body)


def test_ids_differ(on):
    """No two orders have the same native id."""

    def body(rig):
        ids = [rig.scheduler.submit(rig.order(QUICK)) for _ in range(5)]
        assert len(set(ids)) == 5

    on(body)


def test_cancel_ends_a_running_task(on):
    """A canceled task ends with the verdict `canceled`."""

    def body(rig):
        native_id = rig.scheduler.submit(rig.order(LONG))
        rig.let_run(native_id)
        rig.scheduler.cancel(native_id)
        wait_for(lambda: rig.scheduler.observe([native_id])[native_id][0].state is NativeState.ENDED, 10, 0.01)
        assert rig.scheduler.observe([native_id])[native_id][0].verdict == "canceled"

    on(body)


def test_cancel_can_be_repeated(on):
    """Canceling twice, or what has ended, or what never was, is no error and changes nothing."""

    def body(rig):
        native_id = rig.scheduler.submit(rig.order(QUICK))
        rig.let_end(native_id)
        rig.scheduler.cancel(native_id)
        rig.scheduler.cancel(native_id)
        rig.scheduler.cancel("987654")
        later = rig.scheduler.submit(rig.order(QUICK))
        rig.let_end(later)
        assert rig.scheduler.observe([native_id])[native_id][0].verdict is None

    on(body)


@pytest.mark.parametrize(
    ("field", "amount"),
    [("cpus", 4096), ("memory", 2**50), ("gpus", 1), ("nodes", 2), ("runtime", "podman")],
)
def test_what_does_not_fit_is_refused_in_words(on, field, amount):
    """An order that no node could ever run is rejected, the message naming the field and what there is."""

    def body(rig):
        with pytest.raises(Rejected) as caught:
            rig.scheduler.submit(rig.order(QUICK, mark="ci-large-1", **{field: amount}))
        assert caught.value.problems[0].field == f"resources.{field}"
        assert "queue local" in caught.value.problems[0].message
        assert rig.scheduler.find("ci-large-1") is None

    on(body)


def test_an_array_has_its_tasks(on):
    """Every task of an array is observed under its index."""

    def body(rig):
        native_id = rig.scheduler.submit(rig.order(QUICK, tasks=3))
        assert set(rig.scheduler.observe([native_id])[native_id]) == {0, 1, 2}

    on(body)


def test_the_queue_fits_its_own_defaults(on):
    """A job that asks for nothing fits into the queue."""

    def body(rig):
        queue = rig.scheduler.queues()[0]
        assert queue.default_cpus <= queue.cpus
        assert queue.default_memory <= queue.memory
        assert queue.runtimes
        rig.scheduler.submit(rig.order(QUICK, cpus=queue.cpus, memory=queue.memory))

    on(body)


def test_the_fake_loses_answers(place, ordinary):
    """An order whose answer was lost is there, found by its mark and not submitted twice."""
    node = Node(place, account_of(ordinary))
    fake = FakeScheduler()
    fake.lose_answers = 1
    order = node.order(QUICK, mark="ci-lost-1")
    with pytest.raises(Transient):
        fake.submit(order)
    assert fake.find("ci-lost-1") == "1"
    fake.forget("1")
    assert fake.observe(["1"]) == {}
    fake.away = True
    with pytest.raises(Transient):
        fake.find("ci-lost-1")


def test_the_fake_refuses_in_its_own_words(place, ordinary):
    """A refusal reaches the caller with the scheduler's words."""
    fake = FakeScheduler()
    fake.refuse = "Invalid account or account/partition combination"
    with pytest.raises(Rejected, match="Invalid account"):
        fake.submit(Node(place, account_of(ordinary)).order(QUICK))
    assert ask().queue == "local"
