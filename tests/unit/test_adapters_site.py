"""The site over schedulers and runtimes that are imagined: probes, and what is removed on the nodes of others."""

import os
import time

import pytest

from cluster_interface.adapters import surveys as surveys_module
from cluster_interface.adapters.site import Site
from cluster_interface.adapters.surveys import Surveys
from cluster_interface.model.errors import Rejected
from cluster_interface.model.job import Account
from cluster_interface.model.plan import Ask
from cluster_interface.model.queue import Queue
from cluster_interface.ports import NativeState, Observation
from cluster_interface.settings import Settings

ME = Account(name="me", uid=os.geteuid(), gid=os.getegid())
HERE = os.uname().nodename


class Scheduler:
    """One queue; it notes what it is asked."""

    name = "far"

    def __init__(self):
        self.orders, self.asked, self.refuses = {}, 0, ""
        self.states = {}

    def queues(self):
        return [Queue(name="q", scheduler="far", cpus=8, memory=2**34, time=60, default_cpus=1, default_memory=2**30,
                      default_time=60)]  # fmt: skip

    def find(self, handle):
        self.asked += 1
        return "1" if handle.mark in self.orders else None

    def submit(self, order):
        if self.refuses:
            raise Rejected(self.refuses)
        self.orders[order.mark] = order
        self.states[order.mark] = {0: Observation(state=NativeState.PENDING)}
        return "1"

    def observe(self, handles):
        return {handle.mark: self.states[handle.mark] for handle in handles if handle.mark in self.states}


class Runtime:
    """One that leaves something."""

    runs_as = "user"

    def __init__(self):
        self.reaped = []

    def reap(self, mark):
        self.reaped.append(mark)

    def reap_script(self, mark):
        return f"rm {mark}\n"


class Identity:
    """Everybody is me."""

    def account(self, owner):
        return ME


@pytest.fixture
def world(tmp_path):
    """A site with a far scheduler."""
    scheduler, runtime = Scheduler(), Runtime()
    surveys = Surveys(
        tmp_path / "site", account=ME, server=ME, make=lambda names: dict.fromkeys(names, runtime),
        pinned={"q": ("r",)}, store=tmp_path / "images",
    )  # fmt: skip
    site = Site(
        settings=Settings(), schedulers={"far": scheduler}, local=dict, surveys=surveys, identity=Identity(), server=ME
    )
    site.far, site.left, site.its_surveys = scheduler, runtime, surveys
    return site


def asked(**more):
    """A request that a small order must not repeat."""
    return Ask(
        cpus=8, memory=2**34, time=3600, queue="q", scheduler="far", runtime="r", disk=1, pids=10,
        **{"gpus": 2, "gpu_type": "a", "licenses": ("m:1",), "exclusive": True, "tasks_per_node": 4, "nodes": 3,
           "constraint": "fast", **more},
    )  # fmt: skip


def test_what_is_left_on_other_nodes_is_removed_by_an_order_on_each(world):
    """Named as the scheduler names them, for next to nothing, once; here at once."""
    nodes = {HERE: "n0", "n1.example.org": "n1", "n2": "n2"}
    for _ in range(2):
        world.reap(asked(account="lab"), "ci-a-1", "ada", nodes)
    assert world.left.reaped == ["ci-a-1", "ci-a-1"]
    orders = {order.node: order for order in world.far.orders.values()}
    assert sorted(orders) == ["n1", "n2"]
    order = orders["n1"]
    assert (order.mark, order.account, order.elements) == ("ci-a-1.reap.n1", ME, 1)
    assert order.script.read_text() == "#!/bin/sh\nrm ci-a-1\n"
    ask = order.ask
    assert (ask.cpus, ask.tasks_per_node, ask.nodes, ask.gpus, ask.licenses) == (1, 1, 1, 0, ())
    assert (ask.exclusive, ask.constraint, ask.gpu_type, ask.account) == (False, None, None, "lab")
    assert ask.memory <= 2**30


def test_a_node_that_is_no_more_needs_no_reaping(world):
    """The scheduler refuses an order for it; that is nobody's failure."""
    world.far.refuses = "Invalid node name specified"
    world.reap(asked(), "ci-a-1", "ada", {"n9": "n9"})
    assert world.far.orders == {}


def test_a_probe_that_waits_long_is_not_asked_for_all_the_time_nor_sent_again(world, monkeypatch):
    """A queue may be full for hours: one probe waits in it, and the scheduler is asked now and then."""
    now = [1_000_000_000.0]
    monkeypatch.setattr(time, "time", lambda: now[0])
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    for _ in range(120):
        assert world.survey() == surveys_module.SOON
        now[0] += 1
    assert len(world.far.orders) == 1
    assert world.far.asked <= 120 / surveys_module.ASK + 1
    now[0] += surveys_module.PATIENCE
    world.survey()
    assert len(world.far.orders) == 1
    (mark,) = world.far.orders
    world.far.states[mark] = {0: Observation(state=NativeState.ENDED)}
    now[0] += surveys_module.ASK
    world.survey()
    assert len(world.far.orders) == 2, "it ended without a report"


def test_what_is_being_found_out_is_said(world):
    """Until the probe reports."""
    runtimes, words = world.its_surveys.found("far", "q")
    assert runtimes is None
    assert "being found out" in words
