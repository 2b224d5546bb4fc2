"""Every kind of source keeps the same promises, each against a real server of its kind."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.accounts import ordinary
from tests.conftest import wait_for
from tests.contract.remotes import SshServer, git_handler, http_server, repository, serving_files, zenodo

from cluster_interface.adapters.works import DetachedWorks
from cluster_interface.model.credential import Credential
from cluster_interface.model.errors import NotFound, Permanent
from cluster_interface.model.filetree import SCHEMES, FileEntry
from cluster_interface.model.job import OutputFile
from cluster_interface.ports import Layout, WorkState
from cluster_interface.settings import SharedData, Staging
from cluster_interface.staging import UploadStore, Workspace, movement
from cluster_interface.staging.sources import Keys, Sources

DATA = b"lines\n" * 60_000
FILES = {"a.txt": b"alpha\n", "sub/data.bin": DATA}
LOOPBACK = ("127.0.0.0/8",)
MANY = 40  #: jobs at once; the benchmark takes 500
ADA, EVE = "ada", "eve"


@dataclass
class Place:
    """Where sources of one kind can be had, and what is there."""

    file: str  #: a source of DATA
    directory: str | None  #: a source of FILES
    missing: str  #: a source of nothing
    settings: dict
    keys: tuple[Credential, ...] = ()


def zipped() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in FILES.items():
            archive.writestr(name, data)
    return made.getvalue()


def tarred(mode: str) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as archive:
        for name, data in FILES.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return made.getvalue()


@pytest.fixture
def root():
    """A directory that every account may pass through."""
    made = Path("/var/tmp") / f"clif-sources-{os.getpid()}"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(mode=0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def site_place(root):
    for name, data in FILES.items():
        (root / "shared" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "shared" / name).write_bytes(data)
    shared = {"genomes": SharedData(path=root / "shared"), "hers": SharedData(path=root / "shared", readers=(EVE,))}
    return Place("site:genomes/sub/data.bin", "site:genomes", "site:genomes/none", {"site": shared})


@pytest.fixture
def web_place():
    with http_server(serving_files({"/sub/data.bin": DATA})) as server:
        yield Place(f"{server.url}/sub/data.bin", None, f"{server.url}/none", {})


@pytest.fixture(params=["zip", "tar", "tar.gz", "tar.xz", "tar.bz2"])
def archive_place(request):
    data = zipped() if request.param == "zip" else tarred(f"w:{request.param.partition('.')[2]}")
    with http_server(serving_files({f"/x.{request.param}": data})) as server:
        base = f"{server.url}/x.{request.param}!/"
        yield Place(f"{base}sub/data.bin", base, f"{base}none", {})


@pytest.fixture
def doi_place():
    md5s = {name: hashlib.md5(data).hexdigest() for name, data in FILES.items()}
    with http_server(zenodo(FILES, md5s)) as server:
        doi = "doi:10.5281/zenodo.1234"
        yield Place(f"{doi}/sub/data.bin", doi, f"{doi}/none", {"zenodo": server.url})


@pytest.fixture
def git_place(root):
    repository(root / "repo.git", {**FILES, ".gitattributes": b"a.txt export-ignore\n"})
    with http_server(git_handler(root)) as server:
        base = f"git:{server.url}/repo.git@v1"
        yield Place(f"{base}!/sub/data.bin", base, f"git:{server.url}/repo.git@none!/x", {})


@pytest.fixture(scope="module")
def bucket():
    """A server that speaks S3, and checks signatures."""
    from moto.core import set_initial_no_auth_action_count
    from moto.moto_server.threaded_moto_server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    import boto3

    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    open_ = {"endpoint_url": endpoint, "region_name": "us-east-1"}
    iam = boto3.client("iam", aws_access_key_id="x", aws_secret_access_key="y", **open_)
    iam.create_user(UserName="ada")
    policy = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}'
    iam.put_user_policy(UserName="ada", PolicyName="all", PolicyDocument=policy)
    made = iam.create_access_key(UserName="ada")["AccessKey"]
    s3 = boto3.client("s3", aws_access_key_id="x", aws_secret_access_key="y", **open_)
    s3.create_bucket(Bucket="genomes")
    for name, data in FILES.items():
        s3.put_object(Bucket="genomes", Key=f"of man+/{name}", Body=data)
    set_initial_no_auth_action_count(0)(lambda: None)
    yield endpoint, made["AccessKeyId"], made["SecretAccessKey"]
    server.stop()


@pytest.fixture
def s3_place(bucket):
    endpoint, access, secret = bucket
    key = Credential(
        name="ours",
        kind="s3",
        match="s3://genomes",
        secret={"access_key": access, "secret_key": secret, "endpoint": endpoint},
    )
    base = "s3://genomes/of man+"
    return Place(f"{base}/sub/data.bin", f"{base}/", f"{base}/none", {"s3_endpoint": endpoint}, (key,))


@pytest.fixture(scope="module")
def ssh(tmp_path_factory):
    """OpenSSH's server."""
    home = tmp_path_factory.mktemp("ssh")
    for name, data in FILES.items():
        (home / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (home / "data" / name).write_bytes(data)
    with SshServer(home) as server:
        yield server


def ssh_key(server, **changes):
    secret = {
        "username": server.user,
        "private_key": (server.home / "key").read_text(),
        "host_key": server.host_key,
        **changes,
    }
    match = f"sftp://127.0.0.1:{server.port}"
    return Credential(name="lab", kind="sftp", match=match, secret={k: v for k, v in secret.items() if v})


@pytest.fixture
def sftp_place(ssh):
    base = f"sftp://127.0.0.1:{ssh.port}{ssh.home}/data"
    return Place(f"{base}/sub/data.bin", f"{base}/", f"{base}/none", {}, (ssh_key(ssh),))


@pytest.fixture
def job_place():
    return Place("job:earlier/sub/data.bin", "job:earlier/", "job:earlier/none", {})


PLACES = ["site", "web", "doi", "git", "s3", "sftp", "job"]


@pytest.fixture(params=PLACES)
def place(request):
    """A place of each kind."""
    return request.getfixturevalue(f"{request.param}_place")


def outputs_of(owner, job):
    """Know one job of Ada's, which has ended, and one that has not."""
    if owner != ADA or job not in ("earlier", "running"):
        raise NotFound
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()}
    return job == "earlier", [
        OutputFile(task=0, path=name, size=len(data), sha256=sums[name]) for name, data in FILES.items()
    ]


@pytest.fixture
def make(tmp_path, root):
    """Make a workspace for a place."""

    def workspace(place, owner=ADA, jobs="jobs", **settings):
        known = Staging(**{"allowed_networks": LOOPBACK, "timeout": 5, "copy_below": 100, **place.settings, **settings})
        made = Workspace(
            root / jobs, UploadStore(tmp_path / "uploads", 2**30), known, lambda job: ordinary(),
            owner_of=lambda job: owner, keys=Keys(lambda who: place.keys if who == ADA else ()), outputs_of=outputs_of,
        )  # fmt: skip
        for name, data in FILES.items():
            path = root / jobs / "earlier/tasks/0" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        subprocess.run(["chown", "-R", f"{ordinary().uid}", str(root / jobs / "earlier")], check=True)
        return made

    return workspace


def stage(workspace, source, job="job", name="in/data.bin"):
    """Check and stage one file; return what was found before and what is there."""
    entry = FileEntry(source=source)
    [info] = workspace.check(job, {name: entry})
    workspace.stage_in(job, [(info, entry)], Layout(tasks=1), lambda progress: None)
    return info, (workspace.directory(job) / "inputs" / name).read_bytes()


def test_every_scheme_has_a_kind(tmp_path):
    """What a spec may name and what the server can fetch are the same."""
    known = Sources.of(Staging(), UploadStore(tmp_path / "uploads", 1), cache=tmp_path / "cache").kinds
    assert set(known) == set(SCHEMES)


def test_a_file_comes(make, place):
    """The bytes arrive, and nothing that was said of them before was wrong."""
    info, data = stage(make(place), place.file)
    assert data == DATA
    assert info.size == len(DATA)
    assert info.sha256 in (None, hashlib.sha256(DATA).hexdigest())


def test_members_of_archives_come(make, archive_place):
    """A member comes like a file, of any form of archive, with its checksum known before."""
    info, data = stage(make(archive_place), archive_place.file)
    assert data == DATA
    assert info.sha256 == hashlib.sha256(DATA).hexdigest()
    sources = make(archive_place)._sources
    listed = {m.path: m.size for m in sources.members(archive_place.directory, ADA)}
    sources.close()
    assert listed == {name: len(data) for name, data in FILES.items()}
    with pytest.raises(Permanent, match=r"files.in/data.bin: .*no file 'none' in it; it has a.txt, sub/data.bin"):
        stage(make(archive_place), archive_place.missing)


@pytest.mark.parametrize("place", [kind for kind in PLACES if kind != "web"], indirect=True)
def test_a_directory_is_listed(make, place):
    """The files of a source that holds several are named, and each can be had by what it is called there."""
    workspace = make(place)
    members = {member.path: member for member in workspace._sources.members(place.directory, ADA)}
    workspace._sources.close()
    members.pop(".gitattributes", None)
    assert set(members) == set(FILES)
    for name, member in members.items():
        assert stage(workspace, member.source, job=f"of-{name.replace('/', '-').replace('.', '-')}")[1] == FILES[name]


def test_what_is_not_there_is_said(make, place):
    """The error names the entry and the source, before anything is fetched."""
    with pytest.raises(Permanent, match=r"^files\.in/data\.bin: "):
        stage(make(place), place.missing)


def test_without_the_key_nothing_comes(make, s3_place, sftp_place):
    """Another person's key is of no use to anybody else, nor is what was fetched with it."""
    for place in (s3_place, sftp_place):
        stage(make(place), place.file)
        with pytest.raises(Permanent, match=r"403|needs a credential"):
            stage(make(place, owner=EVE), place.file, job="hers")


@pytest.mark.parametrize("place", [kind for kind in PLACES if kind not in ("site", "job")], indirect=True)
def test_inner_addresses_are_refused_by_every_protocol(make, place):
    """Without the site's leave nothing connects to the loopback."""
    with pytest.raises(Permanent, match=r"127\.0\.0\.1(,| is blocked:) the server itself"):
        stage(make(place, allowed_networks=()), place.file)


def test_only_who_may_reads_shared_data(make, site_place):
    """The catalogue says who; there is no difference between what is not there and what is not for you."""
    with pytest.raises(
        Permanent, match=r"site:hers is not among the data that this site shares with you \(site:genomes\)"
    ):
        stage(make(site_place), "site:hers/a.txt")
    assert stage(make(site_place, owner=EVE), "site:hers/a.txt")[1] == b"alpha\n"
    with pytest.raises(Permanent, match="not allowed in a path"):
        stage(make(site_place), "site:genomes/../jobs/x")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a directory of somebody else's")
def test_what_cannot_be_listed_is_not_left_out(make, root, site_place):
    """A directory of shared data that the account may not look into is refused, rather than copied without it."""
    (root / "shared/closed").mkdir(mode=0o700)
    with pytest.raises(Permanent, match=r"site:genomes: .*closed: permission denied"):
        make(site_place).check("job", {"in/": FileEntry(source="site:genomes")})


@pytest.mark.parametrize("kind", ["link", "fifo"])
def test_what_shared_data_have_beside_files_is_said(make, root, site_place, kind):
    """A link to a directory, and what is neither file nor directory, are not left out unsaid."""
    if kind == "link":
        (root / "shared/odd").symlink_to(root)
    else:
        os.mkfifo(root / "shared/odd")
    with pytest.raises(Permanent, match=rf"site:genomes: {root}/shared/odd is "):
        make(site_place).check("job", {"in/": FileEntry(source="site:genomes")})


def test_links_of_another_host_come_as_links(make, ssh, sftp_place):
    """One that stays inside is there; a fifo is said."""
    source = FileEntry(source=sftp_place.directory)
    (ssh.home / "data/link").symlink_to("sub/data.bin")
    try:
        workspace = make(sftp_place)
        workspace.stage_in(
            "job", [(workspace.check("job", {"in/": source})[0], source)], Layout(tasks=1), lambda _: None
        )
        home = workspace.directory("job")
        assert (home / "tasks/0/in/link").readlink().as_posix() == "sub/data.bin"
        assert (home / "inputs/in/sub/data.bin").read_bytes() == DATA
        (ssh.home / "data/link").unlink()
        os.mkfifo(ssh.home / "data/link")
        with pytest.raises(Permanent, match=r"'link' in it is a fifo"):
            make(sftp_place).check("job", {"in/": source})
    finally:
        (ssh.home / "data/link").unlink()


def test_a_job_that_is_not_mine_or_not_ended_gives_nothing(make, job_place):
    """Others' jobs are as unknown as those that never were."""
    with pytest.raises(Permanent, match="there is no job 'earlier' of yours"):
        stage(make(job_place, owner=EVE), job_place.file)
    with pytest.raises(Permanent, match=r"has not ended yet; let this one wait for it with `after: \[running\]`"):
        stage(make(job_place), "job:running/a.txt")


def test_a_missing_key_is_named_as_it_would_be_found(make, ssh, sftp_place):
    """A key is for one port of a host: the one that the message says to add is for this source."""
    with pytest.raises(Permanent, match="needs a credential") as caught:
        stage(make(sftp_place, owner=EVE), sftp_place.file)
    match = str(caught.value).partition("--match ")[2].split()[0]
    assert Credential(**{**ssh_key(ssh).model_dump(), "match": match}).fits(sftp_place.file)


def test_a_host_must_prove_itself(make, ssh, sftp_place):
    """A host whose key is not known, or another one, is not talked to; the message says what to add."""
    other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJ4YmV0dGVyIG5vdCB1c2UgdGhpcyBrZXkgb2YgYW55"
    for key, words in ((other, "shows another key"), ("", f"add `--host-key '{ssh.host_key}'`")):
        place = Place(sftp_place.file, None, "", {}, (ssh_key(ssh, host_key=key),))
        with pytest.raises(Permanent, match=words.replace("+", r"\+")):
            stage(make(place), place.file)


def test_what_is_no_ssh_server_fails_in_words_alone(make, ssh, capfd):
    """The library tells of its exceptions itself, with tracebacks; what is seen is one line for each try."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer_nonsense, args=(server,), daemon=True)
        thread.start()
        key = ssh_key(ssh).model_copy(update={"match": f"sftp://127.0.0.1:{server.getsockname()[1]}"})
        with pytest.raises(Permanent, match=r"could not be fetched: .*protocol"):
            stage(make(Place(f"{key.match}/x", None, "", {}, (key,))), f"{key.match}/x")
        server.shutdown(socket.SHUT_RDWR)
    thread.join()
    told = "".join(capfd.readouterr())
    assert "Traceback" not in told
    assert "protocol" in told


def answer_nonsense(server):
    """Say to everybody what no SSH server says."""
    with suppress(OSError):
        while True:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"no\r\n" * 200)


def test_a_commit_is_pinned_and_whole(make, root, git_place):
    """A branch is read as it is; attributes that would leave files out or change them do not count."""
    _, data = stage(make(git_place), git_place.file.replace("@v1!", "@main!").replace("sub/data.bin", "a.txt"))
    assert data == FILES["a.txt"]


@pytest.mark.parametrize(
    "source",
    [
        "git:ext::sh -c touch% /tmp/x@v1!/a",
        "git:file:///etc@v1!/a",
        "git:http://127.0.0.1:{port}/repo.git@--upload-pack=x!/a",
        "git:http://-oProxyCommand=x/repo@v1!/a",
        "git:http://u:p@127.0.0.1:{port}/repo.git@v1!/a",
        "git:--upload-pack=x@v1!/a",
    ],
)
def test_odd_repositories_are_refused(make, git_place, source):
    """No other transport than those three, no options, no passwords in addresses."""
    port = git_place.file.split(":")[3].partition("/")[0]
    with pytest.raises(Permanent, match=r"^files\."):
        stage(make(git_place), source.replace("{port}", port))


def test_git_is_not_led_elsewhere(make, root, git_place):
    """A repository that redirects to an inner address leads nowhere."""
    target = git_place.file.split("@")[0].removeprefix("git:")

    class Redirect(serving_files({})):
        def do_GET(self):  # noqa: N802 - named by http.server
            self.note()
            self.answer(302, Location=target.replace("127.0.0.1", "127.0.0.2") + "/info/refs?service=git-upload-pack")

        do_HEAD = do_GET  # noqa: N815

    with http_server(Redirect) as server, pytest.raises(Permanent, match=r"127\.0\.0\.2 is blocked: the server itself"):
        stage(make(git_place, allowed_networks=("127.0.0.1/32",)), f"git:{server.url}/repo.git@v1!/a.txt")


def test_several_come_side_by_side_and_each_is_told_of(make, root, monkeypatch):
    """Transfers wait for none before them; bytes and files are told, and which are on their way, without secrets."""
    monkeypatch.setattr(movement, "EVERY", 0)
    together = threading.Barrier(3, timeout=20)

    class Slow(serving_files({})):
        def do_GET(self):  # noqa: N802 - named by http.server
            self.note()
            if self.command == "GET":
                together.wait()  # all three must be asked for at the same time
            self.answer(200, DATA, ETag='"v"')

        do_HEAD = do_GET  # noqa: N815

    with http_server(Slow) as server:
        workspace = make(Place("", None, "", {}), parallel=3)
        files = {f"in/{n}.bin": FileEntry(source=f"{server.url}/{n}?token=secret") for n in range(3)}
        pairs = [(info, files[info.path]) for info in workspace.check("job", files)]
        said = []
        workspace.stage_in("job", pairs, Layout(tasks=1), said.append)
    assert (said[-1].done, said[-1].total) == (3 * len(DATA), 3 * len(DATA))
    assert (said[-1].files, said[-1].files_total) == (3, 3)
    assert max(len(progress.sources) for progress in said) > 1
    assert "secret" not in str(said)
    staged = workspace.directory("job") / "inputs/in"
    assert {(staged / f"{n}.bin").read_bytes() for n in range(3)} == {DATA}
    assert {path.stat().st_uid for path in (root / "jobs/job").rglob("*") if path.is_dir()} == {ordinary().uid}


def test_one_that_fails_names_itself_and_the_rest_is_kept(make):
    """The failure says which file, which source and why; the next try fetches only what is missing."""
    served = {f"/{n}": DATA for n in range(4)}

    with http_server(serving_files(served)) as server:
        workspace = make(Place("", None, "", {}), parallel=2)
        files = {f"in/{n}": FileEntry(source=f"{server.url}/{n}") for n in range(4)}
        pairs = [(info, files[info.path]) for info in workspace.check("job", files)]
        del served["/2"]
        with pytest.raises(Permanent, match=rf"files.in/2: {server.url}/2 answered 404"):
            workspace.stage_in("job", pairs, Layout(tasks=1), lambda progress: None)
        assert not (workspace.directory("job") / "tasks").exists()
        served["/2"] = DATA
        server.seen.clear()
        workspace.stage_in("job", pairs, Layout(tasks=1), lambda progress: None)
        assert ("GET", "/2") in [(method, path) for method, path, _ in server.seen]
        assert ("GET", "/0") not in [(method, path) for method, path, _ in server.seen]


def test_many_jobs_on_one_data_set_download_it_once(make, root, tmp_path):
    """Each in a process of its own, all at the same moment, as the engine starts them: the server counts one."""
    with http_server(serving_files({"/data": DATA})) as server:
        workspace = make(Place("", None, "", {}))

        def inputs(request, report):
            entry = FileEntry(source=f"{server.url}/data")
            [info] = workspace.check(request["job"], {"data": entry})
            workspace.stage_in(request["job"], [(info, entry)], Layout(tasks=1), report)
            return {}

        jobs = [f"many{number}" for number in range(MANY)]
        works = DetachedWorks(tmp_path / "works", {"inputs": inputs})
        for name in jobs:
            works.start(name, "inputs", {"job": name})
        wait_for(lambda: all(works.look(name).state is WorkState.DONE for name in jobs), 100)
        assert [method for method, _, _ in server.seen].count("GET") == 1
    staged = [workspace.directory(name) / "inputs/data" for name in jobs]
    assert {path.read_bytes() for path in staged} == {DATA}
    assert len({path.stat().st_ino for path in staged}) == 1


@pytest.mark.parametrize(("library", "place"), [("paramiko", "sftp"), ("botocore.auth", "s3")], indirect=["place"])
def test_a_library_that_is_missing_is_named(make, place, library, monkeypatch):
    """Who submits reads what their administrator can install."""
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(Permanent, match=r"its administrator can install `cluster-interface\["):
        stage(make(place), place.file)
