"""Sweeps as a person says them: lists, ranges, tables and files become the spec's own words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.client_server import standing

import cluster_interface as ci
from cluster_interface.client.completing import with_earlier
from cluster_interface.client.resources import asked_resources
from cluster_interface.client.sweeps import merged, spread, tasks_of
from cluster_interface.model.errors import Rejected


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A place with a running server, where the test stands."""
    with standing(tmp_path, monkeypatch) as made:
        yield made


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,2,3", ["1", "2", "3"]),
        ("1..4", ["1", "2", "3", "4"]),
        ("1..10..4", ["1", "5", "9"]),
        ("3..1", ["3", "2", "1"]),
        ("0..0.3..0.1", ["0.0", "0.1", "0.2", "0.3"]),
        ("a, b,7..8", ["a", "b", "7", "8"]),
        ('"Smith, J",x..y', ["Smith, J", "x..y"]),
        ("-2..0", ["-2", "-1", "0"]),
        ("../a..b", ["../a..b"]),
        ("", []),
    ],
)
def test_lists_and_ranges_are_written_out(text, expected):
    """Commas part, quotes keep them, two dots count, and what is no range is a value."""
    assert spread(text) == expected


@given(st.integers(-50, 50), st.integers(-50, 50), st.integers(1, 9))
def test_a_range_has_both_ends(first, last, step):
    """As Python counts, the last value included."""
    signed = step if last >= first else -step
    expected = list(range(first, last + (1 if signed > 0 else -1), signed))
    assert spread(f"{first}..{last}..{signed}") == [str(number) for number in expected]


@pytest.mark.parametrize("text", ["1..5..-1", "1..5..0", "1..99999999"])
def test_a_range_without_an_end_is_refused(text):
    """Or with more values than anybody means."""
    with pytest.raises(Rejected, match="sweep"):
        spread(text)


def test_what_was_said_becomes_the_spec(tmp_path):
    """Texts, mappings, tables and patterns, each with the files that it speaks of."""
    (tmp_path / "p.csv").write_text("n\n1\n")
    (tmp_path / "data").mkdir()
    for name in ("b.fq", "a.fq", "c.txt"):
        (tmp_path / "data" / name).write_text("x")
    assert tasks_of(["n=1,2", "m=a"], None, tmp_path).document == {"parameters": {"n": ["1", "2"], "m": ["a"]}}
    assert tasks_of({"n": range(2), "s": "1..3"}, None, tmp_path, pack=3).document == {
        "parameters": {"n": [0, 1], "s": ["1", "2", "3"]},
        "pack": 3,
    }
    table = tasks_of(["p.csv"], None, tmp_path)
    assert (table.document, table.files) == ({"table": "p.csv"}, {"p.csv": tmp_path / "p.csv"})
    for given_as in ((["file=data/*.fq"], None), (None, "data/*.fq")):
        found = tasks_of(*given_as, tmp_path)
        assert found.document == {"files": "data/*.fq"}
        assert list(found.files) == ["data/a.fq", "data/b.fq"]
    assert tasks_of(["file=a,b"], None, tmp_path).document == {"parameters": {"file": ["a", "b"]}}
    assert tasks_of(["file=x.csv"], None, tmp_path).document == {"parameters": {"file": ["x.csv"]}}


@pytest.mark.parametrize("sweep", [["nonsense"], ["missing.csv"], ["p.csv", "p.csv"], ["file=/etc/*"], ["a b=1"]])
def test_what_is_no_sweep_is_refused(sweep, tmp_path):
    """With how it is written."""
    (tmp_path / "p.csv").write_text("n\n1\n")
    with pytest.raises(Rejected):
        tasks_of(sweep, None, tmp_path)


def test_what_is_said_goes_before_what_the_spec_says():
    """Bounds add to the spec's sweep; another origin takes its place."""
    given_ = {"parameters": {"n": [1]}, "method": "zip", "pack": 2}
    assert merged(given_, {"max_running": 3}) == {**given_, "max_running": 3}
    assert merged(given_, {"files": "*"}) == {"files": "*", "pack": 2}


def test_resources_are_taken_as_people_write_them():
    """GPUs with their kind, and unknown words with a suggestion."""
    assert asked_resources({"gpus": "a100:2", "cpus": None}) == {"gpus": 2, "gpu_type": "a100"}
    assert asked_resources({"gpus": "a100"}) == {"gpus": 1, "gpu_type": "a100"}
    assert asked_resources({"gpus": "2", "licenses": ()}) == {"gpus": 2}
    assert asked_resources({"gpus": 2}) == {"gpus": 2}
    for wrong in ({"gpus": "a100:x"}, {"gpus": ""}, {"gpus": ":2"}):
        with pytest.raises(Rejected, match=r"resources\.gpus"):
            asked_resources(wrong)
    with pytest.raises(Rejected, match="did you mean `account`"):
        asked_resources({"acount": "x"})


def test_what_it_used_last_time_is_asked_for():
    """Where nobody says otherwise, and in the queue it was suggested for."""
    last = {"job": "abc", "memory": 2**29, "peak_memory": 210 * 2**20, "time": 300, "seconds": 61.04}
    inspected = {"queue": "q", "earlier": last}
    document, why = with_earlier({"resources": {"time": "1h"}}, inspected)
    assert document["resources"] == {"time": "1h", "memory": 2**29}
    assert why == {"memory": "512 MiB (last time it used 210 MiB; job abc)"}
    for asked in ({"queue": "other"}, {"scheduler": "slurm"}):
        assert with_earlier({"resources": asked}, inspected) == ({"resources": asked}, {})
    assert with_earlier({}, {"queue": "q", "earlier": None}) == ({}, {})


def test_a_whole_draft(place):
    """Sweep, waiting, retries and checkpoints in one spec, with the table as a file to be sent."""
    place.write("fit.py", "print()")
    place.write("p.csv", "n,m\n1,2\n")
    first = place.server.add({"command": "true"})
    place.server.proposal = {"options": [{"name": "--n"}]}
    with ci.connect() as cluster:
        draft = cluster.describe(
            "fit.py", sweep="p.csv", after=[f"{first[:5]}:any"], retry={"node_failed": 2}, resume=True,
            signal_before="10m", max_running=4, first_alone=True, gpus="a100:2", account="chem",
        )  # fmt: skip
        spec = draft.spec
        job = cluster.submit(draft)
    assert spec.command == "python fit.py --n {n}"
    assert draft.notes == ("parameter m: the program finds it as $CLIF_PARAM_m",)
    assert spec.sweep.model_dump(exclude_defaults=True) == {"table": "p.csv", "max_running": 4, "first_alone": True}
    assert spec.after == (f"{first}:any",)
    assert (spec.retry.node_failed, spec.checkpoint.resume, spec.checkpoint.signal_before) == (2, True, 600)
    assert (spec.resources.gpus, spec.resources.gpu_type, spec.resources.account) == (2, "a100", "chem")
    assert job.view.spec.files["p.csv"].source.startswith("upload:")


def test_a_job_waits_for_a_job(place):
    """A job that was submitted can be named by itself."""
    with ci.connect() as cluster:
        first = cluster.submit({"apiVersion": 1, "command": "true"})
        second = cluster.submit({"apiVersion": 1, "command": "true"}, after=[first])
        assert second.view.spec.after == (first.id,)
        with pytest.raises(Rejected, match="there is no job"):
            cluster.submit({"apiVersion": 1, "command": "true"}, after=["nosuch"])
