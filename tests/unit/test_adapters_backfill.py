"""First come, first served, with backfill that delays nobody."""

from hypothesis import given
from hypothesis import strategies as st

from cluster_interface.adapters.schedulers.backfill import Holding, Size, Waiting, choose


def job(name, cpus, time=100.0, tasks=1, memory=1):
    """A waiting job."""
    return Waiting(name, Size(cpus, memory), time, tasks)


def held(cpus, until, memory=1):
    """A running task."""
    return Holding(Size(cpus, memory), until)


def test_in_order_while_there_is_room():
    """Jobs start in the order in which they came."""
    assert choose([job("a", 1), job("b", 2), job("c", 1)], [], Size(4, 9)) == ["a", "b", "c"]


def test_an_array_fills_what_is_free():
    """As many tasks of an array start as fit."""
    assert choose([job("a", 1, tasks=10)], [], Size(4, 9)) == ["a"] * 4


def test_a_short_job_goes_ahead_of_one_that_cannot_start():
    """What ends before the large job could start anyway may go first."""
    assert choose([job("large", 4), job("short", 1, time=10)], [held(3, 50)], Size(1, 9)) == ["short"]


def test_a_long_job_does_not_delay_the_one_before_it():
    """What would still run when the large job could start has to wait."""
    assert choose([job("large", 4), job("long", 1, time=60)], [held(3, 50)], Size(1, 9)) == []


def test_what_the_large_job_leaves_over_may_be_used():
    """A long job may take what is free beside the large one."""
    assert choose([job("large", 3), job("long", 1, time=900)], [held(2, 50)], Size(2, 9)) == ["long"]
    two = [job("large", 3), job("long", 1, time=900, tasks=2)]
    assert choose(two, [held(2, 50)], Size(2, 9)) == ["long"]


def test_memory_counts_as_well():
    """A job waits for memory as it does for processors."""
    assert choose([job("a", 1, memory=8), job("b", 1, memory=8)], [], Size(4, 9)) == ["a"]


def test_what_never_fits_holds_nobody_up():
    """A job larger than the machine has become is passed by."""
    assert choose([job("huge", 64), job("b", 1, time=900)], [], Size(4, 9)) == ["b"]


JOBS = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 50), st.integers(1, 3)), max_size=8)


@given(JOBS, st.lists(st.tuples(st.integers(1, 2), st.integers(1, 50)), max_size=2))
def test_no_more_starts_than_fits_and_the_first_is_never_delayed(wanted, busy):
    """Whatever waits and runs: what starts fits, and the oldest job can start no later than without the others."""
    running = [held(cpus, float(until)) for cpus, until in busy]
    free = Size(4 - sum(cpus for cpus, _ in busy), 100)
    waiting = [job(str(n), cpus, float(time), tasks) for n, (cpus, time, tasks) in enumerate(wanted)]
    chosen = choose(waiting, running, free)
    sizes = {item.job: item for item in waiting}
    assert sum(sizes[name].size.cpus for name in chosen) <= free.cpus
    stuck = next((item for item in waiting if chosen.count(item.job) < item.tasks), None)
    if stuck is not None:
        older = waiting[: waiting.index(stuck) + 1]
        before = [name for name in chosen if sizes[name] in older]
        alone = [*running, *(Holding(sizes[name].size, sizes[name].time) for name in before)]
        together = [*running, *(Holding(sizes[name].size, sizes[name].time) for name in chosen)]
        assert start_of(stuck, together) <= start_of(stuck, alone)


def start_of(item, holding, cpus=4):
    """When a job can start at the latest."""
    for moment in sorted({0.0, *(h.until for h in holding)}):
        if cpus - sum(h.size.cpus for h in holding if h.until > moment) >= item.size.cpus:
            return moment
    return float("inf")
