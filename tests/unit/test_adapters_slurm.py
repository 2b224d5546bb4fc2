"""Slurm's adapter without Slurm: what its programs printed (22.05), and what is made of it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_interface.adapters.schedulers import slurm_queues, slurm_rows, slurm_states
from cluster_interface.adapters.schedulers.pictures import Pictures
from cluster_interface.adapters.schedulers.slurm_options import options
from cluster_interface.model.errors import Rejected, Transient
from cluster_interface.model.job import Account
from cluster_interface.model.plan import Ask
from cluster_interface.ports import NativeState, Order
from cluster_interface.settings import Defaults

LISTED = """\
@w|2|N/A|clif-test|COMPLETED|1795642038|n1|None|job.sh
@w|5|N/A|root|FAILED|1795642040|n4|NonZeroExitCode|wrap
@w|4|3-40%3|clif-test|PENDING|N/A|n/a|JobArrayTaskLimit|ci-a-2
@w|3|0-99%5|root|PENDING|N/A|n/a|JobHeldUser|ci-a-1
@w|4|0|clif-test|RUNNING|1795642040|n1|None|ci-a-2
@w|4|1|clif-test|RUNNING|1795642040|n2|None|ci-a-2
@w|4|2|clif-test|TIMEOUT|1795642040|n3|TimeLimit|ci-a-2
@w|6|N/A|root|FAILED|1795642040|n4|JobLaunchFailure|x|y z
@w|15|N/A|mallory|RUNNING|1795642064|n1|None|ci-t-1
7||victim|COMPLETED|1|n1|None|ci-victim-1
@w|10|N/A|clif-test|PENDING|1827178000|n/a|ReqNodeNotAvail, UnavailableNodes:n1|job.sh
"""
PARTITION = (
    "PartitionName=short AllowGroups=ALL AllowAccounts=lab,course AllowQos=ALL Default=YES QoS=N/A DefaultTime=NONE "
    "MaxNodes=UNLIMITED MaxTime=00:10:00 MaxCPUsPerNode=UNLIMITED Nodes=n[1-4] State=UP TotalCPUs=32 TotalNodes=4 "
    "DefMemPerNode=UNLIMITED MaxMemPerNode=UNLIMITED TRES=cpu=32,mem=20000M,node=4,billing=32"
)
NODE = (
    "NodeName=n1 Arch=x86_64 CoresPerSocket=1  CPUAlloc=0 CPUEfctv=8 CPUTot=8 AvailableFeatures=fast,avx ActiveFeatures="
    "fast Gres=gpu:a100:2(S:0-1),gpu:1 NodeHostName=vm Version=22.05.8 OS=Linux 6.18.44 #1 SMP PREEMPT_DYNAMIC @0  "
    "RealMemory=5000 State=IDLE Partitions=main,short  BootTime=2026-11-25T21:08:53 Reason=it is a = test [root@now]"
)


def read(text=LISTED):
    """Read a listing."""
    return Pictures(slurm_rows.record_of).read(slurm_rows.split(text, "@w"))


def test_a_listing_is_read():
    """Every job of a real listing is read: arrays in their short form, names with bars in them."""
    records = {(r.native_id, tuple(r.elements)[:1]): r for r in read()}
    assert records["4", (3,)].elements == range(3, 41)
    assert records["3", (0,)].elements == range(100)
    assert records["4", (1,)].seen.node == "n2"
    assert records["4", (1,)].seen.started == 1795642040.0
    assert records["4", (2,)].seen.verdict == "time_limit"
    assert records["6", (0,)].mark == "x|y z"
    assert records["10", (0,)].seen.reason == "ReqNodeNotAvail, UnavailableNodes:n1"
    assert records["10", (0,)].seen.started is None


def test_a_name_cannot_forge_a_line():
    """A newline in somebody's job name makes no line of its own."""
    assert "ci-victim-1" not in {record.mark for record in read()}
    assert "ci-t-1\n7||victim|COMPLETED|1|n1|None|ci-victim-1" in {record.mark for record in read()}


def test_bad_lines_are_left_out():
    """What cannot be read costs itself only."""
    bad = "@w|x|N/A|u|RUNNING|1|n|r|m\n@w|1|2\n@w|1|[a-b]|u|RUNNING|1|n|r|m\n@w|1|0-99999999999|u|RUNNING|1|n|r|m\n"
    assert read(bad) == []
    assert len(read(bad + LISTED + bad)) == len(read())


@given(st.text())
def test_no_line_breaks_the_look(text):
    """Whatever a line holds, the look goes on."""
    slurm_rows.record_of(text)
    slurm_rows.split(text, "@w")
    list(slurm_rows.accounted(text, "|"))


@pytest.mark.parametrize(
    ("text", "elements"),
    [("N/A", [0]), ("7", [7]), ("0-3%2", [0, 1, 2, 3]), ("[1,5-6%9]", [1, 5, 6]), ("0-6:3", [0, 3, 6])],
)
def test_elements(text, elements):
    """Arrays are written short."""
    assert list(slurm_rows.elements_of(text)) == elements


def test_unchanged_lines_are_not_read_again():
    """A second look at the same lines reads nothing, and a third reads only what is new."""
    calls = []
    pictures = Pictures(lambda text: calls.append(text) or slurm_rows.record_of(text))
    accounts = {"ci-a-1": "root", "ci-a-2": "clif-test"}
    lines = slurm_rows.split(LISTED, "@w")
    first = pictures.compose(pictures.read(lines), accounts)
    count = len(calls)
    second = pictures.compose(pictures.read(list(reversed(lines))), accounts)
    assert len(calls) == count
    assert all(first[mark] == second[mark] for mark in first)
    assert first["ci-a-1"] is second["ci-a-1"]
    changed = slurm_rows.split(LISTED.replace("4|1|clif-test|RUNNING", "4|1|clif-test|NODE_FAIL"), "@w")
    third = pictures.compose(pictures.read(changed), accounts)
    assert len(calls) == count + 1
    assert third["ci-a-1"] is first["ci-a-1"]
    assert third["ci-a-2"][1].verdict == "node_failed"
    assert third["ci-a-2"][0] is first["ci-a-2"][0]


def test_a_look_at_one_keeps_the_others():
    """A look at a single job forgets nothing of the many."""
    pictures = Pictures(slurm_rows.record_of)
    accounts = {"ci-a-1": "root", "ci-a-2": "clif-test"}
    lines = slurm_rows.split(LISTED, "@w")
    first = pictures.compose(pictures.read(lines), accounts)
    one = pictures.compose(pictures.pick(lines, ["ci-a-1"]), {"ci-a-1": "root"})
    assert one["ci-a-1"] is first["ci-a-1"]
    again = pictures.compose(pictures.read(lines), accounts)
    assert all(again[mark] is first[mark] for mark in first)


def test_another_account_is_not_ours():
    """The mark alone does not make a job ours."""
    pictures = Pictures(slurm_rows.record_of)
    assert pictures.compose(pictures.read(slurm_rows.split(LISTED, "@w")), {"ci-a-1": "mallory"}) == {}
    assert pictures.doubtful == {"ci-a-1"}


def test_what_has_ended_stays_so_when_it_is_purged():
    """After MinJobAge squeue forgets; what was seen ended is still ended, what ran is absent and doubted."""
    pictures = Pictures(slurm_rows.record_of)
    accounts = {"ci-a-2": "clif-test"}
    pictures.compose(pictures.read(slurm_rows.split(LISTED, "@w")), accounts)
    after = pictures.compose(pictures.read([]), accounts)
    assert {n: o.verdict for n, o in after["ci-a-2"].items()} == {2: "time_limit"}
    assert pictures.doubtful == {"ci-a-2"}


def test_the_canceled_rest_of_an_array():
    """Slurm forgets the numbers of elements that were canceled while they waited."""
    pictures = Pictures(slurm_rows.record_of)
    accounts = {"ci-a-2": "clif-test"}
    pictures.compose(pictures.read(slurm_rows.split(LISTED, "@w")), accounts)
    rest = LISTED.replace("4|3-40%3|clif-test|PENDING", "4|N/A|clif-test|CANCELLED")
    after = pictures.compose(pictures.read(slurm_rows.split(rest, "@w")), accounts)["ci-a-2"]
    assert after[40].verdict == "canceled"
    assert after[0].state is NativeState.RUNNING


def test_accounting_is_read():
    """What sacct printed: arrays, words after the state, nodes that never were."""
    text = (
        "67_0@root@CANCELLED by 0@1795643606@m1@ci-x-1\n67_1@root@OUT_OF_MEMORY@Unknown@None assigned@ci-x-1\n"
        "rest of a name\n68@root@NODE_FAIL@1795643606@m[1-2]@ci-x-2\n"
    )
    records = list(slurm_rows.accounted(text, "@"))
    assert [(r.native_id, list(r.elements), r.seen.verdict) for r in records] == [
        ("67", [0], "canceled"), ("67", [1], "out_of_memory"), ("68", [0], "node_failed"),
    ]  # fmt: skip
    assert records[1].seen.node is None


def test_unknown_states_are_unknown():
    """A state of a later Slurm is unknown, never ended."""
    assert slurm_states.state_of("LEVITATING") is NativeState.UNKNOWN
    assert slurm_states.state_of("") is NativeState.UNKNOWN
    assert slurm_states.state_of("CANCELLED by 1001") is NativeState.ENDED
    assert slurm_states.state_of("COMPLETING") is NativeState.RUNNING
    assert set(slurm_states.VERDICTS) < {n for n, s in slurm_states.STATES.items() if s is NativeState.ENDED}


@pytest.mark.parametrize(
    ("words", "kind", "said"),
    [
        ("sbatch: error: Batch job submission failed: Socket timed out on send/recv operation", Transient, "Socket"),
        ("sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)", Transient, "Slurm does not answer"),
        ("sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying", Transient, "Slurm does not answer"),
        ("sbatch: error: Slurm controller not responding, sending and resubmitting", Transient, "Slurm does not answer"),
        ("sbatch: error: Batch job submission failed: Zero Bytes were transmitted or received", Transient, "Slurm does not answer"),
        ("sbatch: error: fork: Resource temporarily unavailable", Transient, "Slurm does not answer"),
        ("sbatch: error: If munged is up, restart with --num-threads=10\nsbatch: error: Munge encode failed", Transient, "Slurm does not answer"),
        (
            ("sbatch: error: QOSMaxSubmitJobPerUserLimit\nsbatch: error: Batch job submission failed: Job violates "
            "accounting/QOS policy (job submit limit, user's size and/or time limits)"), Transient, "as many jobs",
        ),
        ("sbatch: error: AssocMaxSubmitJobLimit\n", Transient, "as many jobs"),
        (
            ("sbatch: error: Memory specification can not be satisfied\nsbatch: error: Batch job submission failed: "
            "Requested node configuration is not available"), Rejected, "^Memory specification can not be satisfied Req",
        ),
        ("sbatch: error: invalid partition specified: nope\n", Rejected, "^invalid partition specified: nope$"),
        ("sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified",
         Rejected, "^Invalid account"),
        ("", Transient, "without a word"),
    ],
)  # fmt: skip
def test_refusals_and_troubles(words, kind, said):
    """What is temporary is looked at again; the rest is refused in Slurm's words without its decoration."""
    error = slurm_states.failure(words)
    with pytest.raises(kind, match=said):
        raise error


@pytest.mark.parametrize(
    "reason",
    ["Priority", "Resources", "QOSMaxCpuPerUserLimit", "QOSMaxJobsPerUserLimit", "AssocGrpCpuLimit", "JobHeldUser",
     "ReqNodeNotAvail, UnavailableNodes:n1", "PartitionTimeLimit", "Dependency", "Licenses", "Reservation", "BeginTime",
     "NodeDown", "PartitionDown", "(null)", "None"],
)  # fmt: skip
def test_reasons_in_plain_words(reason):
    """The common reasons are explained without Slurm's own words."""
    words = slurm_states.explain(reason)
    assert "scheduler says" not in words
    assert " " in words
    assert slurm_states.explain("SomethingNew") == "the scheduler says: SomethingNew"


def order(**asked):
    """An order with what is asked."""
    more = {
        n: asked.pop(n) for n in ("elements", "max_running", "node", "offset", "mark", "script", "log") if n in asked
    }
    wants = Ask(
        **{"cpus": 2, "memory": 300 * 2**20 + 1, "time": 90, "queue": "main", "runtime": "x", "disk": 1, **asked}
    )
    account = Account(name="ada", uid=1001, gid=1001)
    return Order(
        **{"script": Path("/w/j/job.sh"), "mark": "ci-1-1", "account": account, "ask": wants, "time": 90, **more}
    )


def test_options():
    """All that is asked for, in Slurm's units, as arguments of the form --name=value."""
    argv = options(
        order(
            gpus=2, gpu_type="a100", nodes=3, tasks_per_node=4, exclusive=True, account="lab", qos="long",
            reservation="course", constraint="fast&avx", licenses=("matlab:2", "stata"), elements=10, max_running=3,
            node="n7", offset=20, log=Path("/w/j/100%.log"),
        )
    )  # fmt: skip
    for option in (
        "--parsable", "--no-requeue", "--ignore-pbs", "--job-name=ci-1-1", "--comment=ci-1-1", "--chdir=/w/j", "--nodes=3",
        "--ntasks-per-node=4", "--cpus-per-task=2", "--mem=301M", "--time=2", "--gres=gpu:a100:2", "--partition=main",
        "--account=lab", "--qos=long", "--reservation=course", "--constraint=fast&avx", "--licenses=matlab:2,stata",
        "--exclusive", "--nodelist=n7", "--array=0-9%3", "--output=/w/j/100%%.log",
    ):  # fmt: skip
        assert option in argv
    assert argv[-2:] == ["/w/j/job.sh", "20"]
    assert all(argument.startswith("--") for argument in argv[:-2])
    assert not [option for option in options(order()) if option.startswith(("--array", "--gres", "--account"))]


@pytest.mark.parametrize(
    "asked",
    [{"mark": "a\nb"}, {"mark": "-x"}, {"queue": "a b"}, {"queue": "a\n--uid=0"}, {"account": ""}, {"qos": "a;b"},
     {"constraint": "a\n"}, {"licenses": ("a b",)}, {"node": "n1\n"}, {"script": Path("job.sh")}, {"gpus": 1, "gpu_type": "x y"},
     {"script": Path("/a\nb/job.sh")}, {"log": Path("/a\\b")}],
)  # fmt: skip
def test_what_is_not_plain_is_refused(asked):
    """Nothing that is more than one word becomes an argument."""
    with pytest.raises(Rejected):
        options(order(**asked))


def test_queues():
    """A partition with what its nodes have, and what the site's associations give."""
    cluster = slurm_queues.Cluster(
        config={"MaxArraySize": "1001", "SchedulerParameters": "bf_interval=2,max_array_tasks=500"},
        nodes=[slurm_queues.fields(NODE)],
        licenses=["matlab"],
        reservations=[
            {"ReservationName": "course", "PartitionName": "short"},
            {"ReservationName": "x", "PartitionName": "y"},
        ],
        associations=[("lab", "normal,long"), ("other", "short")],
    )
    queue = slurm_queues.queue(slurm_queues.fields(PARTITION), cluster, Defaults(), "slurm")
    assert (queue.name, queue.cpus, queue.memory, queue.time, queue.nodes) == ("short", 8, 5000 * 2**20, 600, 1)
    assert (queue.gpus, queue.gpu_types, queue.features) == (3, ("a100",), ("avx", "fast"))
    assert (queue.accounts, queue.qos) == (("lab",), ("normal", "long", "short"))
    assert (queue.licenses, queue.reservations, queue.max_array, queue.state) == (("matlab",), ("course",), 500, "")
    assert queue.default_time == 600
    down = slurm_queues.fields(PARTITION.replace("State=UP", "State=DRAIN"))
    assert slurm_queues.queue(down, cluster, Defaults(), "slurm").state == "DRAIN"
    away = slurm_queues.Cluster(config={}, nodes=[slurm_queues.fields(NODE.replace("State=IDLE", "State=IDLE+DRAIN"))])
    assert "down or drained" in slurm_queues.queue(slurm_queues.fields(PARTITION), away, Defaults(), "slurm").state


@pytest.mark.parametrize(
    ("gres", "gpus"),
    [("(null)", {}), ("gpu:2", {"": 2}), ("gpu:a100:1(S:0)", {"a100": 1}), ("gpu", {"": 1}), ("mygpu:7,fpga:1", {})],
)
def test_gpus(gres, gpus):
    """GPUs with and without types; other resources are none."""
    assert slurm_queues.gpus_of(gres) == gpus
