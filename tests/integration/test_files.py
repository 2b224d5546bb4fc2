"""File trees from end to end: the command line alone, REST, and jobs that use data where they are."""

import hashlib
import http.server
import io
import json
import os
import secrets
import shutil
import tarfile
import threading
from pathlib import Path

import pytest
from tests.conftest import wait_for
from tests.integration.test_rest import ask


@pytest.fixture(scope="module")
def data():
    """Data on the shared filesystem, and a place to deliver to that every account may write."""
    top = Path(f"/srv/clif-{secrets.token_hex(4)}")
    (top / "raw").mkdir(parents=True)
    (top / "raw/a.fastq.gz").write_text("reads\n")
    (top / "raw/out").symlink_to("/etc")
    for name in ("deliver", "many"):
        (top / name).mkdir()
    (top / "deliver").chmod(0o1777)
    yield top
    shutil.rmtree(top)


@pytest.fixture(scope="module")
def server(make_server, data):
    """A server whose site lets them be mounted."""
    roots = {"CLIF_FILES__MOUNT_ROOTS": str(data), "CLIF_FILES__WRITABLE_ROOTS": f"{data}/deliver"}
    made = make_server("bubblewrap", start=False, **roots)
    (made.directory / "config.toml").write_text(
        f'[staging.site.many]\npath = "{data}/many"\n[staging.site.hers]\npath = "{data}/raw"\nreaders = ["eve"]\n'
    )
    made.start()
    return made


def spec(server, command, **files):
    """Write a spec; return its path."""
    path = server.work / f"spec-{secrets.token_hex(4)}.json"
    path.write_text(json.dumps({"apiVersion": 1, "command": command, "environment": {}, "files": files}))
    return path


def test_a_job_uses_data_where_they_are(server, data):
    """Mounted read-only at its own path and linked into the tree; a granted place is written; the plan is bound."""
    command = f"cat raw/a.fastq.gz {data}/raw/a.fastq.gz; touch raw/new; echo done > deliver/result; cat link"
    path = spec(
        server,
        command,
        **{
            "raw/": {"source": f"file:{data}/raw", "mode": "mount", "require": ["*.fastq.gz"]},
            "deliver/": {"source": f"file:{data}/deliver", "mode": "mount", "writable": True},
            "copy/": {"source": f"file:{data}/deliver", "mode": "copy"},
            "text": {"content": "linked\n", "permissions": "0600"},
            "link": {"target": "text"},
        },
    )
    done = server.clif("run", str(path))
    assert (done.returncode, done.stdout) == (0, "reads\nreads\nlinked\n"), done.stderr
    assert "Read-only file system" in done.stderr
    assert (data / "deliver/result").read_text() == "done\n"
    assert not (data / "raw/new").exists()
    view = server.json("status", "last")
    [info] = [source for source in view["plan"]["sources"] if source["path"] == "raw/"]
    assert (info["mount"], info["entries"], len(info["manifest"])) == (f"{data}/raw", 2, 64)
    assert view["spec"]["files"]["link"]["target"] == "text"


def test_what_may_not_be_mounted_is_refused_in_words(server, data):
    """Outside the roots at submission; through a link that leads out, and without the files it needs, before a build."""
    done = server.clif("submit", str(spec(server, "true", **{"x/": {"source": "file:/etc", "mode": "mount"}})))
    assert (done.returncode, "/etc is not below what may be mounted here" in done.stderr) == (2, True), done.stderr
    path = spec(server, "true", **{"x/": {"source": f"file:{data}/raw", "mode": "mount", "writable": True}})
    done = server.clif("submit", str(path))
    assert (done.returncode, "files.writable_roots" in done.stderr) == (2, True), done.stderr
    for entry, words in (
        ({"source": f"file:{data}/raw/out", "mode": "mount"}, "raw/out leads to /etc"),
        ({"source": f"file:{data}/raw", "mode": "copy"}, "'out' is a link"),
        ({"source": f"file:{data}/raw", "mode": "mount", "require": {"*.fastq.gz": 2}}, "at least 2 *.fastq.gz"),
    ):
        done = server.clif("run", str(spec(server, "true", **{"x/": entry})))
        view = server.json("status", "last")
        assert (done.returncode, view["code"]) == (1, "input_unavailable"), done.stderr
        assert words in view["reason"], view["reason"]


def test_data_that_change_while_a_job_waits_are_not_used(server, data):
    """The task that begins after the change fails, names the directory, and a rerun takes what is there now."""
    changing = data / "waiting"
    changing.mkdir()
    (changing / "x").write_text("then\n")
    path = spec(
        server,
        "cat in/x; until [ -e deliver/go ]; do sleep 0.1; done",
        **{
            "in/": {"source": f"file:{changing}", "mode": "mount"},
            "deliver/": {"source": f"file:{data}/deliver", "mode": "mount", "writable": True},
        },
    )
    text = json.loads(path.read_text())
    path.write_text(json.dumps({**text, "sweep": {"parameters": {"n": [1, 2]}, "first_alone": True, "pack": 1}}))
    done = server.clif("submit", str(path))
    assert done.returncode == 0, done.stderr
    wait_for(lambda: server.clif("logs", "last", "--task", "0").stdout == "then\n", 120)
    (changing / "x").write_text("now, and longer\n")
    (data / "deliver/go").touch()
    server.clif("wait", "last")
    view = server.json("status", "last")
    assert (view["code"], "(1 input_unavailable)" in view["reason"]) == ("tasks_failed", True), view["reason"]
    assert server.clif("logs", "last", "--task", "0").stdout == "then\n"
    done = server.clif("rerun", "last", "--failed")
    assert done.returncode == 0, done.stderr
    server.clif("wait", "last")
    assert server.json("status", "last")["state"] == "completed"


def test_a_sweep_goes_through_what_directories_hold(server, data):
    """Mounted or copied, each file that the pattern chooses is a task; what is not here is refused in words."""
    (data / "many/a/deep").mkdir(parents=True)
    (data / "many/b").mkdir()
    for name in ("a/1.txt", "a/deep/2.txt", "b/3.txt", "a/no.csv"):
        (data / "many" / name).write_text(f"{name}\n")
    (data / "many/closed").mkdir(mode=0o700)

    def submit(pattern, source, mode):
        path = spec(server, "cat {file}", **{"in/": {"source": source, "mode": mode}, "4.txt": {"content": "4"}})
        path.write_text(json.dumps({**json.loads(path.read_text()), "sweep": {"files": pattern}}))
        return server.clif("submit", str(path))

    here = f"file:{data}/many"
    for mode in ("mount", "copy"):
        done = submit("in/[ab]/*.txt", here, mode)
        assert done.returncode == 0, done.stderr
        tasks = server.json("status", "last")["tasks"]
        assert [task["parameters"]["file"] for task in tasks] == ["in/a/1.txt", "in/b/3.txt"]
        if mode == "mount":
            server.clif("wait", "last")
            assert server.clif("logs", "last", "--task", "1").stdout == "b/3.txt\n"
    assert submit("in/a/**", here, "mount").returncode == 0
    assert len(server.json("status", "last")["tasks"]) == 3
    done = submit("**/*.txt", here, "mount")
    assert (done.returncode, "many/closed/: permission denied" in done.stderr) == (
        2,
        True,
    ), done.stderr
    (data / "many/closed").rmdir()
    for mode in ("mount", "copy"):
        done = submit("in/*/*.txt", "site:many", mode)
        assert done.returncode == 0, done.stderr
        tasks = server.json("status", "last")["tasks"]
        assert [task["parameters"]["file"] for task in tasks] == ["in/a/1.txt", "in/b/3.txt"]
        server.clif("wait", "last")
        assert server.clif("logs", "last", "--task", "1").stdout == "b/3.txt\n"
    for name in ("hers", "none"):
        done = submit("in/*.txt", f"site:{name}", "mount")
        assert (done.returncode, f"files.in/: site:{name} is not among" in done.stderr) == (2, True), done.stderr
    done = submit("in/*.txt", "git:https://example.org/x", "copy")
    assert (done.returncode, "is not here before the job begins" in done.stderr) == (2, True), done.stderr


def test_the_older_form_and_bags_are_submitted(server, tmp_path):
    """`--files` reads every form; what lies here is sent."""
    (tmp_path / "here.txt").write_text("sent\n")
    tree = {"name": "run", "type": "dir", "subdirs": [{"name": "empty", "type": "dir"}],
            "subfiles": [{"name": "x", "type": "cp", "source": "here.txt"}]}  # fmt: skip
    (tmp_path / "tree.json").write_text(json.dumps(tree))
    script = server.work / "show.sh"
    script.write_text("cat run/x; ls -d run/empty\n")
    done = server.clif("run", str(script), "--files", str(tmp_path / "tree.json"))
    assert (done.returncode, done.stdout) == (0, "sent\nrun/empty\n"), done.stderr
    bag = tmp_path / "bag"
    (bag / "data/run").mkdir(parents=True)
    (bag / "bagit.txt").write_text("BagIt-Version: 1.0\n")
    (bag / "data/run/x").write_text("bag\n")
    digest = hashlib.sha256(b"bag\n").hexdigest()
    (bag / "manifest-sha256.txt").write_text(f"{digest}  data/run/x\n")
    script.write_text("cat data/run/x\n")
    done = server.clif("run", str(script), "--files", str(bag))
    assert (done.returncode, done.stdout) == (0, "bag\n"), done.stderr


def test_members_of_an_archive_here_are_inputs(server):
    """A file, a directory and all of it, from the command line; the job has them as if it were unpacked there."""
    with tarfile.open(server.work / "box.tgz", "w:gz") as made:
        for name, data in {"a.csv": b"1\n", "raw/b.csv": b"2\n"}.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("raw/latest")
        link.type, link.linkname = tarfile.SYMTYPE, "b.csv"
        made.addfile(link)
    (server.work / "cat.sh").write_text("cat a.csv raw/latest box/a.csv x/b.csv\n")
    inputs = ["box.tgz!/a.csv", "box.tgz!/raw", "box.tgz!/", "x/=box.tgz!/raw/"]
    done = server.clif("run", "cat.sh", *(word for one in inputs for word in ("--input", one)))
    assert (done.returncode, done.stdout) == (0, "1\n2\n1\n2\n"), done.stderr
    done = server.clif("submit", "cat.sh", "--input", "a=box.tgz!/b")
    assert done.returncode == 2
    assert "files.a: " in done.stderr
    assert "box.tgz has no file 'b' in it; it has a.csv, raw/b.csv" in done.stderr


def test_the_command_line_needs_no_server(tmp_path, server):
    """describe, create and check, in both forms and over the web; the exit statuses; nothing is started."""
    alone = {**server.env, "CLIF_SERVER": "http://127.0.0.1:1"}

    def clif(*arguments):
        old, server.env = server.env, alone
        try:
            return server.clif("files", *map(str, arguments))
        finally:
            server.env = old

    first = tmp_path / "first"
    (first / "sub/empty").mkdir(parents=True)
    (first / "caf\u00e9 \U0001f9ec").write_text("x")
    (first / "sub/run").write_text("#!/bin/sh\n")
    (first / "sub/run").chmod(0o750)
    (first / "link").symlink_to("sub/run")
    for form in ("--json", "--yaml"):
        done = clif("describe", first, "--source", "file", form)
        assert done.returncode == 0, done.stderr
        tree = tmp_path / f"tree{form}.{form[2:]}"
        tree.write_text(done.stdout)
        made = tmp_path / f"made{form}"
        assert clif("create", tree, made).returncode == 0
        assert clif("describe", made, form).stdout == clif("describe", first, form).stdout
        assert clif("check", tree, made).returncode == 0
    (made / "sub/run").unlink()
    (made / "new").touch()
    done = clif("check", tree, made)
    assert (done.returncode, done.stdout) == (1, "missing\tsub/run\nextra\tnew\n")
    assert json.loads(clif("check", tree, made, "--json").stdout)["missing"] == ["sub/run"]
    assert clif("check", tree, tmp_path / "nowhere").returncode == 2
    assert clif("describe", tmp_path / "nowhere").returncode == 2
    (tmp_path / "bad.yaml").write_text("files: {../x: {}}")
    done = clif("create", tmp_path / "bad.yaml", tmp_path / "bad")
    assert (done.returncode, "`..` is not allowed" in done.stderr) == (2, True)
    assert not (tmp_path / "bad").exists()


def test_a_tree_is_fetched_from_the_web(tmp_path, server):
    """`create` brings what is on the web, checks it, and names what is wrong."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path != "/x":
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", "3")
            self.end_headers()
            self.wfile.write(b"web")

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{web.server_port}"
        tree = tmp_path / "tree.json"
        digest = hashlib.sha256(b"web").hexdigest()
        tree.write_text(json.dumps([{"name": "x", "type": "wget", "source": f"{address}/x"}]))
        assert server.clif("files", "create", str(tree), str(tmp_path / "made")).returncode == 0
        assert (tmp_path / "made/x").read_bytes() == b"web"
        for entry, words in (
            ({"source": f"{address}/x", "sha256": "0" * 64}, f"has the SHA-256 {digest}"),
            ({"source": f"{address}/y"}, "answers 404"),
            ({"source": "s3://bucket/y"}, "a job on the server can have it"),
        ):
            tree.write_text(json.dumps({"y": entry}))
            done = server.clif("files", "create", str(tree), str(tmp_path / "made"))
            assert (done.returncode, words in done.stderr) == (2, True), done.stderr
        assert os.listdir(tmp_path / "made") == ["x"]
        web.shutdown()


def test_trees_over_rest(server, data):
    """Any form is converted, sources are looked at as the user, directories are listed as the user."""

    def rest(method, path, body=None):
        status, _, answer = ask(server, method, f"/api/v1{path}", body)
        return status, json.loads(answer)

    old = {"name": ".", "subfiles": [{"name": "x", "type": "cp", "source": "/etc/hostname"}]}
    converted = {"apiVersion": 1, "files": {"x": {"source": "file:/etc/hostname"}}}
    assert rest("POST", "/files/convert", {"document": old}) == (200, converted)
    assert rest("POST", "/files/convert", {"text": "files: {d/: {}}"})[1]["files"] == {"d/": {}}
    assert (
        rest("POST", "/files/convert", {"fetch": "https://example.org/x 1 data/x"})[1]["files"]["data/x"]["size"] == 1
    )
    status, problem = rest("POST", "/files/convert", {"text": "{a/../b: {}}"})
    assert (status, "not allowed" in problem["detail"]) == (422, True)
    tree = {
        "hosts": {"source": "file:/etc/hosts"},
        "shadow": {"source": "file:/etc/shadow"},
        "raw/": {"source": f"file:{data}/raw", "mode": "mount"},
        "etc/": {"source": "file:/etc", "mode": "mount"},
        "up": {"source": "upload:nothing"},
        "web": {"source": "https://example.org/x"},
    }
    status, report = rest("POST", "/files/check", {"files": tree})
    assert status == 200
    assert {source["path"]: source["pinned"] for source in report["sources"]} == {"hosts": True, "raw/": True}
    wrong = {problem["field"]: problem["message"] for problem in report["problems"]}
    assert set(wrong) == {"files.shadow", "files.etc/", "files.up"}
    assert wrong["files.shadow"] == "/etc/shadow: permission denied"
    status, page = rest("GET", f"/files/list?path={data}&limit=1")
    assert (status, [entry["name"] for entry in page["entries"]], page["next"]) == (200, ["deliver"], "deliver")
    assert [e["kind"] for e in rest("GET", f"/files/list?path={data}/raw")[1]["entries"]] == ["file", "link"]
    for path in ("/root/nothing", "relative", "/etc/ssl/private", "/a%00b"):
        assert rest("GET", f"/files/list?path={path}")[0] == 422
    assert "FileEntry" in str(rest("GET", "/schemas/files.json")[1])
