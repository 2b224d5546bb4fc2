"""Every kind of place that outputs are taken to keeps the same promises, each against a real server of its kind."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from tests.accounts import ordinary
from tests.contract.remotes import SshServer

from cluster_interface.model.credential import Credential
from cluster_interface.ports import Layout
from cluster_interface.settings import DeliverySettings, Staging
from cluster_interface.staging import UploadStore, Workspace
from cluster_interface.staging.destinations.s3 import BucketPlaces
from cluster_interface.staging.sources import Keys

JOB, ADA = "job", "ada"
BIG = os.urandom(700_000)
FILES = {"a.txt": b"alpha\n", "sub/b.bin": BIG, "sub/é <x>.csv": b"1,2\n", "empty": b""}
LOOPBACK = ("127.0.0.0/8",)


@pytest.fixture
def root():
    """A directory that every account may pass through, with one granted to jobs in it."""
    made = Path("/var/tmp") / f"clif-deliver-{os.getpid()}"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(mode=0o755)
    (made / "granted").mkdir()
    (made / "granted").chmod(0o777)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def make(root):
    """Make a workspace with outputs in it; and say what was delivered from it."""

    def making(*keys, **settings):
        allowed = settings.pop("allowed", LOOPBACK)
        workspace = Workspace(
            root / "jobs",
            UploadStore(root / "uploads", 2**20),
            Staging(allowed_networks=allowed, timeout=5, **settings),
            lambda _job: ordinary(),
            owner_of=lambda _job: ADA,
            keys=Keys(lambda owner: keys if owner == ADA else ()),
            delivery=DeliverySettings(roots=(root / "granted",)),
        )
        workspace.stage_in(JOB, [], Layout(tasks=1), lambda progress: None)
        for name, data in FILES.items():
            path = workspace.directory(JOB) / "tasks/0" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            os.chown(path, ordinary().uid, ordinary().gid)
        return workspace

    return making


def outputs(workspace):
    """What there is to deliver."""
    return [(output.path, output) for output in workspace.collect(JOB, 1, None, lambda progress: None)[0]]


def deliver(workspace, to, files=None):
    """Deliver, noting how it gets on."""
    said = []
    done = workspace.deliver(JOB, to, outputs(workspace) if files is None else files, said.append)
    return done, said


class Files:
    """A directory of the site."""

    def __init__(self, root, make):
        self.top = root / "granted/deep/er"
        self.to, self.workspace = f"file:{self.top}", make()

    def held(self):
        return {p.relative_to(self.top).as_posix(): p.read_bytes() for p in self.top.rglob("*") if p.is_file()}

    def stamp(self):
        return {p.name: p.stat().st_ino for p in self.top.rglob("*") if p.is_file()}


class Host(Files):
    """A directory on a host with OpenSSH's server."""

    def __init__(self, ssh, make):
        self.top = ssh.home / f"to-{time.time_ns()}"
        self.to, self.workspace = f"sftp://127.0.0.1:{ssh.port}{self.top}", make(ssh_key(ssh))


class Bucket:
    """A prefix of a bucket."""

    def __init__(self, bucket, make):
        self.client, key = bucket
        self.prefix = f"to-{time.time_ns()}"
        self.to, self.workspace = f"s3://results/{self.prefix}", make(key)

    def _listed(self):
        return self.client.list_objects_v2(Bucket="results", Prefix=f"{self.prefix}/").get("Contents", [])

    def held(self):
        return {
            one["Key"].removeprefix(f"{self.prefix}/"): self.client.get_object(Bucket="results", Key=one["Key"])[
                "Body"
            ].read()
            for one in self._listed()
        }

    def stamp(self):
        return {one["Key"]: one["LastModified"] for one in self._listed()}


@pytest.fixture(scope="module")
def ssh(tmp_path_factory):
    """OpenSSH's server."""
    with SshServer(tmp_path_factory.mktemp("ssh")) as server:
        yield server


def ssh_key(server):
    secret = {"username": server.user, "private_key": (server.home / "key").read_text(), "host_key": server.host_key}
    return Credential(name="lab", kind="sftp", match=f"sftp://127.0.0.1:{server.port}", secret=secret)


@pytest.fixture(scope="module")
def bucket():
    """A server that speaks S3, with an empty bucket, and a key for it."""
    import boto3
    from moto.moto_server.threaded_moto_server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    client = boto3.client(
        "s3", aws_access_key_id="x", aws_secret_access_key="y", endpoint_url=endpoint, region_name="us-east-1"
    )
    client.create_bucket(Bucket="results")
    secret = {"access_key": "x", "secret_key": "y", "endpoint": endpoint}
    yield client, Credential(name="ours", kind="s3", match="s3://results", secret=secret)
    server.stop()


@pytest.fixture(params=["files", "host", "bucket"])
def place(request, root, make):
    """A place of each kind."""
    if request.param == "files":
        return Files(root, make)
    if request.param == "host":
        return Host(request.getfixturevalue("ssh"), make)
    return Bucket(request.getfixturevalue("bucket"), make)


def test_everything_arrives_under_its_name(place):
    """Every file, byte for byte, with progress; nothing else is left; a second delivery moves nothing."""
    done, said = deliver(place.workspace, place.to)
    assert done.trouble == ""
    assert (done.files, done.size) == (len(FILES), sum(map(len, FILES.values())))
    assert place.held() == FILES
    assert {progress.stage for progress in said} == {"delivery"}
    before = place.stamp()
    assert deliver(place.workspace, place.to)[0].files == len(FILES)
    assert place.stamp() == before


def test_a_changed_file_replaces_the_older_one(place):
    """Delivered again, what changed is replaced, whole."""
    deliver(place.workspace, place.to)
    path = place.workspace.directory(JOB) / "tasks/0/a.txt"
    path.write_bytes(b"beta and more\n")
    assert deliver(place.workspace, place.to)[0].trouble == ""
    assert place.held() == {**FILES, "a.txt": b"beta and more\n"}


def test_what_was_changed_since_it_was_listed_is_not_delivered(place):
    """Other bytes than those that were listed never get their name there, and leave nothing behind."""
    listed = outputs(place.workspace)
    (place.workspace.directory(JOB) / "tasks/0/sub/b.bin").write_bytes(BIG[:-1] + b"x")
    done, _ = deliver(place.workspace, place.to, listed)
    assert "was changed since it was listed" in done.trouble
    assert not [name for name in place.held() if "b.bin" in name]


def test_a_killed_delivery_is_repeated(place):
    """Killed at three moments: what has a name there is whole each time, and the next try brings the rest."""
    for moment in (0.002, 0.02, 0.08):
        files = outputs(place.workspace)
        child = os.fork()
        if child == 0:
            deliver(place.workspace, place.to, files)
            os._exit(0)
        time.sleep(moment)
        os.kill(child, signal.SIGKILL)  # it waits for us, even where it has ended
        os.waitpid(child, 0)
        assert {
            name: data for name, data in place.held().items() if not name.endswith(".part")
        }.items() <= FILES.items()
    assert deliver(place.workspace, place.to)[0].trouble == ""
    assert place.held() == FILES


@pytest.mark.parametrize(
    ("to", "words"),
    [
        ("file:/etc/clif", "is not below a directory"),
        ("file:ROOT/granted/../x", "`..` is not allowed"),
        ("file:ROOT/granted-not", "is not below a directory"),
        ("file:ROOT/granted/link/x", "a part of the way is a link|Not a directory"),
        ("file:ROOT/granted/theirs/x", "Permission denied"),
        ("file:ROOT/granted/file", "Not a directory"),
        ("s3://unknown/x", "needs a credential"),
        ("sftp://127.0.0.1:1/x", "needs a credential"),
        ("ftp://x/y", "no such place"),
    ],
)
def test_trouble_is_told_in_words(root, make, to, words):
    """Nowhere but below granted directories, as the account, through no link; nothing without a key."""
    (root / "outside").mkdir()
    (root / "outside").chmod(0o777)
    (root / "granted/link").symlink_to(root / "outside")
    (root / "granted/file").write_text("x")
    (root / "granted/theirs").mkdir(mode=0o700)
    done, _ = deliver(make(), to.replace("ROOT", str(root)))
    assert done.files == 0
    assert any(word in done.trouble for word in words.split("|")), done.trouble
    assert list((root / "outside").iterdir()) == []


def test_a_link_in_the_place_is_replaced_not_followed(root, make):
    """Somebody who puts a link where a file will be does not get the file's bytes written through it."""
    (root / "granted/d").mkdir()
    (root / "granted/d").chmod(0o777)
    canary = root / "canary"
    canary.write_text("alive")
    canary.chmod(0o666)
    (root / "granted/d/a.txt").symlink_to(canary)
    assert deliver(make(), f"file:{root}/granted/d")[0].trouble == ""
    assert canary.read_text() == "alive"
    assert (root / "granted/d/a.txt").read_bytes() == FILES["a.txt"]


def test_the_guard_stands_before_places_too(ssh, bucket, make):
    """Without leave of the site, no delivery reaches a loopback address."""
    (_, key), none = bucket, ()
    workspace = make(ssh_key(ssh), key, allowed=none)
    for to in (f"sftp://127.0.0.1:{ssh.port}/x", "s3://results/x"):
        done, _ = deliver(workspace, to, outputs(workspace)[:1])
        assert "loopback" in done.trouble, done


def test_large_objects_go_part_by_part(bucket, make, monkeypatch):
    """More than a part: a multipart upload, whole and once; changed while it is sent: nothing, and no part is left."""
    client, key = bucket
    place = Bucket((client, key), make)
    part = 5 * 2**20  # the least that S3 takes
    huge = os.urandom(2 * part + 17)
    path = place.workspace.directory(JOB) / "tasks/0/huge"
    path.write_bytes(huge)
    kinds = place.workspace._destinations.kinds
    monkeypatch.setitem(kinds, "s3", BucketPlaces(kinds["s3"].buckets, part))
    assert deliver(place.workspace, place.to)[0].trouble == ""
    assert place.held()["huge"] == huge
    listed = outputs(place.workspace)
    path.write_bytes(huge[:-1] + b"?")
    client.delete_object(Bucket="results", Key=f"{place.prefix}/huge")
    assert "was changed" in deliver(place.workspace, place.to, listed)[0].trouble
    assert "huge" not in place.held()
    assert not client.list_multipart_uploads(Bucket="results").get("Uploads")
