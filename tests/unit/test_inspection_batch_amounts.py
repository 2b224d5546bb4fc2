"""Times, memory and arrays as the batch systems write them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_interface.inspection.batch.amounts import (
    count,
    gridengine_memory,
    gridengine_time,
    pbs_memory,
    pbs_time,
    slurm_memory,
    slurm_time,
)
from cluster_interface.inspection.batch.arrays import parse_array

READERS = [count, slurm_time, slurm_memory, gridengine_time, gridengine_memory, pbs_time, pbs_memory]
SMALL = st.integers(0, 59)
HOURS = st.integers(0, 999)
DAYS = st.integers(0, 99)


def seconds(days=0, hours=0, minutes=0, rest=0):
    """Add up."""
    return ((days * 24 + hours) * 60 + minutes) * 60 + rest


@given(DAYS, HOURS, SMALL, st.integers(1, 59))
def test_times_of_slurm(days, hours, minutes, rest):
    """sbatch(1), --time: the six forms."""
    assert slurm_time(f"{minutes + 1}") == seconds(minutes=minutes + 1)
    assert slurm_time(f"{minutes}:{rest}") == seconds(minutes=minutes, rest=rest)
    assert slurm_time(f"{hours}:{minutes:02}:{rest:02}") == seconds(0, hours, minutes, rest)
    assert slurm_time(f"{days}-{hours + 1}") == seconds(days, hours + 1)
    assert slurm_time(f"{days + 1}-{hours}:{minutes}") == seconds(days + 1, hours, minutes)
    assert slurm_time(f"{days}-{hours}:{minutes}:{rest}") == seconds(days, hours, minutes, rest)


@given(DAYS, HOURS, SMALL, st.integers(1, 59))
def test_times_of_the_others(days, hours, minutes, rest):
    """sge_types(5) and pbs_resources(7B)."""
    for read in (gridengine_time, pbs_time):
        assert read(f"{hours}:{minutes:02}:{rest:02}") == seconds(0, hours, minutes, rest)
        assert read(str(rest)) == rest
    assert pbs_time(f"{minutes}:{rest}") == seconds(0, 0, minutes, rest)
    assert pbs_time(f"{days}:{hours}:{minutes}:{rest}") == seconds(days, hours, minutes, rest)
    assert gridengine_time(f"::{rest}") == rest


@given(st.integers(1, 10**6), st.sampled_from("KMGT"))
def test_memory(amount, unit):
    """Powers of 1024, but for Grid Engine's small letters; what a bare number means differs."""
    power = "KMGT".index(unit) + 1
    assert slurm_memory(f"{amount}{unit}") == slurm_memory(f"{amount}{unit.lower()}B") == amount * 1024**power
    assert gridengine_memory(f"{amount}{unit}") == amount * 1024**power
    assert gridengine_memory(f"{amount}{unit.lower()}") == amount * 1000**power
    assert pbs_memory(f"{amount}{unit.lower()}b") == amount * 1024**power
    assert pbs_memory(f"{amount}{unit.lower()}w") == amount * 8 * 1024**power
    assert (slurm_memory(str(amount)), gridengine_memory(str(amount)), pbs_memory(str(amount))) == (
        amount * 1024**2,
        amount,
        amount,
    )


@pytest.mark.parametrize(
    ("read", "text"),
    [(slurm_time, "0"), (slurm_time, "UNLIMITED"), (slurm_time, "infinite"), (slurm_memory, "0"), (pbs_memory, "0"),
     (gridengine_time, "INFINITY"), (gridengine_memory, "infinity"), (pbs_time, "-1")],
)  # fmt: skip
def test_all_there_is(read, text):
    """Is no amount."""
    assert read(text) is None


@pytest.mark.parametrize(
    ("read", "text"),
    [(slurm_time, "1:2:3:4"), (slurm_time, ""), (slurm_time, "0:00"), (slurm_memory, "4.5G"), (slurm_memory, "4X"),
     (gridengine_time, "1:00"), (gridengine_memory, "lots"), (pbs_time, "1h"), (pbs_memory, "4 gb"), (count, "0"),
     (count, "٣"), (count, "1" * 100)],
)  # fmt: skip
def test_what_is_none(read, text):
    """Says what would be one."""
    with pytest.raises(ValueError, match="write for example"):
        read(text)


@given(st.sets(st.integers(0, 500), min_size=1, max_size=30), st.none() | st.integers(1, 99))
def test_an_array_comes_back(indices, most):
    """However it is written: one by one, or in runs."""
    end = f"%{most}" if most else ""
    assert parse_array(",".join(map(str, indices)) + end) == (tuple(sorted(indices)), most)
    runs = ",".join(f"{index}-{index}" for index in sorted(indices, reverse=True))
    assert parse_array(runs + end) == (tuple(sorted(indices)), most)


@given(st.integers(0, 10**6), st.integers(0, 500), st.integers(1, 20))
def test_a_range_with_a_step(first, length, step):
    """Both ends count."""
    assert parse_array(f"{first}-{first + length}:{step}")[0] == tuple(range(first, first + length + 1, step))


@given(st.text(max_size=20) | st.text(alphabet="0123456789-:,%[]KMGkmgbw.", max_size=20))
def test_any_text_is_read_or_refused(text):
    """By each of them, as a positive number, as nothing, or with a ValueError."""
    for read in READERS:
        with contextlib.suppress(ValueError):
            found = read(text)
            assert found is None or found > 0
    with contextlib.suppress(ValueError):
        indices, most = parse_array(text)
        assert indices
        assert most is None or most > 0
