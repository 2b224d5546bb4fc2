"""The local scheduler's dispatcher on real processes: limits, deaths and restarts, as root and as an ordinary user."""

import dataclasses
import json
import os
import signal
import subprocess
import textwrap
import time
from pathlib import Path

import pytest
from tests.conftest import wait_for
from tests.contract.rig import MIB, Node, account_of, as_account, ask, gone, seconds_of
from tests.counting import asked_by

from cluster_interface.adapters.processes import boot_id
from cluster_interface.adapters.schedulers import cgroups, dispatcher
from cluster_interface.adapters.schedulers.local import LocalScheduler
from cluster_interface.adapters.schedulers.spool import Spool
from cluster_interface.model.errors import Transient
from cluster_interface.ports import Handle, NativeState, Order
from cluster_interface.settings import Defaults, Local

FEW = 100  #: files that may be opened where there are thousands
HOLD = """exec /usr/bin/python3 -c '
import sys, time
block = bytearray(b"x" * ({mib} << 20))
print("holds", flush=True)
time.sleep(60)'
"""


@pytest.fixture(params=["root", "ordinary"])
def on(request, place, ordinary):
    """Run a body with a node, as root or as an ordinary user."""
    account = account_of(ordinary)
    os.chown(place, account.uid, account.gid)

    def run(body, **settings):
        node = Node(place, account, **settings)

        def inside():
            with node:
                body(node)

        return inside() if request.param == "root" else as_account(ordinary, inside)

    return run


def test_tasks_run_under_the_account_with_a_clean_environment(on):
    """A task has the job account's ids, its own session, umask 077 and only the variables it is promised."""

    def body(node):
        handle = node.run(
            "id -u; id -g; id -G; umask; env | cut -d= -f1 | sort | tr '\\n' ' '; echo; echo $CLIF_ELEMENT $CLIF_NATIVE_ID $1 $USER $HOME"
        )
        node.until_ended(handle)
        uid, gid, groups, umask, names, values = (
            (node.place / f"ci-{node.place.name}-1/job.log").read_text().splitlines()
        )
        account = node.account
        assert (uid, gid, groups, umask) == (str(account.uid), str(account.gid), str(account.gid), "0077")
        ours = {"CLIF_CGROUP"} if cgroups.works() else {"CLIF_PEAK"}
        assert set(names.split()) == {
            "PATH",
            "HOME",
            "USER",
            "LOGNAME",
            "LANG",
            "TMPDIR",
            "CLIF_ELEMENT",
            "CLIF_NATIVE_ID",
            "PWD",
            *ours,
        }
        assert values == f"0 {handle.native_id} 0 {account.name} {account.home}"

    on(body)


def test_a_task_starts_at_once(on, monkeypatch):
    """The dispatcher is woken by what is submitted, by each end and by a cancel: it need not look by itself."""
    monkeypatch.setattr(dispatcher, "_LOOK", 600.0)

    def body(node):
        for _ in range(3):
            assert node.until_ended(node.run("exit 0\n", time=600)).state is NativeState.ENDED
        handle = node.run("sleep 600\n", time=600)
        node.until_running(handle)
        node.scheduler.cancel(handle)
        assert node.until_ended(handle).verdict == "canceled"

    on(body)


def test_time_limit(on):
    """What runs longer than it asked for gets TERM, then KILL, and the verdict time_limit."""

    def body(node):
        handle = node.run("trap 'echo polite' TERM\nwhile :; do sleep 0.1; done\n", time=1)
        assert seconds_of(lambda: node.until_ended(handle)) >= 1
        seen = node.task(handle)
        assert (seen.verdict, seen.state) == ("time_limit", NativeState.ENDED)
        assert "1 s it asked for" in seen.reason
        assert "polite" in (node.place / f"ci-{node.place.name}-1/job.log").read_text()

    on(body, grace=1)


def test_cancel_leaves_no_process(on):
    """Canceling ends everything a task started, what ignores signals and left its session too."""

    def body(node):
        daemon = """
            import os, signal, time
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            os.setsid() if os.fork() == 0 else None
            print(os.getpid(), flush=True)
            time.sleep(600)
            """
        text = f"trap '' TERM\n/usr/bin/python3 -c '{textwrap.dedent(daemon)}'\nsleep 600\n"
        handle = node.run(text)
        log = node.place / f"ci-{node.place.name}-1/job.log"
        wait_for(lambda: log.exists() and len(log.read_text().split()) == 2)
        pids = [int(pid) for pid in log.read_text().split()]
        node.scheduler.cancel(handle)
        wait_for(lambda: all(map(gone, pids)), 60, 0.02)
        assert node.until_ended(handle).verdict == "canceled"
        assert (node.place / f"reaped.ci-{node.place.name}-1-0").exists() or wait_for(
            (node.place / f"reaped.ci-{node.place.name}-1-0").exists
        )

    on(body)


def test_too_much_memory(on):
    """A task that holds more memory than it asked for ends with out_of_memory; one that holds less does not."""

    def body(node):
        handle = node.run(HOLD.format(mib=300), memory=100 * MIB)
        assert node.until_ended(handle, 20).verdict == "out_of_memory"
        handle = node.run(HOLD.format(mib=20), memory=100 * MIB, time=3)
        assert node.until_ended(handle, 20).verdict == "time_limit"

    on(body)


def test_too_much_on_disk(on):
    """A task whose directory holds more than it may is ended with disk_full."""

    def body(node):
        order = node.order("exit 0\n")
        attempt = order.script.parent / "attempts/1"
        (order.script.parent / "tasks/0").mkdir(parents=True)
        attempt.mkdir(parents=True)
        script = attempt / "job.sh"
        script.write_text(f"head -c 60000000 /dev/zero >{order.script.parent}/tasks/0/large\nsleep 60\n")
        os.system(f"chown -R {node.account.uid} {order.script.parent}") if os.geteuid() == 0 else None
        limits = order.ask.model_copy(update={"disk": 50_000_000})
        handle = node.submit(dataclasses.replace(order, script=script, ask=limits))
        seen = node.until_ended(handle, 20)
        assert seen.verdict == "disk_full"
        assert "57.2 MiB" in seen.reason

    on(body)


def test_the_dispatcher_may_die(on):
    """Killed without a word, its tasks run on; the next one finds them, keeps their limits, sees their end."""

    def body(node):
        short = node.run("sleep 1; echo once\n")
        limited = node.run("echo begun; sleep 60\n", time=3)
        log = node.place / f"ci-{node.place.name}-2/job.log"
        wait_for(lambda: log.exists() and log.read_text())
        before = node.task(limited).started
        node.end(signal.SIGKILL)
        wait_for(lambda: "once" in (node.place / f"ci-{node.place.name}-1/job.log").read_text())
        assert node.task(short).state is NativeState.RUNNING  # nobody has written down its end
        node.start()
        assert node.until_ended(short).verdict is None
        assert node.until_ended(limited).verdict == "time_limit"
        assert node.task(limited).started == before
        assert (node.place / f"ci-{node.place.name}-1/job.log").read_text() == "once\n"

    on(body, cpus=2)


def test_no_task_runs_twice_whenever_the_dispatcher_dies(on):
    """Killed at random instants while it starts tasks, each task has run exactly once in the end."""

    def body(node):
        handle = node.run(f'echo "$CLIF_ELEMENT" >>{node.place}/ran\n', elements=30)
        (node.place / "ran").touch()
        (node.place / "ran").chmod(0o666)
        pauses = iter([0.01, 0.03, 0.05, 0.08, 0.02, 0.04, 0.06] * 10)
        while not node.ended(handle):
            time.sleep(next(pauses, 0.5))
            node.end(signal.SIGKILL)
            node.start()
        ran = sorted(map(int, (node.place / "ran").read_text().split()))
        assert ran == list(range(30))

    on(body)


def test_only_one_dispatcher(on):
    """A second dispatcher on the same spool gives up in words."""

    def body(node):
        import threading

        from cluster_interface.adapters.schedulers import dispatcher

        dispatcher._PATIENCE = 0.2
        handle = node.run("exit 0\n")
        node.until_ended(handle)
        with pytest.raises(Transient, match="another dispatcher"):
            dispatcher.Dispatcher(node.spool, node.settings).run(threading.Event())

    on(body)


def test_after_a_reboot_running_tasks_have_lost_their_node(on):
    """A task of an earlier boot ends with node_failed; one that had not started yet runs."""

    def body(node):
        lost = node.run("echo begun; sleep 30\n")
        log = node.place / f"ci-{node.place.name}-1/job.log"
        wait_for(lambda: log.exists() and log.read_text())
        node.end(signal.SIGKILL)
        directory = next(d for i, _, d in node.scheduler._spool.list() if i == lost.native_id)
        pid = json.loads((directory / "events").read_text().splitlines()[0])["pid"]
        os.killpg(pid, signal.SIGKILL)
        text = (directory / "events").read_text().replace(boot_id(), "0" * 36)
        (directory / "events").write_text(text + '{"task": 0, "what": "en')  # and a line cut off by the power
        waiting = node.run("echo hello\n")
        assert "not running" in node.task(waiting).reason
        node.start()
        assert node.until_ended(lost).verdict == "node_failed"
        assert node.until_ended(waiting).verdict is None

    on(body)


def test_a_task_that_waits_is_canceled_without_starting(on):
    """Canceling an array ends running tasks, and those that wait never start."""

    def body(node):
        handle = node.run(f"echo $CLIF_ELEMENT >>{node.place}/ci-{node.place.name}-1/ran; sleep 60\n", elements=5)
        node.until_running(handle)
        assert node.task(handle, 4).state is NativeState.PENDING
        assert "waits" in node.task(handle, 4).reason
        node.scheduler.cancel(handle)
        node.until_ended(handle)
        seen = node.scheduler.observe([handle])[handle.mark]
        assert {task.verdict for task in seen.values()} == {"canceled"}
        assert [seen[n].started is None for n in range(5)] == [False, True, True, True, True]

    on(body, cpus=1)


def test_no_more_runs_than_there_is_room(on):
    """Tasks never hold more processors together than the queue has."""

    def body(node):
        line = f"{node.place}/ci-{node.place.name}-1"
        handle = node.run(f"echo + >>{line}/n; sleep 0.2; echo - >>{line}/n\n", elements=6)
        node.until_ended(handle)
        level, highest = 0, 0
        for sign in (Path(line) / "n").read_text().split():
            level += 1 if sign == "+" else -1
            highest = max(highest, level)
        assert (level, highest) == (0, 2)

    on(body, cpus=2)


def test_old_orders_are_forgotten_but_not_their_ids(on):
    """Ended orders are purged when they have been kept long enough; their ids are never given again."""

    def body(node):
        first = node.run("exit 0\n", mark="ci-old-1")
        node.until_ended(first)
        node.end()
        node.keep = 0.0
        node.start()
        wait_for(lambda: node.scheduler.find(first) is None)
        assert node.scheduler.observe([first]) == {}
        assert int(node.run("exit 0\n").native_id) > int(first.native_id)

    on(body)


def test_submitting_the_same_mark_again_is_the_same_order(on):
    """Two engines that submit one mark get one native id, and it runs once."""

    def body(node):
        order = node.order(f"echo x >>{node.place}/ci-{node.place.name}-1/n\n")
        handles = {node.submit(order) for _ in range(3)}
        assert len(handles) == 1
        node.until_ended(handles.pop())
        assert (node.place / f"ci-{node.place.name}-1/n").read_text() == "x\n"

    on(body)


def test_a_log_that_is_a_link_is_not_followed(on):
    """A job directory whose log was replaced by a link does not make the dispatcher write elsewhere."""

    def body(node):
        order = node.order("echo secret\n")
        victim = order.script.parent / "victim"
        victim.touch()
        order.log.symlink_to(victim)
        node.until_ended(node.submit(order))
        assert victim.read_text() == ""

    on(body)


def test_no_cgroup_is_left(place, ordinary):
    """As root, every task's cgroups are removed after its end, in every hierarchy."""
    with Node(place, account_of(ordinary)) as node:
        handle = node.run("exit 0\n", elements=3)
        node.until_ended(handle)
        name = Path(cgroups.prefix(node.spool)).name
        wait_for(lambda: not [p for p in Path("/sys/fs/cgroup").glob(f"*/cluster-interface/{name}/*") if p.is_dir()])
    assert not list(Path("/sys/fs/cgroup").glob(f"*/cluster-interface/{name}"))


def test_a_full_disk_keeps_the_limits(place, ordinary):
    """While the spool's disk is full tasks still end at their time limit; the record follows when there is room."""
    (place / "spool").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "none", place / "spool"], check=True)
    try:
        with Node(place, account_of(ordinary)) as node:
            handle = node.run("echo $$; exec sleep 60\n", time=2)
            log = node.place / f"ci-{node.place.name}-1/job.log"
            pid = int(wait_for(lambda: log.exists() and log.read_text()))
            filler = place / "spool/filler"
            fill = subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=512"], capture_output=True, check=False)
            assert b"No space" in fill.stderr
            with pytest.raises(Transient, match="spool cannot be written"):
                node.run("exit 0\n")
            wait_for(lambda: gone(pid))
            filler.unlink()
            assert node.until_ended(handle).verdict == "time_limit"
    finally:
        subprocess.run(["umount", place / "spool"], check=True)


def test_many_tasks_are_one_order(place, ordinary):
    """An array of ten thousand tasks is taken, observed and canceled as a whole, not task by task."""
    with Node(place, account_of(ordinary), cpus=1) as node:
        order = node.order("sleep 60\n", elements=10_000)
        assert asked_by(lambda: node.scheduler.submit(order))["open"] < FEW
        handle = Handle(mark=order.mark, account=order.account.name)
        node.until_running(handle)
        assert asked_by(lambda: node.scheduler.observe([handle]))["open"] < FEW
        assert asked_by(lambda: node.scheduler.cancel(handle))["open"] < FEW
        node.until_ended(handle)
        assert node.task(handle, 9_999).verdict == "canceled"


def test_of_many_orders_only_what_changed_is_read(place, ordinary):
    """A look at two thousand orders of which nothing changed opens none, and says so by the same objects."""
    account = account_of(ordinary)
    scheduler = LocalScheduler(place / "spool", Local(), Defaults())
    spool = Spool(place / "spool")
    spool.make()
    order = Order(script=place / "job.sh", mark="ci-many-0", account=account, ask=ask(), time=60)
    scheduler.submit(order)
    (first,) = spool.jobs.iterdir()
    for number in range(2, 2_001):
        copy = spool.jobs / f"{number}.ci-many-{number}"
        copy.mkdir()
        (copy / "order").write_text((first / "order").read_text())
        (copy / "events").touch()
    handles = [Handle(mark="ci-many-0", account=ordinary)]
    handles += [Handle(mark=f"ci-many-{number}", account=ordinary) for number in range(2, 2_001)]
    before = scheduler.observe(handles)
    assert len(before) == 2_000
    assert asked_by(lambda: scheduler.observe(handles))["open"] < FEW
    after = scheduler.observe(handles)
    assert all(after[mark] is before[mark] for mark in before)
    spool.append(spool.jobs / "7.ci-many-7", task=0, what="ended", at=1.0, verdict="canceled", reason="because")
    after = scheduler.observe(handles)
    assert [mark for mark in before if after[mark] is not before[mark]] == ["ci-many-7"]
    assert scheduler.waiting(handles[-1]).position == 1_999


@pytest.mark.parametrize("where", ["tasks/7", "attempts/2/pack/0/job"])
def test_what_an_attempt_retries_counts_where_it_lies(on, where):
    """The disk of the task that an element has come to is watched, as the claims of job.sh say, also where it is lent."""

    def body(node):
        order = node.order("exit 0\n")
        attempt = order.script.parent / "attempts/2"
        (order.script.parent / "tasks/7").mkdir(parents=True)
        (order.script.parent / where).mkdir(parents=True, exist_ok=True)
        (attempt / "claim/7").mkdir(parents=True)
        script = attempt / "job.sh"
        script.write_text(
            f"printf 'pid=%s\\nboot_id=%s\\n' $$ $(cat /proc/sys/kernel/random/boot_id) >{attempt}/claim/7/owner\n"
            f"head -c 60000000 /dev/zero >{order.script.parent}/{where}/large\nsleep 60\n"
        )
        os.system(f"chown -R {node.account.uid} {order.script.parent}") if os.geteuid() == 0 else None
        limits = order.ask.model_copy(update={"disk": 50_000_000})
        handle = node.submit(dataclasses.replace(order, script=script, ask=limits, mark=f"{order.mark}.3"))
        assert node.until_ended(handle, 20).verdict == "disk_full"

    on(body)


def test_only_so_many_run_at_once(on):
    """An order's own bound on how many run together is kept."""

    def body(node):
        line = f"{node.place}/ci-{node.place.name}-1"
        handle = node.run(f"echo + >>{line}/n; sleep 0.2; echo - >>{line}/n\n", elements=5, max_running=1)
        node.until_ended(handle)
        assert (Path(line) / "n").read_text().split() == ["+", "-"] * 5

    on(body, cpus=2)
