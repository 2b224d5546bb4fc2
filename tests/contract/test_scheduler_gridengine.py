"""What Grid Engine alone has words for, on one that no other test uses: several hosts, and a host alone."""

import os

import pytest
from tests.conftest import wait_for
from tests.contract.rig import account_of
from tests.contract.schedulers import gridengine_rig, stand_in

from cluster_interface.model.errors import Rejected
from cluster_interface.model.plan import Ask
from cluster_interface.model.queue import check_fits
from cluster_interface.ports import NativeState

LONG = "sleep 60 & wait\n"


@pytest.fixture(scope="module")
def cell(own_part_of_module):
    """A Grid Engine of these tests' own."""
    return own_part_of_module("gridengine")


@pytest.fixture
def rig(cell, place, ordinary):
    """The adapter on it."""
    os.chown(place, account_of(ordinary).uid, -1)
    made = gridengine_rig(cell, place, ordinary)
    yield made
    made.clean()


def test_several_hosts_are_an_environment_that_takes_so_many_slots_of_each(rig, cell, place, monkeypatch):
    """Two hosts with two processors each are four slots of `pairs`; there is one host, and it is said what is missing."""
    with pytest.raises(Rejected, match="no suitable queues"):
        rig.submit(LONG, cpus=2, nodes=2)
    with pytest.raises(Rejected, match="no parallel environment for 3 slots on each of 2 hosts"):
        rig.submit(LONG, cpus=3, nodes=2)
    every = 'for word; do shift; [ "$word" != e ] || word=n; set -- "$@" "$word"; done; exec "$real" "$@"\n'
    stand_in(place, monkeypatch, "qsub", every)  # which has it take what cannot run now
    handle = rig.submit(LONG, cpus=2, nodes=2)
    assert "parallel environment:  pairs range: 4" in cell.ask("qstat", "-j", handle.native_id)

    def explained():
        """Grid Engine to say why it waits."""
        return "so many free slots" in rig.scheduler.waiting(handle).reason

    wait_for(explained, 60, 0.5)
    assert rig.seen(handle).state is NativeState.PENDING


def test_a_queue_says_what_would_fit(rig):
    """More nodes than there are, processors that no environment takes of several, qualities of service."""
    (queue,) = (queue for queue in rig.scheduler.queues() if queue.name == "all.q")
    assert (queue.node_cpus, queue.exclusive, queue.nodes) == ((2,), True, 1)
    asked = Ask(cpus=2, memory=1, time=1, queue="all.q", scheduler="gridengine", runtime="none", disk=1, nodes=2)
    with pytest.raises(Rejected, match=r"asks 2; queue all\.q has 1"):
        check_fits(asked, queue)
    with pytest.raises(Rejected, match="a project is named by resources"):
        rig.submit(LONG, qos="fast")


def test_a_host_alone(rig):
    """While a job has a host for itself, no other begins there; and it waits for those that were there."""
    first = rig.submit(LONG)
    rig.until_running(first)
    alone = rig.submit(LONG, exclusive=True)
    rig.until(alone, NativeState.PENDING)
    rig.scheduler.cancel(first)
    rig.until_running(alone)
    last = rig.submit(LONG)
    assert rig.until(last, NativeState.PENDING).state is NativeState.PENDING
    assert rig.seen(alone).state is NativeState.RUNNING
    rig.scheduler.cancel(alone)
    rig.until_running(last)
