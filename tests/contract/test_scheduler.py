"""What every scheduler keeps: the fake one, the local one, and the testbed's Slurms and Grid Engine."""

import contextlib
import os

import pytest
from tests.conftest import wait_for
from tests.contract.fakes import FakeScheduler
from tests.contract.rig import Node, account_of, as_account, ask
from tests.contract.schedulers import ELEMENT, Faked, LocalRig, gridengine_rig, slurm_rig

from cluster_interface.model.errors import Rejected, Transient
from cluster_interface.ports import UNSEEN, Handle, NativeState

QUICK, LONG = "exit 0\n", "sleep 600 & wait\n"
ALL = [
    "fake",
    "local",
    "local as an ordinary user",
    "slurm",
    "slurm as an ordinary user",
    "slurm_accounting",
    "gridengine",
]
REAL = [name for name in ALL if name != "fake"]


@pytest.fixture
def on(request, place, ordinary):
    """Run a body with one scheduler after the other."""
    account = account_of(ordinary)
    os.chown(place, account.uid, account.gid)
    kind, _, whose = request.param.partition(" as ")
    part = request.getfixturevalue(kind) if kind not in ("fake", "local") else None

    @contextlib.contextmanager
    def made():
        if kind == "fake":
            yield Faked(place, ordinary)
        elif kind == "local":
            rig = LocalRig(place, ordinary)
            with rig.node:
                yield rig
        else:
            rig = (gridengine_rig if kind == "gridengine" else slurm_rig)(part, place, ordinary)
            try:
                yield rig
            finally:
                rig.clean()

    def run(body):
        def inside():
            with made() as rig:
                body(rig)

        as_account(ordinary, inside) if whose else inside()

    return run


def on_all(test):
    """Run a test with every scheduler."""
    return pytest.mark.parametrize("on", ALL, indirect=True)(test)


def on_real(test):
    """Run a test with every scheduler that runs something."""
    return pytest.mark.parametrize("on", REAL, indirect=True)(test)


@on_all
def test_a_submission_is_found_by_its_mark(on):
    """A submitted order is found again by its mark; another mark, a part of it, or another's account finds nothing."""

    def body(rig):
        handle = rig.submit(LONG)
        mark = handle.mark
        assert rig.scheduler.find(handle) == handle.native_id
        assert rig.scheduler.find(rig.handle(mark)) == handle.native_id
        for other in (mark + "1", mark[:-1], mark + ".1"):
            assert rig.scheduler.find(rig.handle(other)) is None

    on(body)


@pytest.mark.parametrize("on", ["fake", "local", "slurm", "slurm_accounting", "gridengine"], indirect=True)
def test_an_id_is_no_identity(on):
    """A handle that has another's native id, as after a reissue, is not taken for it; nor is another account's mark."""

    def body(rig):
        handle = rig.submit(LONG)
        stranger = rig.handle("ci-stranger-1", handle.native_id)
        impostor = Handle(mark=handle.mark, account="root", native_id=handle.native_id)
        assert rig.scheduler.find(stranger) is None
        assert rig.scheduler.find(impostor) is None
        assert rig.scheduler.observe([stranger]) == {}
        assert rig.scheduler.observe([impostor]) == {}
        rig.scheduler.cancel(stranger)
        rig.scheduler.cancel(impostor)
        rig.until_running(handle)
        assert rig.seen(handle).state is NativeState.RUNNING

    on(body)


@on_all
def test_ended_orders_are_found(on):
    """An order that has ended is found by its mark and observed as ended."""

    def body(rig):
        handle = rig.submit(QUICK)
        seen = rig.until_ended(handle)
        assert rig.scheduler.find(handle) == handle.native_id
        assert (seen.state, seen.verdict) == (NativeState.ENDED, None)

    on(body)


@on_all
def test_absence_is_not_an_end(on):
    """What the scheduler does not know is not in its answer."""

    def body(rig):
        handle, nobody = rig.submit(LONG), rig.handle("ci-nobody-1", "987654")
        assert set(rig.scheduler.observe([handle, nobody])) == {handle.mark}
        assert rig.scheduler.observe([nobody]) == {}
        assert rig.scheduler.observe([]) == {}

    on(body)


@on_all
def test_ids_differ(on):
    """No two orders have the same native id."""

    def body(rig):
        ids = [rig.submit(QUICK).native_id for _ in range(3)]
        assert len(set(ids)) == 3

    on(body)


@on_all
def test_what_has_not_changed_is_the_same_object(on):
    """The engine compares by identity: a look at what has not changed returns the same objects."""

    def body(rig):
        handle = rig.submit(LONG)
        rig.until_running(handle)
        before, after = (rig.scheduler.observe([handle])[handle.mark] for _ in range(2))
        assert before is after
        assert before[0] is after[0]

    on(body)


@on_all
def test_cancel_ends_a_running_order(on):
    """A canceled order ends long before it would by itself, with the verdict `canceled`."""

    def body(rig):
        handle = rig.submit(LONG)
        rig.until_running(handle)
        rig.scheduler.cancel(handle)
        assert rig.until_ended(handle).verdict == "canceled"

    on(body)


@on_real
def test_the_polite_signal_comes_first(on):
    """job.sh is told before it is killed, and its own end is waited for."""

    def body(rig):
        rig_says = "trap 'echo polite; kill $child; exit 1' TERM USR2\necho begun\nsleep 60 & child=$!\nwait\n"
        handle = rig.submit(rig_says)
        rig.until_output(handle, "begun")
        rig.scheduler.cancel(handle)
        rig.until_output(handle, "polite")
        rig.until_ended(handle)

    on(body)


@on_all
def test_cancel_ends_what_waits(on):
    """Of a canceled array what runs ends, and what waits never starts."""

    def body(rig):
        handle = rig.submit(f"{ELEMENT}echo began $n.\n{LONG}", elements=4, max_running=1)
        rig.until_running(handle)
        assert rig.seen(handle, 3).state is NativeState.PENDING
        rig.scheduler.cancel(handle)
        for element in range(4):
            assert rig.until_ended(handle, element).verdict == "canceled"
        assert "began 3." not in rig.output(handle)

    on(body)


@on_all
def test_cancel_can_be_repeated(on):
    """Canceling twice, or what has ended, or what never was, is no error and changes nothing."""

    def body(rig):
        handle = rig.submit(QUICK)
        rig.until_ended(handle)
        rig.scheduler.cancel(handle)
        rig.scheduler.cancel(handle)
        rig.scheduler.cancel(rig.handle("ci-nobody-1", "987654"))
        assert rig.seen(handle).verdict is None

    on(body)


@pytest.mark.parametrize(("field", "amount"), [("cpus", 4096), ("memory", 2**50), ("gpus", 50), ("nodes", 200)])
@on_all
def test_what_does_not_fit_is_refused_in_words(on, field, amount):
    """An order that no node could ever run is rejected in words, and is not there; else it waits, and says why.

    A Slurm without EnforcePartLimits takes some of them: its queue is then what keeps a job out (model/queue.py).
    """

    def body(rig):
        words, handle = "", rig.handle(f"ci-{rig.place.name}-1")
        try:
            rig.submit(QUICK, **{field: amount})
        except Rejected as refusal:
            words = str(refusal)
        if words:
            assert len(words) > 10
            assert rig.scheduler.find(handle) is None
        else:
            assert "more" in wait_for(lambda: rig.scheduler.waiting(handle)).reason

    on(body)


@on_real
def test_an_array_has_its_elements(on):
    """Every element is observed under its number, and knows that number and the offset."""

    def body(rig):
        handle = rig.submit(f'{ELEMENT}echo "n=$n offset=$1."\n', elements=3, offset=40)
        for element in range(3):
            rig.until_ended(handle, element)
            rig.until_output(handle, f"n={element} offset=40.")
        assert set(rig.scheduler.observe([handle])[handle.mark]) == {0, 1, 2}

    on(body)


@on_real
def test_an_order_that_is_no_array_has_element_0(on):
    """A single element is number 0, and gets its offset too."""

    def body(rig):
        handle = rig.submit(f'{ELEMENT}echo "n=$n offset=$1."\n')
        rig.until_ended(handle)
        rig.until_output(handle, "n=0 offset=0.")
        assert set(rig.scheduler.observe([handle])[handle.mark]) == {0}

    on(body)


@on_real
def test_no_more_run_at_once_than_the_order_says(on):
    """`max_running` is kept."""

    def body(rig):
        handle = rig.submit("echo +\nsleep 1\necho -\n", elements=3, max_running=1)
        for element in range(3):
            rig.until_ended(handle, element)
        wait_for(lambda: rig.output(handle).split().count("-") == 3)
        assert [word for word in rig.output(handle).split() if word in "+-"] == ["+", "-"] * 3

    on(body)


@on_real
def test_a_node_can_be_named(on):
    """An order for one node runs there, and is seen to."""

    def body(rig):
        node = rig.nodes[-1]
        handle = rig.submit(QUICK, node=node)
        assert rig.until_ended(handle).node == node

    on(body)


@on_real
def test_a_node_that_is_not_there_is_refused(on):
    """An order for a node that does not exist is rejected."""

    def body(rig):
        with pytest.raises(Rejected):
            rig.submit(QUICK, node="nowhere")

    on(body)


@on_real
def test_scripts_run_as_the_account(on):
    """The script runs as the order's account with the system's PATH, and nothing of the server's environment."""
    os.environ["CLIF_SECRET"] = "canary"

    def body(rig):
        handle = rig.submit('id -un\numask\necho "HOME=$HOME PATH=$PATH secret=${CLIF_SECRET-none}."\n')
        rig.until_ended(handle)
        rig.until_output(handle, "secret=none.")
        words = rig.output(handle)
        assert rig.account.name in words.split()
        assert f"HOME={rig.account.home} " in words
        assert ".venv" not in words

    try:
        on(body)
    finally:
        del os.environ["CLIF_SECRET"]


@on_real
def test_paths_are_taken_literally(on):
    """Blanks, quotes and what a shell or a scheduler would expand are parts of a name."""

    def body(rig):
        directory = rig.place / 'it\'s "a" *place; 100% %j & (more)'
        handle = rig.submit("echo here\n", script=directory / "job.sh")
        rig.until_ended(handle)
        log = directory / "job.log"
        wait_for(lambda: log.exists() and "here" in log.read_text())

    on(body)


@on_real
def test_words_of_the_script_are_no_directives(on):
    """What a user wrote into a script is not read as an option of the scheduler."""

    def body(rig):
        handle = rig.submit("echo one\n#SBATCH --hold\n#$ -h\n#PBS -h\necho two\n")
        rig.until_ended(handle)
        rig.until_output(handle, "two")

    on(body)


@on_real
def test_a_newline_in_a_name_is_refused(on):
    """No name that is more than one word reaches the scheduler."""

    def body(rig):
        for mark in ("ci-1\n#SBATCH --hold", "-h", "ci 1", "", "ci-1|x", "ci-$(id)"):
            with pytest.raises(Rejected):
                rig.scheduler.submit(rig.order(QUICK, mark=mark or None) if mark else _unnamed(rig))
        if len(rig.nodes) == 2 or "gridengine" in str(type(rig.scheduler)):
            for field in ("queue", "account"):
                with pytest.raises(Rejected):
                    rig.submit(QUICK, **{field: "main\n--uid=0"})

    on(body)


def _unnamed(rig):
    import dataclasses

    return dataclasses.replace(rig.order(QUICK), mark="")


@on_all
def test_the_queue_fits_its_own_defaults(on):
    """A job that asks for nothing fits into the queue, and the queue says what it is."""

    def body(rig):
        queue = rig.scheduler.queues()[0]
        assert queue.default_cpus <= queue.cpus
        assert queue.default_memory <= queue.memory
        assert queue.scheduler in ("fake", "local", "slurm", "gridengine")
        assert queue.max_array is None or queue.max_array > 100
        assert queue.state == ""
        rig.submit(QUICK, queue=queue.name, cpus=queue.default_cpus, memory=queue.default_memory)

    on(body)


@on_all
def test_what_waits_is_explained(on):
    """An order that waits has a reason in words; one that has ended has none."""

    def body(rig):
        queue = rig.scheduler.queues()[0]
        blocking = [rig.submit(LONG, cpus=queue.cpus) for _ in range(queue.nodes)]
        for handle in blocking:
            rig.until_running(handle)
        handle = rig.submit(QUICK, cpus=queue.cpus)
        told = wait_for(lambda: rig.scheduler.waiting(handle))
        assert len(told.reason) > 4
        assert told.position is None or told.position >= 1
        assert rig.scheduler.waiting(rig.handle("ci-nobody-1")) is None
        for other in blocking:
            rig.scheduler.cancel(other)
        rig.until_ended(handle)

    on(body)


def test_the_fake_loses_answers(place, ordinary):
    """An order whose answer was lost is there, found by its mark and not submitted twice."""
    node = Node(place, account_of(ordinary))
    fake = FakeScheduler()
    fake.lose_answers = 1
    order = node.order(QUICK, mark="ci-lost-1")
    with pytest.raises(Transient):
        fake.submit(order)
    handle = Handle(mark="ci-lost-1", account=ordinary)
    assert fake.find(handle) == "1"
    fake.blind = True
    assert fake.observe([handle]) == {"ci-lost-1": {0: UNSEEN}}
    with pytest.raises(Transient):
        fake.find(handle)
    fake.blind = False
    fake.forget("1")
    assert fake.observe([handle]) == {}
    fake.away = True
    with pytest.raises(Transient):
        fake.find(handle)


def test_the_fake_refuses_in_its_own_words(place, ordinary):
    """A refusal reaches the caller with the scheduler's words."""
    fake = FakeScheduler()
    fake.refuse = "Invalid account or account/partition combination"
    with pytest.raises(Rejected, match="Invalid account"):
        fake.submit(Node(place, account_of(ordinary)).order(QUICK))
    assert ask().queue == "local"
