"""The Python API against a server on a Unix socket: its surface, its errors, submitting and looking."""

import inspect
import json
import os
import subprocess
import sys
import threading

import pytest
from tests.unit.client_server import spec, standing

import cluster_interface as ci
from cluster_interface import client
from cluster_interface.client.address import find_address
from cluster_interface.client.problems import error_of
from cluster_interface.client.transport import Answer
from cluster_interface.model.errors import Conflict, Forbidden, NotFound, Rejected, Transient
from cluster_interface.model.state import JobState


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A place with a running server, where the test stands."""
    with standing(tmp_path, monkeypatch) as made:
        yield made


@pytest.fixture
def cluster(place):
    """A cluster on that server."""
    with ci.connect() as made:
        yield made


def public(thing) -> set[str]:
    """The names a class offers."""
    return {name for name in dir(thing) if not name.startswith("_")}


def test_the_public_surface_is_what_is_promised():
    """Names come and go on purpose only."""
    assert client.__all__ == ["Cluster", "Draft", "Job", "Output", "connect", "files"]
    assert public(ci.Cluster) == {
        "add_credential", "build_image", "check_files", "close", "credentials", "describe", "doctor", "expand",
        "export_image", "image", "image_log", "image_sbom", "images", "import_base", "job", "job_page", "jobs",
        "list_directory", "me", "page_link", "pattern", "patterns", "prune_images", "queues", "remove_credential",
        "site_data", "submit", "upload",
    }  # fmt: skip
    assert public(ci.Job) == {
        "archive", "cancel", "capsule", "code", "counts", "deliver", "events", "fetch", "final", "follow", "gather", "id", "is_sweep", "keep", "logs", "name",
        "links", "output_list", "outputs", "poll_events",
        "printed", "reason", "refresh", "remove", "rerun", "share", "shell", "state", "tail", "task_page", "task_table", "tasks",
        "unshare", "view", "wait",
    }  # fmt: skip
    assert public(client.Output) == {"chunks", "open", "read", "save"}


def test_every_public_name_has_a_docstring():
    """What can be called says what it does."""
    for thing in (ci.Cluster, ci.Job, client.Output, client.Draft):
        assert all(inspect.getdoc(getattr(thing, name)) for name in public(thing) if callable(getattr(thing, name)))


def test_importing_the_client_loads_no_heavy_module():
    """`import cluster_interface.client` does not pay for pydantic, rich, yaml or a web framework."""
    heavy = ["pydantic", "rich", "yaml", "flask", "sqlalchemy", "urllib3", "cluster_interface.wire"]
    imports = "import sys, cluster_interface.client, cluster_interface.cli.running"
    code = f"{imports}; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, Rejected), (422, Rejected), (404, NotFound), (409, Conflict), (403, Forbidden), (401, Forbidden),
     (500, Transient), (502, Transient), (503, Transient), (429, Transient), (413, Rejected)],
)  # fmt: skip
def test_statuses_become_the_error_tree(status, kind):
    """An answer's status says what the caller must do, and its document in which words."""
    body = json.dumps(
        {"title": "T", "status": status, "detail": "in words", "errors": [{"field": "a.b", "message": "m"}]}
    )
    error = error_of(Answer(status=status, headers={}, body=body.encode()))
    assert type(error) is kind
    assert str(error) == "in words"
    if kind is not Transient:
        assert [(problem.field, problem.message) for problem in error.problems] == [("a.b", "m")]


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[1]", b'{"errors": 7, "detail": ""}', b'{"errors": [1, {}]}', b"\xff"]
)
def test_an_error_that_is_no_problem_document_still_has_words(body):
    """A proxy's own pages do not break the client."""
    assert str(error_of(Answer(status=502, headers={}, body=body))) == "the server answered with status 502"


@pytest.mark.parametrize(
    "url", ["ftp://x", "cluster", "https://", "http://a b:x", "https://ada:pw@host", "https://h/?a=1"]
)
def test_an_odd_address_is_refused_by_name(url):
    """What is no server's address is the caller's mistake."""
    with pytest.raises(Rejected, match="url"):
        find_address(url)


def test_the_address_comes_from_argument_then_environment(monkeypatch):
    """CLIF_SERVER is what a shell says; an argument is nearer."""
    monkeypatch.setenv("CLIF_SERVER", "https://campus.example/clif/")
    assert (find_address().host, find_address().prefix, find_address().secure) == ("campus.example", "/clif", True)
    assert str(find_address("http://localhost:81")) == "http://localhost:81"


def test_a_script_is_submitted_with_what_was_proposed(place, cluster):
    """Script and detected input are uploaded with checksums; unsure packages are left out until they are named."""
    place.write("count.py", "print(1)\n")
    place.write("data/book.txt", "words " * 100)
    guess = {
        "field": "environment.python.packages",
        "value": "oddname",
        "rests_on": "import odd, line 1",
        "sure": "ask",
    }
    place.server.proposal = {
        "inputs": ["data/book.txt"],
        "environment": {"python": {"packages": ["numpy", "oddname"]}, "system": ["samtools"]},
        "guesses": [guess],
    }
    job = cluster.submit(
        "count.py", args=["--top", "10"], cpus=2, memory="1GiB", packages=["pandas>=2"], system=["bwa"]
    )
    sent = job.view.spec
    assert sent.command == "python count.py --top 10"
    assert sent.environment.python.packages == ("numpy", "pandas>=2")
    assert sent.environment.system == ("samtools", "bwa")
    assert (sent.resources.cpus, sent.resources.memory) == (2, 2**30)
    assert {name: entry.size for name, entry in sent.files.items()} == {"count.py": 9, "data/book.txt": 600}
    assert all(entry.source.startswith("upload:") and entry.sha256 for entry in sent.files.values())
    assert {data for _, data in place.server.uploads.values()} == {b"print(1)\n", b"words " * 100}
    draft = cluster.describe("count.py", packages=["OddName"])
    assert draft.document["environment"]["python"]["packages"] == ["numpy", "OddName"]
    assert draft.asks == ()


def test_a_spec_says_more_than_the_directives_of_its_script(place, cluster):
    """Field by field; flags say more than both."""
    place.write("old.sbatch", "#SBATCH -c 2\n")
    place.server.proposal = {
        "resources": {"cpus": 2, "memory": 2**30, "queue": "long"},
        "sweep": {"parameters": {"array": ["1"]}},
        "checkpoint": {"signal_before": 60},
        "dialect": "slurm",
    }
    given = {"apiVersion": 1, "script": "old.sbatch", "resources": {"cpus": 4}, "checkpoint": {"resume": True}}
    found = cluster.describe(given, memory="2GiB").spec
    assert (found.resources.cpus, found.resources.memory, found.resources.queue) == (4, 2**31, "long")
    assert (found.checkpoint.resume, found.checkpoint.signal_before) == (True, None)
    assert found.sweep.parameters == {"array": ("1",)}
    assert found.dialect == "slurm"


def test_describing_sends_nothing(place, cluster):
    """A draft is inspection alone; its spec is valid and names local files where they are."""
    place.write("count.py", "print(1)\n")
    draft = cluster.describe("count.py", name="mine", outputs=["*.txt"], network=True)
    assert [path for method, path in place.server.asked if method != "GET"] == ["/inspect"]
    assert draft.spec.files["count.py"].source == f"file:{place.directory}/count.py"
    assert (draft.spec.name, draft.spec.outputs, draft.spec.network) == ("mine", ("*.txt",), True)
    assert draft.proposal.script == "count.py"


def test_a_script_in_a_directory_below_keeps_its_place(place, cluster):
    """Relative paths mean what they mean where the person stands; elsewhere the script's own directory counts."""
    place.write("sub/count.py", "")
    assert cluster.describe("sub/count.py").document["script"] == "sub/count.py"
    os.chdir(place.directory / "sub")
    assert cluster.describe("count.py").document["script"] == "count.py"
    (place.directory / "other").mkdir()
    os.chdir(place.directory / "other")
    assert cluster.describe("../sub/count.py").document["script"] == "count.py"


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (["data"], {"data/a.txt", "data/deep/b.txt"}),
        (["data/a.txt"], {"data/a.txt"}),
        (["x.txt=data/a.txt"], {"x.txt"}),
        (["in/=data"], {"in/a.txt", "in/deep/b.txt"}),
        (["far.csv=https://example.org/far.csv"], {"far.csv"}),
        (["a=b.txt"], {"a=b.txt"}),
        ({"y.txt": "data/a.txt"}, {"y.txt"}),
    ],
)
def test_inputs_are_named_in_every_way(place, cluster, given, names):
    """A path, a directory, another name, a source that the server reads, and a file with a = in its name."""
    place.write("count.py", "")
    place.write("data/a.txt", "a")
    place.write("data/deep/b.txt", "b")
    place.write("a=b.txt", "c")
    assert set(cluster.describe("count.py", inputs=given).document["files"]) == names | {"count.py"}


@pytest.mark.parametrize(
    ("script", "given", "words"),
    [
        ("none.py", (), "script: there is no file none.py"),
        ("count.py", ("gone.txt",), "files.gone.txt: there is no file"),
        ("count.py", ("x=gone.txt",), "files.x: there is no file"),
        ("count.py", ("hollow",), "files.hollow: there are no files in"),
        ("hollow", (), "there are no files in"),
    ],
)
def test_what_is_missing_is_named(place, cluster, script, given, words):
    """Before anything is sent, a missing file is said by its name."""
    place.write("count.py", "")
    (place.directory / "hollow").mkdir()
    with pytest.raises(Rejected) as caught:
        cluster.submit(script, inputs=given)
    assert words in str(caught.value)
    assert place.server.jobs == {}


def test_a_spec_file_brings_its_local_files(place, cluster):
    """Entries without a source, or with a path, lie beside the spec; the rest goes as it is written."""
    place.write("p/count.py", "print(1)")
    place.write("p/raw/a.txt", "a")
    place.write("p/here.txt", "h")
    text = """
        apiVersion: 1
        script: count.py
        command: python count.py
        environment: {python: {packages: [numpy]}}
        files:
          here.txt: {}
          data/: {source: raw}
          far.csv: {source: "https://example.org/far.csv"}
          results/: {}
        resources: {cpus: 2, memory: 4GiB}
    """
    place.write("p/job.yaml", text)
    draft = cluster.describe("p/job.yaml", args=["a b"], memory="1GiB")
    files = draft.spec.files
    assert set(draft.local) == {"count.py", "here.txt", "data/a.txt"}
    assert set(files) == {"count.py", "here.txt", "data/a.txt", "far.csv", "results/"}
    assert draft.document["command"] == "python count.py 'a b'"
    assert (draft.spec.resources.cpus, draft.spec.resources.memory) == (2, 2**30)


def test_a_spec_in_python_needs_no_file(place, cluster):
    """A dict and a JobSpec are specs as well; inspection is asked only where something is to be inferred."""
    for given in ({"command": "true"}, spec_model(command="true")):
        assert cluster.submit(given).view.spec.command == "true"
    assert ("POST", "/inspect") not in place.server.asked


def spec_model(**fields):
    """A spec as the model."""
    from cluster_interface.model.jobspec import JobSpec

    return JobSpec.parse(fields)


def test_a_bad_spec_is_refused_in_the_servers_words(place, cluster):
    """Unknown fields go to the server as they are written, and its suggestion comes back."""
    place.write("job.json", '{"apiVersion": 1, "command": "true", "comand": "x"}')
    with pytest.raises(Rejected, match="did you mean `command`"):
        cluster.submit("job.json")


def test_the_same_key_is_the_same_job(cluster):
    """A repeated submission makes no second job."""
    assert cluster.submit({"command": "true"}, key="k" * 8).id == cluster.submit({"command": "true"}, key="k" * 8).id


def test_a_submission_whose_answer_is_lost_is_repeated_with_its_key(place, cluster):
    """The server hangs up twice; the job is there once."""
    place.server.troubles = [lambda _, path: path == "/jobs"] * 2
    cluster.submit({"command": "true"})
    assert len(place.server.jobs) == 1
    assert place.server.asked.count(("POST", "/jobs")) == 3


def test_jobs_are_listed_lazily_over_pages(place, cluster):
    """One page is asked for at a time."""
    for _ in range(120):
        place.server.add(spec())
    jobs = cluster.jobs()
    newest = next(jobs)
    assert place.server.asked.count(("GET", "/jobs")) == 1
    assert len([newest, *jobs]) == 120
    assert place.server.asked.count(("GET", "/jobs")) == 3
    assert [job.state for job in cluster.jobs(state=JobState.COMPLETED)] == []


def test_a_job_is_found_by_id_beginning_and_last(place, cluster):
    """An ambiguous beginning names the candidates."""
    place.server.add(spec(), job="abcdef")
    place.server.add(spec(), job="abxyz")
    assert cluster.job("abcdef").id == cluster.job("abc").id == "abcdef"
    assert cluster.job("last").id == "abxyz"
    with pytest.raises(NotFound, match="abxyz, abcdef"):
        cluster.job("ab")
    for unknown in ("zz", "../me", "a/b", "", "%2e"):
        with pytest.raises(NotFound):
            cluster.job(unknown)


def test_waiting_ends_with_the_job_and_not_a_second_later(place, cluster):
    """The event ends the wait: nothing is polled in steps."""
    job = cluster.job(place.server.add(spec()))
    threading.Timer(0.3, place.server.finish, [job.id]).start()
    assert job.wait().state is JobState.COMPLETED
    assert len([path for _, path in place.server.asked if path.endswith("/events")]) <= 7


def test_waiting_has_an_end(place, cluster):
    """A job that stays where it is raises TimeoutError."""
    with pytest.raises(TimeoutError, match="still submitted"):
        cluster.job(place.server.add(spec())).wait(timeout=0.05)


def test_logs_are_followed_to_their_end(place, cluster):
    """What is printed later comes as well, byte for byte; then the iterator ends."""
    job = cluster.job(place.server.add(spec()))
    place.server.write(job.id, "out", b"one\n")

    def later():
        place.server.write(job.id, "out", b"\xfftwo")
        place.server.finish(job.id)

    threading.Timer(0.1, later).start()
    assert b"".join(job.follow("out")) == b"one\n\xfftwo"
    assert job.logs("out") == "one\n\N{REPLACEMENT CHARACTER}two"
    assert job.logs("err") == ""
    assert job.tail("out", size=3) == "two"


def test_a_new_attempts_log_is_read_from_its_beginning(place, cluster):
    """A log that became shorter is another one."""
    job = cluster.job(place.server.add(spec()))
    place.server.write(job.id, "out", b"first attempt\n")
    chunks = job.follow("out")
    assert next(chunks) == b"first attempt\n"
    place.server.logs[job.id, "out"] = b"second\n"
    place.server.finish(job.id)
    assert b"".join(chunks) == b"second\n"


def test_following_survives_a_server_that_is_away_for_a_moment(place, cluster):
    """A 503 and a lost connection are waited out."""
    job = cluster.job(place.server.add(spec()))

    def busy(handler, path):
        if path.endswith("/events"):
            handler.problem(503, "busy")
            return True
        return False

    place.server.troubles = [busy, lambda _, path: path.endswith("/events")]
    place.server.finish(job.id)
    assert [event.new.value for event in job.events(follow=True)][-1] == "completed"


def test_what_has_ended_cannot_be_canceled(place, cluster):
    """Conflict says so; what runs is canceled."""
    job = cluster.job(place.server.add(spec()))
    assert job.cancel().wait().state is JobState.CANCELED
    with pytest.raises(Conflict, match="canceled already"):
        job.cancel()
    assert job.rerun().data["rerun_of"] == job.id


def test_a_kept_connection_that_died_is_replaced(place, cluster):
    """The server closes idle connections; the next request does not notice."""
    assert cluster.me().name == "ada"
    place.server.troubles = [lambda *_: True]
    assert cluster.me().name == "ada"


def test_many_threads_share_a_cluster(place, cluster):
    """Requests of several threads do not mix."""
    ids = [place.server.add(spec()) for _ in range(8)]
    seen = []
    threads = [threading.Thread(target=lambda job=job: seen.append((job, cluster.job(job).id))) for job in ids * 8]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 64
    assert all(asked == got for asked, got in seen)


def test_the_rest_of_the_server_is_typed(place, cluster):
    """Images, bases, queues, the doctor's report and the link come as models."""
    assert cluster.images()[0].kind == "base"
    base = place.write("root.tar", b"x" * 300_000)
    assert cluster.import_base(base, "rocky").size == 300_000
    assert cluster.queues()[0].runtimes == ("bubblewrap",)
    assert [finding.good for finding in cluster.doctor().findings] == [True, False]
    assert cluster.page_link().startswith("http://127.0.0.1:")
