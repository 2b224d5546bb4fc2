"""Grid Engine's adapter without Grid Engine: what its programs printed (8.1.9), and what is made of it."""

import contextlib
import itertools
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_interface.adapters.schedulers import gridengine_queues, gridengine_rows
from cluster_interface.adapters.schedulers.gridengine import GridEngineScheduler, explained
from cluster_interface.adapters.schedulers.gridengine_options import failure, options
from cluster_interface.model.errors import Rejected, Transient
from cluster_interface.model.job import Account
from cluster_interface.model.plan import Ask
from cluster_interface.model.queue import Queue, check_fits
from cluster_interface.ports import NativeState, Order
from cluster_interface.settings import Defaults, GridEngine


def job(state, number="8", name="ci-ge-1", tasks="", start="", queue=""):
    """One job as qstat -xml prints it."""
    begin = (
        f"<JAT_start_time>{start}</JAT_start_time>"
        if start
        else "<JB_submission_time>2026-11-25T21:36:36</JB_submission_time>"
    )
    last = f"\n      <tasks>{tasks}</tasks>" if tasks else ""
    return (
        f'<job_list state="pending">\n      <JB_job_number>{number}</JB_job_number>\n      <JAT_prio>0.75000</JAT_prio>\n'
        f"      <JB_name>{name}</JB_name>\n      <JB_owner>clif-test</JB_owner>\n      <state>{state}</state>\n      {begin}\n"
        f"      <queue_name>{queue}</queue_name>\n      <slots>2</slots>{last}\n    </job_list>"
    )


ACCOUNTED = """\
==============================================================
qname        all.q
hostname     vm
owner        clif-test
jobname      ci-ge-1
jobnumber    8
taskid       2
start_time   Wed Nov 25 21:36:35 2026
failed       {failed}
exit_status  {status}
ru_wallclock {ran}s
category     -l h_rt=90,h_vmem=100M -pe smp 2
"""


def test_a_listing_is_read():
    """Running and waiting elements, counted from 0; the queue's host is the node."""
    text = (
        "<job_info>"
        + job("r", tasks="1", start="2026-11-25T21:36:34", queue="all.q@vm")
        + job("qw", tasks="3-5:1")
        + "</job_info>"
    )
    running, waiting = (gridengine_rows.record_of(part) for part in gridengine_rows.split(text))
    assert (list(running.elements), running.seen.state, running.seen.node) == ([0], NativeState.RUNNING, "vm")
    assert running.seen.started == 1795642594.0
    assert (list(waiting.elements), waiting.seen.state, waiting.account) == (
        [2, 3, 4],
        NativeState.PENDING,
        "clif-test",
    )


@pytest.mark.parametrize(
    ("code", "state", "words"),
    [("qw", "pending", ""), ("hqw", "pending", "held"), ("Eqw", "pending", "could not be started"), ("r", "running", ""),
     ("t", "running", ""), ("dr", "running", "deleted"), ("S", "running", "suspended"), ("Rr", "running", ""),
     ("?", "unknown", "?")],
)  # fmt: skip
def test_states(code, state, words):
    """The letters of qstat(1)."""
    seen = gridengine_rows.record_of(job(code)).seen
    assert seen.state == state
    assert words in seen.reason


@given(st.text())
def test_no_job_breaks_the_look(text):
    """Whatever qstat and qacct print, the look goes on."""
    gridengine_rows.record_of(text)
    gridengine_rows.split(text)
    list(gridengine_rows.accounted(text))


@pytest.mark.parametrize(
    ("failed", "status", "ran", "verdict"),
    [("0", "0", 5, None), ("0", "7", 5, None), ("37  : qmaster enforced h_rt, h_cpu, or h_vmem limit", "137 (Killed)", 90, "time_limit"),
     ("37  : qmaster enforced h_rt, h_cpu, or h_vmem limit", "137 (Killed)", 4, "out_of_memory"),
     ("100 : assumedly after job", "137", 20, None), ("100 : assumedly after job", "137", 91, "time_limit"),
     ("21  : in recognizing job", "0", 2, "node_failed")],
)  # fmt: skip
def test_accounting_is_read(failed, status, ran, verdict):
    """How it ended: one code stands for the limits of time and of memory."""
    (record,) = gridengine_rows.accounted(ACCOUNTED.format(failed=failed, status=status, ran=ran))
    assert (record.native_id, list(record.elements), record.seen.verdict) == ("8", [1], verdict)
    assert (record.seen.state, record.seen.node) == (NativeState.ENDED, "vm")


@pytest.mark.parametrize(
    ("words", "kind", "said"),
    [('Unable to run job: Job was rejected because job requests unknown queue "nope.q"\nExiting.\n', Rejected, "^Job was"),
     ('Unable to run job: job rejected: the requested project "nope" does not exist\nExiting.\n', Rejected, "^the requested"),
     ("Unable to run job: error: no suitable queues\nExiting.\n", Rejected, "^no suitable queues$"),
     (("error: commlib error: got select error (Connection refused)\nUnable to run job: unable to send message to qmaster "
      'using port 1 on host "vm": got send error\nExiting.\n'), Transient, "commlib"), ("", Transient, "without a word")],
)  # fmt: skip
def test_refusals_and_troubles(words, kind, said):
    """What is temporary is looked at again; the rest is refused in Grid Engine's words."""
    with pytest.raises(kind, match=said):
        raise failure(words)


def order(**asked):
    """An order with what is asked."""
    more = {
        n: asked.pop(n) for n in ("elements", "max_running", "node", "offset", "mark", "script", "log") if n in asked
    }
    wants = Ask(**{"cpus": 2, "memory": 2**30, "time": 90, "queue": "all.q", "runtime": "x", "disk": 1, **asked})
    account = Account(name="ada", uid=1001, gid=1001)
    return Order(
        **{"script": Path("/w/j/job.sh"), "mark": "ci-1-1", "account": account, "ask": wants, "time": 90, **more}
    )


def test_options():
    """Elements count from 1, no directives are looked for, and nothing is run again."""
    wanted = order(elements=10, max_running=3, node="h1", account="lab", licenses=("matlab:2",), gpus=1, offset=5)
    argv = options(wanted, parallel=("smp", 2), memory="h_vmem=512M", gpu="gpu")
    pairs = list(itertools.pairwise(argv))
    for pair in [("-t", "1-10"), ("-tc", "3"), ("-q", "all.q@h1"), ("-P", "lab"), ("-l", "matlab=2"), ("-l", "gpu=1"),
                 ("-pe", "smp"), ("-l", "h_vmem=512M"), ("-l", "h_rt=90"), ("-r", "n"), ("-C", ""), ("-N", "ci-1-1")]:  # fmt: skip
        assert pair in pairs
    assert argv[-2:] == ["/w/j/job.sh", "5"]
    assert "-b" not in argv


@pytest.mark.parametrize(
    "asked",
    [{"mark": "1a"}, {"mark": "a\nb"}, {"queue": "a b"}, {"qos": "x"}, {"exclusive": True}, {"gpus": 1},
     {"script": Path("/a:b/job.sh")}, {"account": "a\n"}],
)  # fmt: skip
def test_what_cannot_be_asked_for_is_refused(asked):
    """Nothing that is not plain, or that Grid Engine has no word for, is passed on."""
    with pytest.raises(Rejected):
        options(order(**asked))


def test_reasons():
    """What `qstat -j` says of a job, the error first."""
    told = "script_file: x\nerror reason    1:          11/25/2026 21:36:35 [1001:9]: error: can't chdir to /nope\nscheduling info:   Job is in error state\n"
    assert "can't chdir to /nope" in explained(told)
    told = 'scheduling info:            cannot run in PE "smp" because it only offers 8 slots\n                            Job is in hold state\n'
    assert "no host of the queue has so many free slots" in explained(told)
    assert "held back" in explained(told)
    assert explained("job_number: 1\n") == ""


def test_hosts_and_resources():
    """Memory, slots and states from qhost; which memory the site counts from qconf -sc."""
    text = """<?xml version='1.0'?><qhost><host name='global'></host><host name='vm'>
    <hostvalue name='mem_total'>23.5G</hostvalue><resourcevalue name='gpu' dominance='hc'>2.000000</resourcevalue>
    <queue name='all.q'><queuevalue qname='all.q' name='slots'>8</queuevalue>
    <queuevalue qname='all.q' name='state_string'>au</queuevalue></queue></host></qhost>"""
    (host,) = gridengine_queues.hosts(text)
    assert (host.memory, host.queues, host.resources["gpu"]) == (int(23.5 * 2**30), {"all.q": (8, "au")}, "2.000000")
    with pytest.raises(Transient):
        gridengine_queues.hosts("error: commlib")
    lines = "#name x\nh_vmem h_vmem MEMORY <= YES YES 0 0\nmem_free mf MEMORY <= YES NO 0 0\n"
    assert gridengine_queues.counted_memory(gridengine_queues.resources(lines)) == "h_vmem"
    assert gridengine_queues.counted_memory(gridengine_queues.resources(lines.replace("YES YES", "YES NO"))) is None


RULES = {
    "smp": "$pe_slots",
    "pairs": "2",
    "twelve": "12",
    "fill": "$fill_up",
    "round": "$round_robin",
    "all": "$pe_slots",
}
OFFERED = {"all.q": "make smp pairs \\\n                      twelve,[@big=fill]", "wide.q": "pairs,[vm1=twelve],[vm2=round]",
           "one.q": "NONE"}  # fmt: skip


def cell(*argv, allow=()):
    """A cell's configuration, as qconf prints it."""
    del allow
    if argv[1] == "-sp":
        return f"pe_name            {argv[2]}\nslots              999\nallocation_rule    {RULES[argv[2]]}\n"
    if argv[1] == "-sq":
        return (
            f"qname                 {argv[2]}\npe_list               {OFFERED[argv[2]]}\nrerun                 FALSE\n"
        )
    lines = "#name\nexcl excl BOOL EXCL YES YES 0 1000\nh_vmem h_vmem MEMORY <= YES YES 0 0\n"
    return {"-spl": "\n".join(RULES), "-sql": "\n".join(OFFERED), "-sc": lines}[argv[1]]


def test_parallel_environments_are_found_by_queue():
    """Those that a queue offers, on all of its hosts or some, and that say how many slots each host gives."""
    site = gridengine_queues.site(cell)
    assert [site.one_node(queue) for queue in OFFERED] == ["smp", None, None]
    assert site.many_nodes("all.q") == site.many_nodes("wide.q") == {2: "pairs", 12: "twelve"}
    assert site.many_nodes("one.q") == {}
    assert site.exclusive == "excl"


def test_a_parallel_environment_that_is_set_gives_every_queue_its_slots():
    """Whatever its rule: what would be asked for is what the queue says it has."""
    host = "<host name='vm'><queue name='one.q'><queuevalue qname='one.q' name='slots'>8</queuevalue></queue></host>"
    answers = {"qhost": f"<qhost>{host}</qhost>", "-sql": "one.q", "-sconf": "", "-sprjl": ""}

    def ask(*argv, allow=()):
        known = [answers[word] for word in argv if word in answers]
        return known[0] if known else cell(*argv, allow=allow)

    for site, cpus in ((gridengine_queues.site(cell, "fill"), 8), (gridengine_queues.site(cell), 1)):
        (queue,) = gridengine_queues.queues(ask, Defaults(), "gridengine", gpu=None, known=site)
        assert queue.cpus == cpus
    scheduler = GridEngineScheduler(GridEngine(parallel_environment="fill"), Defaults())
    scheduler._ask = cell
    assert scheduler._parallel(order(cpus=4, queue="one.q"), scheduler._survey()) == ("fill", 4)


def test_several_nodes_and_nodes_alone():
    """Several hosts are slots of an environment that takes as many of each; alone is the resource with relation EXCL."""
    scheduler = GridEngineScheduler(GridEngine(), Defaults())
    site = gridengine_queues.site(cell)
    assert scheduler._parallel(order(cpus=6, nodes=3, tasks_per_node=2), site) == ("twelve", 36)
    assert scheduler._parallel(order(cpus=2, queue="wide.q"), site) == ("pairs", 2)
    assert scheduler._parallel(order(cpus=1, queue="one.q"), site) is None
    for asked in ({"cpus": 3, "nodes": 2}, {"cpus": 3, "queue": "wide.q"}, {"cpus": 1, "nodes": 2}):
        with pytest.raises(Rejected, match="no parallel environment for"):
            scheduler._parallel(order(**asked), site)
    pairs = list(itertools.pairwise(options(order(exclusive=True), parallel=("twelve", 36), exclusive="excl")))
    assert ("-l", "excl=true") in pairs
    assert ("twelve", "36") in pairs


@pytest.mark.parametrize(
    ("offers", "asked", "words"),
    [({"node_cpus": (2, 12)}, {"cpus": 2, "nodes": 3}, ""), ({"node_cpus": (2, 12)}, {"cpus": 6, "tasks_per_node": 2, "nodes": 3}, ""),
     ({"node_cpus": (2, 12)}, {"cpus": 4, "nodes": 3}, "asks 3 nodes with 4 processors each; queue all.q has several only with 2 or 12"),
     ({"node_cpus": ()}, {"cpus": 4, "nodes": 3}, "has none of several"), ({"node_cpus": ()}, {"cpus": 4}, ""),
     ({}, {"cpus": 4, "nodes": 3}, ""), ({"exclusive": False}, {"exclusive": True}, "gives no node to one job alone"),
     ({"qos": (), "accounts": ("bio", "chem")}, {"qos": "long"}, "projects, named by resources.account: bio, chem"),
     ({"qos": ()}, {"qos": "long"}, "it has: none")],
)  # fmt: skip
def test_a_queue_says_what_would_fit(offers, asked, words):
    """Which processors several nodes can have, that none is given alone, and what is there in place of a qos."""
    numbers = {"cpus": 64, "memory": 2**40, "time": None, "default_cpus": 1, "default_memory": 1, "default_time": 1}
    queue = Queue(name="all.q", scheduler="gridengine", runtimes=("x",), nodes=9, **numbers, **offers)
    refused = pytest.raises(Rejected, match=re.escape(words)) if words else contextlib.nullcontext()
    with refused:
        check_fits(order(**asked).ask, queue)
