"""Where outputs go and how long they stay, on a running server: delivered, counted, kept, removed."""

import json
import tempfile
from pathlib import Path

import pytest
from tests.conftest import wait_for
from tests.integration.test_rest import ask

QUOTA = 2 * 2**20


@pytest.fixture(scope="module")
def granted():
    """A directory to deliver into, which every account reaches: pytest's own are root's alone."""
    with tempfile.TemporaryDirectory(prefix="clif-granted-") as made:
        Path(made).chmod(0o777)
        yield Path(made)


@pytest.fixture(scope="module")
def server(make_server, granted):
    """A server with a policy, a quota and a directory to deliver into."""
    made = make_server(
        "bubblewrap", CLIF_RETENTION__DAYS="30", CLIF_RETENTION__LONGEST="60", CLIF_RETENTION__QUOTA=str(QUOTA),
        CLIF_DELIVERY__ROOTS=str(granted),
    )  # fmt: skip
    made.granted = granted
    return made


def test_a_delivery_that_failed_is_repeated_alone(server):
    """What did not arrive is taken there once more, at every place of its own; nothing is run again."""
    good, bad = server.granted / "good", server.granted / "bad"
    bad.write_text("in the way of a directory")
    command = "echo x > t.csv; printf '#!/bin/sh\\necho hi\\n' > tool; chmod 755 tool"
    spec = {"command": command, "outputs": ["t.csv", "tool"], "deliver": [f"file:{good}", f"file:{bad}/sub"]}
    (server.work / "job.json").write_text(json.dumps({"apiVersion": 1, **spec}))
    job = server.clif("submit", "job.json").stdout.split()[-1]
    assert server.clif("wait", job).returncode == 0
    troubles = [one["trouble"] for one in server.json("status", job)["deliveries"]]
    assert [bool(trouble) for trouble in troubles] == [False, True], troubles
    arrived = (good / "t.csv").stat()
    assert server.clif("outputs", job, "--to", "here").returncode == 0
    for fetched in (good, server.work / "here"):
        modes = [(fetched / name).stat().st_mode & 0o100 for name in ("t.csv", "tool")]
        assert modes == [0, 0o100], fetched  # what was a program is one

    still = server.clif("deliver", job)
    assert (still.returncode, still.stdout.count("not delivered")) == (1, 1)
    bad.unlink()
    done = server.clif("deliver", job)
    assert (done.returncode, done.stdout.count("not delivered")) == (0, 0), done.stdout + done.stderr
    assert (bad / "sub/t.csv").read_text() == "x\n"
    assert (good / "t.csv").stat().st_ctime_ns == arrived.st_ctime_ns
    view = server.json("status", job)
    assert ([one["trouble"] for one in view["deliveries"]], view["delivering"]) == (["", ""], False)
    assert (view["state"], "not delivered" in view["reason"], len(view["attempts"])) == ("completed", False, 1)
    told = [event["why"] for event in server.json("events", job)["events"]]
    assert any(why.startswith("its outputs are to be delivered again") for why in told)
    assert f"delivered to file:{bad}/sub" in told
    assert server.clif("deliver", job).returncode == 2  # they are everywhere
    assert ask(server, "POST", "/api/v1/jobs/unknown/deliver")[0] == 404
    assert server.clif("remove", job).returncode == 0
    wait_for(lambda: server.json("status", job)["removed"])
    assert server.clif("deliver", job).returncode == 2


def test_what_cannot_be_delivered_is_refused_at_once(server):
    """A place that is none, or that the site does not grant, names its field; nothing is submitted."""
    globus = ("globus:lab/x", "globus:ddb59aef-6d04-11e5-ba46-22000b92c6ec/x")  # this server has no collection
    nowhere = ("/lab", "file:/etc", f"file:{server.granted}-not/x", "s3:/x", "sftp://u:secret@h/x", "ftp://h/x")
    for to in (*nowhere, *globus):
        body = {"spec": {"command": "true", "deliver": [to]}}
        status, _, data = ask(server, "POST", "/api/v1/jobs", body, Idempotency_Key="k" * 12)
        assert status == 422, data
        assert (status, json.loads(data)["errors"][0]["field"].removeprefix("spec.")) == (422, "deliver.0"), data
        assert b"secret" not in data


def test_what_is_staged_counts_before_a_job_ends(server):
    """The inputs of jobs that wait or run are part of what their owner holds; in the end it is what they left."""
    (server.work / "input.bin").write_bytes(bytes(QUOTA))
    before = server.json("me")["used"]
    spec = {"apiVersion": 1, "command": "sleep 300", "files": {"input.bin": {"source": "input.bin"}}}
    (server.work / "long.json").write_text(json.dumps(spec))
    job = server.clif("submit", "long.json").stdout.split()[-1]
    wait_for(lambda: server.json("status", job)["state"] == "running")
    assert server.json("me")["used"] == before + QUOTA
    refused = server.clif("submit", "long.json")
    assert (refused.returncode, "of the 2 MiB that you may have" in refused.stderr) == (3, True), refused.stderr
    assert server.clif("cancel", job).returncode == 0
    wait_for(lambda: (server.json("status", job)["size"] or 0) > QUOTA)
    assert server.clif("remove", job).returncode == 0
    wait_for(lambda: server.json("status", job)["removed"])
    assert server.json("me")["used"] == before


def test_outputs_are_delivered_counted_kept_and_removed(server):
    """From the end of a job to the removal of its files: every surface says where they are and how long."""
    script = "head -c 3000000 /dev/zero > big; mkdir -p r; echo x > r/t.csv; echo said\n"
    spec = {"command": script, "outputs": ["r/**", "big"], "deliver": f"file:{server.granted}/{{job}}"}
    (server.work / "job.json").write_text(json.dumps({"apiVersion": 1, **spec}))
    done = server.clif("submit", "job.json")
    assert done.returncode == 0, done.stderr
    job = done.stdout.split()[-1]
    assert server.clif("wait", job).returncode == 0
    place = server.granted / job
    assert sorted(p.relative_to(place).as_posix() for p in place.rglob("*") if p.is_file()) == ["big", "r/t.csv"]
    shown = server.clif("status", job).stdout
    assert "delivered" in shown
    assert "kept until" in shown
    view = server.json("status", job)
    assert view["deliveries"][0]["files"] == 2
    assert 29 < (view["keep_until"] - view["ended"]) / 86400 < 31

    me = server.json("me")
    assert me["used"] > 3_000_000
    assert me["quota"] == QUOTA
    refused = server.clif("submit", "job.json")
    assert refused.returncode == 3
    assert "of the 2 MiB that you may have" in refused.stderr
    assert server.clif("rerun", job).returncode == 3

    assert server.clif("keep", job, "--for", "50d").returncode == 0
    assert 49 < (server.json("status", job)["keep_until"] - view["ended"]) / 86400 < 51
    assert server.clif("keep", job, "--for", "500d").returncode == 0  # as far as is allowed
    assert 59 < (server.json("status", job)["keep_until"] - view["ended"]) / 86400 < 61
    assert server.clif("keep", job, "--for", "500d").returncode == 2
    link = server.clif("share", job, "r").stdout.strip()

    assert server.clif("remove", job).returncode == 0
    wait_for(lambda: server.json("status", job)["removed"])
    home = server.state / "jobs" / job
    assert not (home / "tasks").exists()
    assert "said" in server.clif("logs", job).stdout
    assert [output["path"] for output in server.json("outputs", job)["outputs"]] == ["big", "r/t.csv"]
    for path in ("outputs/big", "archive", "preview/r/t.csv"):
        status, _, data = ask(server, "GET", f"/api/v1/jobs/{job}/{path}")
        assert status == 404, path
        assert b"were removed" in data
    assert ask(server, "GET", f"/s/{link.rpartition('/')[2]}")[0] == 404
    shared = server.clif("share", job, "r")
    assert (shared.returncode, "were removed" in shared.stderr) == (2, True)
    assert "removed" in server.clif("status", job).stdout
    assert server.json("me")["used"] == 0
    assert server.clif("remove", job).returncode == 2
    assert server.clif("submit", "job.json").returncode == 0  # there is room again
