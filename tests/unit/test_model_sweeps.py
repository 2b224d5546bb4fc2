"""Sweeps, wishes, packing, queues and advice: values in, values or words out."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_interface.inspection import inspect
from cluster_interface.inspection.sweeps import with_places
from cluster_interface.model.advice import Earlier, advice, earlier, enough_memory, enough_time
from cluster_interface.model.errors import Rejected
from cluster_interface.model.job import Attempt, Job
from cluster_interface.model.jobspec import JobSpec
from cluster_interface.model.packing import orders_of, pack_size
from cluster_interface.model.plan import Ask, Lock, Plan
from cluster_interface.model.queue import Queue, check_fits, fill_in, find_queue
from cluster_interface.model.resources import GIB, MIB, Resources
from cluster_interface.model.state import JobState
from cluster_interface.model.sweep import LONGEST_VALUE, Sweep
from cluster_interface.model.wishes import Checkpoint, Retry, When, split_after


def refused(make, *words: str) -> None:
    with pytest.raises(Rejected) as caught:
        make()
    for word in words:
        assert word in str(caught.value)


# --- sweeps


@given(st.dictionaries(st.sampled_from("abcd"), st.lists(st.integers(0, 9), min_size=1, max_size=4), min_size=1))
def test_a_grid_has_every_combination_and_its_count_is_known(parameters):
    """As many rows as the lengths multiply to, each once where values differ, the last parameter changing fastest."""
    sweep = Sweep.parse({"parameters": parameters})
    rows = sweep.rows()
    assert len(rows) == sweep.count == math.prod(map(len, parameters.values()))
    assert rows[0] == {name: str(values[0]) for name, values in parameters.items()}
    assert rows[-1] == {name: str(values[-1]) for name, values in parameters.items()}


def test_a_zip_goes_side_by_side():
    """The first values together, the second ones together; lists of other lengths are named."""
    sweep = Sweep.parse({"parameters": {"n": [1, 2], "m": ["a", "b"]}, "method": "zip"})
    assert sweep.rows() == [{"n": "1", "m": "a"}, {"n": "2", "m": "b"}]
    assert sweep.count == 2
    refused(lambda: Sweep.parse({"parameters": {"n": [1, 2], "m": [1]}, "method": "zip"}), "n has 2, m has 1")


@given(st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=40)))
def test_values_are_text_as_they_were_written(value):
    """Numbers and truth values become what a person would type; text stays as it is; NUL is refused."""
    parsed = {"parameters": {"n": [value]}}
    if isinstance(value, str) and ("\0" in value or not value.isprintable()):
        return
    found = Sweep.parse(parsed).rows()[0]["n"]
    expected = (
        str(value).lower() if isinstance(value, bool) else repr(value) if isinstance(value, float) else str(value)
    )
    assert found == expected


@pytest.mark.parametrize(
    ("sweep", "words"),
    [
        ({}, "give one of parameters, table and files"),
        ({"table": "a.csv", "files": "*"}, "give one of parameters, table and files"),
        ({"parameters": {"n": []}}, "'n' has no values"),
        ({"parameters": {"a b": [1]}}, "'a b' is not a parameter's name"),
        ({"parameters": {"n": ["a\0b"]}}, "NUL"),
        ({"parameters": {"n": ["x" * (LONGEST_VALUE + 1)]}}, f"longer than {LONGEST_VALUE} bytes"),
        ({"table": "../a.csv"}, "not allowed in a path"),
        ({"files": "/etc/*"}, "relative"),
        ({"parameters": {"n": [1]}, "max_running": 0}, "greater than or equal to 1"),
        ({"parameters": {"n": [1]}, "maxrunning": 2}, "did you mean `max_running`?"),
    ],
)
def test_a_sweep_that_makes_no_sense_is_refused(sweep, words):
    """By field, and with what would make sense."""
    refused(lambda: Sweep.parse(sweep), words)


def test_a_table_must_be_among_the_files():
    """A table that is nowhere cannot be read."""
    refused(lambda: JobSpec.parse({"command": "x", "sweep": {"table": "p.csv"}}), "'p.csv' is not among the files")


# --- wishes


@pytest.mark.parametrize(
    ("when", "state", "met"),
    [
        (When.OK, JobState.COMPLETED, True),
        (When.OK, JobState.FAILED, False),
        (When.OK, JobState.RUNNING, None),
        (When.FAILED, JobState.CANCELED, True),
        (When.FAILED, JobState.COMPLETED, False),
        (When.ANY, JobState.FAILED, True),
        (When.ANY, JobState.COMPLETED, True),
    ],
)
def test_after_is_met_by_how_the_other_ended(when, state, met):
    """Open until the other job is final."""
    assert when.met_by(state) is met


def test_after_names_a_job_and_an_end():
    """JOB alone means that it must end well."""
    assert split_after("abc") == ("abc", When.OK)
    assert split_after("abc:any") == ("abc", When.ANY)
    for bad in ("abc:soon", "", "a b", "-x", "a:ok:ok"):
        refused(lambda bad=bad: JobSpec.parse({"command": "x", "after": [bad]}), "write JOB, JOB:any or JOB:failed")


def test_retries_and_signals_are_bounded():
    """A retry without end is none; a time before the limit is a length of time."""
    refused(lambda: Retry.parse({"node_failed": 21}), "less than or equal to 20")
    refused(lambda: Retry.parse({"oom": 1}), "unknown field")
    assert Checkpoint.parse({"resume": True, "signal_before": "10m"}).signal_before == 600


# --- packing


ASK = Ask(cpus=1, memory=GIB, time=60, queue="q", runtime="docker", disk=GIB, pids=100)
QUEUE = Queue(
    name="q", scheduler="slurm", cpus=8, memory=16 * GIB, time=3600, default_cpus=1, default_memory=GIB, default_time=600,
    runtimes=("docker", "bubblewrap"), gpus=2, gpu_types=("a100",), nodes=4, features=("avx2", "ib"), licenses=("matlab",),
    accounts=("chem", "bio"), qos=("normal",), reservations=(), max_array=1000,
)  # fmt: skip


@pytest.mark.parametrize(
    ("tasks", "seconds", "expected"),
    [
        (1, 1.0, 1),
        (1000, 1.0, 32),  # 1000 tasks on 32 slots
        (10_000, 1.0, 60),  # bound by the queue's hour: 60 tasks of up to a minute
        (10_000, 30.0, 5),  # two minutes or a little more, so that all slots end at the same time
        (10_000, 61.0, 3),  # longer than it may: what it asks for counts
        (20, 1.0, 1),  # every slot has something to do
        (100, 0.05, 25),  # what takes less than a start is not worth one, though slots stay empty
        (100, 0.001, 25),  # what is around a program takes a while as well
        (10_000, None, 11),  # never seen: a fifth of the minute that they may take
        (350, None, 11),  # not ten, of which three slots would have a second turn
    ],
)
def test_short_tasks_share_a_start(tasks, seconds, expected):
    """As many as make two minutes, as long as no slot of the queue stays empty and the queue's time is enough."""
    assert pack_size(None, tasks, ASK, QUEUE, seconds) == expected


def test_slots_are_as_many_as_the_memory_has_room_for():
    """Eight slots of four nodes, where each node has memory for two tasks."""
    assert pack_size(None, 100, ASK.model_copy(update={"memory": 8 * GIB}), QUEUE, 1.0) == 13


def test_long_or_unknown_tasks_do_not_share():
    """Who asks for more than a minute and was never seen gets a start of their own."""
    assert pack_size(None, 1000, ASK.model_copy(update={"time": 3600}), QUEUE, None) == 1
    assert pack_size(None, 1000, ASK.model_copy(update={"nodes": 2}), QUEUE, 1.0) == 1


def test_a_wish_to_share_goes_first_and_must_fit():
    """More than the queue's time allows is refused, with how many would fit."""
    assert pack_size(5, 3, ASK, QUEUE, None) == 3
    refused(lambda: pack_size(61, 100, ASK, QUEUE, None), "61 tasks of up to 1 min", "(1 h)", "at most 60 fit")
    assert pack_size(61, 100, ASK, dataclasses.replace(QUEUE, time=None), None) == 61


@given(st.integers(1, 3000), st.integers(1, 50), st.booleans(), st.one_of(st.none(), st.integers(1, 500)))
def test_orders_cover_every_task_once(tasks, pack, alone, most):
    """Elements and orders are without gaps, none longer than the scheduler takes, the first task alone if wished."""
    orders = orders_of("m", tasks, pack, first_alone=alone, max_array=most)
    attempt = Attempt(job="j", number=1, mark="m", pack=pack, orders=orders, created=0)
    elements = attempt.elements(tasks)
    assert [number for element in elements for number in element] == list(range(tasks))
    assert sum(order.elements for order in orders) == len(elements)
    assert [order.offset for order in orders] == [sum(o.elements for o in orders[:n]) for n in range(len(orders))]
    assert len({order.mark for order in orders}) == len(orders)
    assert most is None or max(order.elements for order in orders) <= most
    if alone and tasks > 1:
        assert list(elements[0]) == [0]
        assert orders[0].elements == 1


# --- queues


@pytest.mark.parametrize(
    ("wanted", "field", "words"),
    [
        ({"queue": "x"}, "queue", "there is no queue 'x'; there are: q"),
        ({"scheduler": "sge"}, "scheduler", "there is no scheduler 'sge'; there are: slurm"),
        ({"runtime": "podman"}, "runtime", "no runtime 'podman'; it has: docker, bubblewrap"),
        ({"nodes": 5}, "nodes", "asks 5; queue q has 4"),
        ({"cpus": 9}, "cpus", "asks 9; the largest node of queue q has 8"),
        ({"cpus": 3, "tasks_per_node": 3}, "cpus", "asks 3 x 3; the largest node of queue q has 8"),
        ({"memory": "17GiB"}, "memory", "asks 17 GiB; the largest node of queue q has 16 GiB"),
        ({"time": "2h"}, "time", "asks 2 h; the longest job of queue q is 1 h"),
        ({"gpus": 3}, "gpus", "asks 3; the largest node of queue q has 2"),
        ({"gpus": 1, "gpu_type": "h100"}, "gpu_type", "has no GPU 'h100'; it has: a100"),
        ({"account": "phys"}, "account", "no account 'phys' for this; it has: chem, bio"),
        ({"qos": "high"}, "qos", "no qos 'high' for this; it has: normal"),
        ({"reservation": "r"}, "reservation", "it has: none"),
        ({"constraint": "avx2&gpu"}, "constraint", "no node of queue q has 'gpu'; there are: avx2, ib"),
        ({"licenses": ["abaqus:2"]}, "licenses", "no licence 'abaqus:2'; it has: matlab"),
    ],
)
def test_what_does_not_fit_says_what_would(wanted, field, words):
    """The field, what was asked, and what there is."""
    with pytest.raises(Rejected) as caught:
        fill_in(Resources.parse(wanted), [QUEUE], GIB, 100)
    assert [problem.field for problem in caught.value.problems] == [f"resources.{field}"]
    assert words in str(caught.value)


def test_every_problem_is_named_at_once():
    """Nobody has to come back five times."""
    with pytest.raises(Rejected) as caught:
        fill_in(Resources.parse({"cpus": 99, "memory": "1TiB", "qos": "x"}), [QUEUE], GIB, 100)
    assert len(caught.value.problems) == 3


def test_what_is_left_out_gets_the_queues_defaults():
    """Defaults, never more than the queue has."""
    ask = fill_in(Resources(), [QUEUE], 5, 6)
    assert (ask.cpus, ask.memory, ask.time, ask.runtime, ask.scheduler) == (1, GIB, 600, "docker", "slurm")
    assert (ask.disk, ask.pids) == (5, 6)
    small = dataclasses.replace(QUEUE, default_cpus=99, default_memory=99 * GIB, default_time=9999)
    ask = fill_in(Resources(), [small], 5, 6)
    assert (ask.cpus, ask.memory, ask.time) == (8, 16 * GIB, 3600)


def test_constraints_in_the_schedulers_own_words_are_understood():
    """Counts and operators are no features."""
    for constraint in ("avx2&ib", "[avx2*2|ib*4]", "avx2,ib"):
        fill_in(Resources.parse({"constraint": constraint}), [QUEUE], 1, 1)


def test_what_is_not_known_is_not_checked():
    """A scheduler that does not say what it knows is asked when the job gets there."""
    silent = dataclasses.replace(QUEUE, features=None, licenses=None, accounts=None, qos=None, reservations=None)
    wanted = {"constraint": "x", "licenses": ["y"], "account": "a", "qos": "b", "reservation": "c"}
    check_fits(fill_in(Resources.parse(wanted), [silent], 1, 1), silent)


def test_a_chained_job_may_take_longer_than_its_queue():
    """What goes on in a new attempt asks for the queue's time."""
    assert fill_in(Resources.parse({"time": "3d"}), [QUEUE], 1, 1, chained=True).time == 3600


def test_no_queue_and_no_runtime_are_told():
    """With who can say more."""
    refused(lambda: fill_in(Resources(), [], 1, 1), "no queue now", "clif doctor")
    bare = dataclasses.replace(QUEUE, runtimes=())
    refused(lambda: fill_in(Resources(), [bare], 1, 1), "no container runtime works in queue q")
    refused(
        lambda: fill_in(Resources(), [dataclasses.replace(bare, why_not="being found out")], 1, 1), "being found out"
    )
    assert find_queue([QUEUE], "slurm", "q") is QUEUE
    assert find_queue([QUEUE], "sge", "q") is None


# --- advice


def job(state: JobState = JobState.COMPLETED, **ask) -> Job:
    spec = JobSpec.parse({"command": "x"})
    plan = Plan(spec=spec, command="x", lock=Lock(base="b", image="i"), ask=ASK.model_copy(update=ask), bounds={})
    return Job(id="abc", owner="a", group="a", name="n", state=state, spec=spec, plan=plan, created=0, changed=0)


@pytest.mark.parametrize(
    ("ask", "used", "words"),
    [
        ({"memory": 64 * GIB}, (200 * MIB, 30.0, 20.0), "asked 64 GiB of memory, used 200 MiB: next time ask 512 MiB"),
        ({"memory": GIB}, (1000 * MIB, 30.0, 20.0), "asked 1 GiB of memory, used 1000 MiB: next time ask 1.5 GiB"),
        ({"cpus": 8}, (800 * MIB, 50.0, 55.0), "asked 8 cores, kept 1.1 busy: next time ask 2"),
        ({"time": 600}, (800 * MIB, 590.0, 500.0), "ran 9 min 50 s of the 10 min it asked for: next time ask 20 min"),
        ({}, (800 * MIB, 20.0, 19.0), ""),
        ({}, (None, None, None), ""),
    ],
)
def test_advice_is_given_where_it_pays(ask, used, words):
    """One line where asked and used are far apart or too close; silence otherwise."""
    assert advice(job(**ask), used) == words


def test_no_advice_before_the_end():
    """What is not over has not used anything yet."""
    assert advice(job(JobState.RUNNING, memory=64 * GIB), (MIB, 1.0, 1.0)) == ""


@given(st.integers(0, 2**42), st.floats(0, 1e7))
def test_what_is_suggested_is_enough(memory, seconds):
    """Always more than was used, and an amount that a person would write."""
    assert enough_memory(memory) >= memory * 1.5
    assert enough_memory(memory) % (256 * MIB) == 0
    assert enough_time(seconds) >= seconds * 2 - 1
    assert enough_time(seconds) % 300 == 0


def test_earlier_says_on_what_it_rests():
    """The job, what it used, and what that suggests; nothing where nothing was measured."""
    assert earlier(job(), 210 * MIB, 61.0) == Earlier(
        job="abc", peak_memory=210 * MIB, seconds=61.0, memory=512 * MIB, time=300
    )
    assert earlier(job(), None, None).memory is None


def test_parameters_go_to_the_options_of_a_proposal():
    """What has no option is told as a warning."""
    script = "import argparse\np = argparse.ArgumentParser()\np.add_argument('--max-depth')\np.add_argument('--n')\np.parse_args()\n"
    found = with_places(inspect({"a.py": script}, "a.py", ["--n", "3"]), ["max_depth", "n", "seed"])
    assert found.command == "python a.py --n 3 --max-depth {max_depth}"
    assert found.warnings == tuple(
        f"parameter {name}: the program finds it as $CLIF_PARAM_{name}" for name in ("n", "seed")
    )


def test_an_option_that_is_given_by_another_name_is_not_given_twice():
    """`-n 3` and `--number` are one option."""
    script = "import argparse\np = argparse.ArgumentParser()\np.add_argument('-n', '--number')\np.parse_args()\n"
    assert with_places(inspect({"a.py": script}, "a.py", ["-n", "3"]), ["number"]).command == "python a.py -n 3"
    assert with_places(inspect({"a.py": script}, "a.py"), ["number"]).command == "python a.py --number {number}"


def test_a_subcommand_is_given_its_own_options_only():
    """Argparse would refuse the others, and the program's own behind it."""
    script = (
        "import argparse\np = argparse.ArgumentParser()\np.add_argument('--seed')\n"
        "s = p.add_subparsers(dest='what')\nfit = s.add_parser('fit')\nfit.add_argument('table')\n"
        "fit.add_argument('--rate')\nplot = s.add_parser('plot')\nplot.add_argument('--scale')\np.parse_args()\n"
    )
    names = ["rate", "scale", "seed"]
    for arguments, added, carried in (
        (["fit", "my plot"], " --rate {rate}", ["scale", "seed"]),
        ([], " --seed {seed}", ["rate", "scale"]),
    ):
        proposal = inspect({"a.py": script}, "a.py", arguments)
        notes = [f"parameter {name}: the program finds it as $CLIF_PARAM_{name}" for name in carried]
        found = with_places(proposal, names)
        assert (found.command, [*found.warnings[-2:]]) == (proposal.command + added, notes)
