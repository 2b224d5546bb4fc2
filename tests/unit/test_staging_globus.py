"""Globus: one transfer whatever happens, told by the SDK's own registered responses."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from contextlib import nullcontext

import pytest
import responses
from globus_sdk import testing

from cluster_interface.model.credential import Credential
from cluster_interface.model.destinations import check_destination
from cluster_interface.model.errors import Permanent, Transient
from cluster_interface.model.job import OutputFile
from cluster_interface.settings import GlobusSettings
from cluster_interface.staging import globus, stopping
from cluster_interface.staging.destinations import Destinations, Errand
from cluster_interface.staging.destinations.globus import EndpointPlaces
from cluster_interface.staging.sources import Keys

API = "https://transfer.api.globus.org/v0.10"
STAT = testing.get_response_set("transfer.operation_stat")
SUBMIT = testing.get_response_set("transfer.submit_transfer")
ENDPOINT = STAT.metadata["endpoint_id"]
TASK = SUBMIT.metadata["task_id"]
HERE = "a17ddd8d-0000-0000-0000-000000000000"


@pytest.fixture
def net(monkeypatch):
    """Nothing gets out; Globus' login answers with a token; the SDK tries again without a pause."""
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        token = {
            "access_token": "a", "expires_in": 3600, "token_type": "Bearer", "scope": globus.SCOPE,
            "resource_server": "transfer.api.globus.org", "refresh_token": "r", "state": "_default",
            "id_token": None, "other_tokens": [],
        }  # fmt: skip
        mock.post("https://auth.globus.org/v2/oauth2/token", json=token)
        yield mock


@pytest.fixture
def moving(tmp_path):
    """Transfers as a person with a token of their own."""
    settings = GlobusSettings(client_id=HERE, collection=HERE, root=tmp_path)
    key = Credential(name="g", kind="globus", match="globus://transfer", secret={"refresh_token": "r"})
    return globus.Globus(settings, Keys(lambda owner: [key] if owner == "ada" else []), pause=0.0)


def answer(net, name, case="default"):
    """Register one of the SDK's responses."""
    one = testing.get_response_set(name).lookup(case)
    net.add(one.method, one.full_url, json=one.json, status=one.status)


def tasks(net, *states):
    """Say how the task is, look by look (the shape is that of the SDK's `task_list`)."""
    shape = testing.get_response_set("transfer.task_list").lookup("default").json["DATA"][0]
    for state, count in states:
        more = {"fatal_error": {"code": "X", "description": "the disk there is full"}} if state == "FAILED" else {}
        body = {**shape, "task_id": TASK, "status": state, "bytes_transferred": count, **more}
        net.get(f"{API}/task/{TASK}", json=body)


def submitted(net):
    return [json.loads(call.request.body) for call in net.calls if call.request.url == f"{API}/transfer"]


def test_size_and_version_are_asked_for(net, moving):
    """What is there is known before; what is not, or not for us, is said in Globus' words."""
    source = f"globus:{ENDPOINT}/home/file1.txt"
    answer(net, "transfer.operation_stat")
    assert moving.stat(source, "ada") == (4, "4-2023-12-18 16:52:50+00:00")
    for case, words in (("not_found", "Path not found"), ("permission_denied", "Denied by endpoint")):
        net.remove("GET", f"{API}/operation/endpoint/{ENDPOINT}/stat")
        answer(net, "transfer.operation_stat", case)
        with pytest.raises(Permanent, match=words):
            moving.stat(source, "ada")


def test_a_transfer_is_submitted_and_watched(net, moving, tmp_path):
    """Its bytes are told as they come; it goes to a name of our own in the site's collection."""
    answer(net, "transfer.get_submission_id")
    answer(net, "transfer.submit_transfer")
    tasks(net, ("ACTIVE", 10), ("ACTIVE", 30), ("SUCCEEDED", 40))
    noted, said = {}, []
    path = moving.fetch(f"globus:{ENDPOINT}/x y.txt", "ada", noted, said.append)
    assert said == [10, 30, 40]
    assert path.parent == tmp_path / globus.OURS
    [sent] = submitted(net)
    assert (sent["source_endpoint"], sent["destination_endpoint"], sent["verify_checksum"]) == (ENDPOINT, HERE, True)
    assert (sent["DATA"][0]["source_path"], sent["DATA"][0]["destination_path"]) == (
        "/x y.txt",
        f"/{globus.OURS}/{path.name}",
    )


def test_a_restart_goes_on_with_the_same_transfer(net, moving):
    """A process that died after submitting, or between drawing the id and submitting, begins no second one."""
    answer(net, "transfer.get_submission_id")
    answer(net, "transfer.submit_transfer")
    tasks(net, ("ACTIVE", 1))
    net.get(f"{API}/task/{TASK}", status=503, json={"code": "x", "message": "y"})
    noted = {}
    moving_fast = globus.Globus(moving.settings, moving.keys, pause=0.0)
    with pytest.raises(Transient):
        moving_fast.fetch(f"globus:{ENDPOINT}/x", "ada", noted, lambda _: None)
    assert set(noted) == {"name", "submission", "task"}
    net.remove("GET", f"{API}/task/{TASK}")
    tasks(net, ("SUCCEEDED", 5))
    again = moving.fetch(f"globus:{ENDPOINT}/x", "ada", dict(noted), lambda _: None)
    assert again.name == noted["name"]
    assert len(submitted(net)) == 1
    moving.fetch(f"globus:{ENDPOINT}/x", "ada", {k: v for k, v in noted.items() if k != "task"}, lambda _: None)
    assert {sent["submission_id"] for sent in submitted(net)} == {noted["submission"]}


def test_a_failed_transfer_says_why_and_may_be_tried_again(net, moving):
    """The reason is Globus'; the next try is a transfer of its own."""
    answer(net, "transfer.get_submission_id")
    answer(net, "transfer.submit_transfer")
    tasks(net, ("FAILED", 0))
    noted = {}
    with pytest.raises(Permanent, match=f"could not transfer {ENDPOINT}/x: the disk there is full"):
        moving.fetch(f"globus:{ENDPOINT}/x", "ada", noted, lambda _: None)
    assert set(noted) == {"name"}


def test_a_canceled_job_calls_its_transfer_off(net, moving, monkeypatch):
    """A process that is asked to end tells Globus before it does."""
    answer(net, "transfer.get_submission_id")
    answer(net, "transfer.submit_transfer")
    tasks(net, ("ACTIVE", 1))
    net.post(f"{API}/task/{TASK}/cancel", json=testing.get_response_set("transfer.cancel_task").lookup("default").json)
    monkeypatch.setattr(stopping, "asked", type("Asked", (), {"wait": staticmethod(lambda _seconds: True)}))
    with pytest.raises(stopping.Stopped):
        moving.fetch(f"globus:{ENDPOINT}/x", "ada", {}, lambda _: None)
    assert net.calls[-1].request.url == f"{API}/task/{TASK}/cancel"


def test_a_directory_is_delivered(net, moving, tmp_path):
    """From where the collection shows it to wherever it is wanted; nothing that it does not show."""
    (tmp_path / "job/out").mkdir(parents=True)
    answer(net, "transfer.get_submission_id")
    answer(net, "transfer.submit_transfer")
    tasks(net, ("SUCCEEDED", 1))
    moving.deliver(tmp_path / "job/out", f"globus:{ENDPOINT}/results/", "ada", {}, lambda _: None)
    [sent] = submitted(net)
    assert (sent["source_endpoint"], sent["DATA"][0]["source_path"], sent["DATA"][0]["recursive"]) == (
        HERE,
        "/job/out",
        True,
    )
    with pytest.raises(Permanent, match="is what the site's Globus collection shows"):
        moving.deliver(tmp_path.parent, f"globus:{ENDPOINT}/results/", "ada", {}, lambda _: None)


@pytest.mark.parametrize("address", ["globus:x/y", f"globus:{ENDPOINT}", f"globus:{ENDPOINT}/a/../b", "globus:"])
def test_odd_addresses_are_refused(address):
    """An endpoint is a UUID, a path absolute and without `..`."""
    with pytest.raises(Permanent, match="write globus:ENDPOINT/path"):
        globus.parse(address)


def test_without_a_client_or_a_token_it_is_said_what_to_do(moving):
    """Each of the two is somebody's to do."""
    with pytest.raises(Permanent, match="clif credentials add NAME --kind globus"):
        moving.stat(f"globus:{ENDPOINT}/x", "eve")
    with pytest.raises(Permanent, match="its administrator can register one"):
        globus.Globus(GlobusSettings(), Keys()).stat(f"globus:{ENDPOINT}/x", "ada")


FILES = {"a.txt": b"alpha\n", "sub/b.bin": b"b" * 5000}


class Delivery:
    """Outputs of a job, and the way to deliver them to the endpoint."""

    def __init__(self, home, moving):
        self.home, self.collection = home, moving.settings.root
        for name, data in FILES.items():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_bytes(data)
        self.files = [
            (name, OutputFile(path=name, size=len(data), sha256=hashlib.sha256(data).hexdigest()))
            for name, data in FILES.items()
        ]
        self.destinations = Destinations({"globus": EndpointPlaces(moving)}, pause=0.0)
        self.said = []

    def __call__(self):
        return self.destinations.deliver(
            Errand(
                job="job",
                to=f"globus:{ENDPOINT}/results/run 1",
                owner="ada",
                files=self.files,
                open_output=lambda output: (self.home / output.path).open("rb"),
                report=self.said.append,
            )
        )

    def left(self):
        """Say what is left in the site's collection."""
        return [path.name for path in (self.collection / globus.OURS).iterdir()]


@pytest.fixture
def delivery(tmp_path, tmp_path_factory, moving):
    """Two outputs."""
    return Delivery(tmp_path_factory.mktemp("outputs"), moving)


def submitting(net, collection):
    """Take a transfer as Globus does, and return what it would have taken."""
    taken = {}
    default = SUBMIT.lookup("default")

    def submit(request):
        top = collection / json.loads(request.body)["DATA"][0]["source_path"].lstrip("/")
        taken.update({p.relative_to(top).as_posix(): p.read_bytes() for p in top.rglob("*") if p.is_file()})
        return 202, {}, json.dumps(default.json)

    net.add_callback("POST", f"{API}/transfer", submit)
    return taken


def test_outputs_are_delivered_in_one_transfer(net, delivery):
    """All of them, each under its name, with progress; nothing is left in the site's collection."""
    answer(net, "transfer.get_submission_id")
    taken = submitting(net, delivery.collection)
    tasks(net, ("ACTIVE", 1000), ("SUCCEEDED", 5006))
    done = delivery()
    assert (done.trouble, done.files, done.size) == ("", 2, 5006)
    assert taken == FILES
    [sent] = submitted(net)
    assert (sent["destination_endpoint"], sent["DATA"][0]["destination_path"]) == (ENDPOINT, "/results/run 1")
    assert (sent["DATA"][0]["recursive"], sent["sync_level"], sent["verify_checksum"]) == (True, 3, True)
    assert [(progress.done, progress.total) for progress in delivery.said][-2:] == [(1000, 5006), (5006, 5006)]
    assert delivery.left() == []


def test_a_killed_delivery_goes_on_with_its_transfer(net, delivery):
    """Killed while Globus was at it: the next process watches the same transfer, and submits none."""
    child = os.fork()
    if child == 0:
        answer(net, "transfer.get_submission_id")
        answer(net, "transfer.submit_transfer")
        net.add_callback("GET", f"{API}/task/{TASK}", lambda _request: os.kill(os.getpid(), signal.SIGKILL))
        delivery()
        os._exit(1)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert len(delivery.left()) == 2
    net.get(f"{API}/task/{TASK}", status=503, json={"code": "x", "message": "y"})
    tasks(net, ("SUCCEEDED", 5006))
    assert delivery().trouble == ""
    assert not [call for call in net.calls if call.request.method == "POST" and call.request.url.startswith(API)]
    assert delivery.left() == []


def test_a_delivery_that_fails_says_why(net, delivery):
    """In Globus' words; a Globus that stays away is given up in the end; nothing is left behind."""
    answer(net, "transfer.get_submission_id")
    answer(net, "transfer.submit_transfer")
    tasks(net, ("FAILED", 0))
    done = delivery()
    assert done.files == 0
    assert "the disk there is full" in done.trouble
    net.remove("GET", f"{API}/task/{TASK}")
    net.get(f"{API}/task/{TASK}", status=503, json={"code": "x", "message": "y"})
    impatient = EndpointPlaces(delivery.destinations.kinds["globus"].globus, patience=0.0)
    delivery.destinations = Destinations({"globus": impatient}, pause=0.0)
    assert "Globus answered 503" in delivery().trouble
    assert delivery.left() == []


def test_a_canceled_job_calls_its_delivery_off(net, delivery, monkeypatch):
    """A process that is asked to end tells Globus, and leaves nothing in the collection."""
    answer(net, "transfer.get_submission_id")
    answer(net, "transfer.submit_transfer")
    tasks(net, ("ACTIVE", 1))
    net.post(f"{API}/task/{TASK}/cancel", json=testing.get_response_set("transfer.cancel_task").lookup("default").json)
    monkeypatch.setattr(stopping, "asked", type("Asked", (), {"wait": staticmethod(lambda _seconds: True)}))
    with pytest.raises(stopping.Stopped):
        delivery()
    assert net.calls[-1].request.url == f"{API}/task/{TASK}/cancel"
    assert delivery.left() == []


def test_what_was_changed_since_it_was_listed_is_not_sent(net, delivery):
    """Other bytes than those that were listed go nowhere: nothing is submitted."""
    (delivery.home / "a.txt").write_bytes(b"other\n")
    assert "a.txt was changed since it was listed" in delivery().trouble
    assert [call.request.url for call in net.calls] == []
    assert delivery.left() == []


def test_what_an_abandoned_delivery_left_is_swept(net, delivery):
    """After two weeks; what others are about to send stays."""
    ours = delivery.collection / globus.OURS
    for name in ("deliver-old", "deliver-new", "0123"):
        (ours / name).mkdir(parents=True)
    for name in ("deliver-old", "0123"):
        os.utime(ours / name, (0, 0))
    answer(net, "transfer.get_submission_id")
    answer(net, "transfer.submit_transfer")
    tasks(net, ("SUCCEEDED", 5006))
    assert delivery().trouble == ""
    assert sorted(delivery.left()) == ["0123", "deliver-new"]


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (f"globus:{ENDPOINT}/a/b", None),
        (f"globus://{ENDPOINT}/a", None),
        ("globus:lab/a", "write globus:ENDPOINT/path"),
        (f"globus:{ENDPOINT}", "write globus:ENDPOINT/path"),
        (f"globus:{ENDPOINT}/a/../b", "write globus:ENDPOINT/path"),
    ],
)
def test_a_place_is_checked_when_it_is_written(place, words):
    """An endpoint is a UUID, a path absolute and without `..`."""
    with pytest.raises(ValueError, match=words) if words else nullcontext():
        assert check_destination(place) == place
