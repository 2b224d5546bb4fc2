"""A repository as the thing to run: fetched by the server, inspected, its commit recorded with every file."""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from tests.contract.remotes import git_handler, http_server, repository
from tests.integration.test_rest import ask

FILES = {
    "fit.py": b"import sys\nfrom tools import twice\nprint(twice(open('data.csv').read().strip()), *sys.argv[1:])\n",
    "tools.py": b"def twice(text):\n    return text * 2\n",
    "data.csv": b"ab\n",
    "big.bin": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "other/run.sh": b"#!/bin/sh\ncat ../data.csv\n",
}


@pytest.fixture(scope="module")
def place():
    """A repository behind git's own HTTP server: the directory, the address, the commit."""
    root = Path(tempfile.mkdtemp(prefix="clif-git-", dir="/var/tmp"))
    root.chmod(0o755)
    commit = repository(root / "lab.git", FILES)
    work = root / "lab.git.work"
    for name, target in {"latest": "data.csv", "out": "/etc/passwd"}.items():
        (work / name).symlink_to(target)
    change(root, "second", "branch")
    with http_server(git_handler(root)) as server:
        yield root, f"{server.url}/lab.git", commit
    shutil.rmtree(root)


def change(root, words, branch):
    """Commit what is in the work tree and push it as a branch; return the commit."""
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(root / "lab.git.work")]
    for arguments in (
        ("add", "-A"),
        ("commit", "-qm", words),
        ("push", "-qf", str(root / "lab.git"), f"HEAD:{branch}"),
    ):
        subprocess.run([*git, *arguments], check=True, capture_output=True)
    return subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def server(make_server):
    """A server that may reach this machine."""
    return make_server("bubblewrap", CLIF_STAGING__ALLOWED_NETWORKS="127.0.0.0/8")


def test_a_repository_is_run(server, place):
    """Its program is found and gets its arguments; every file is one of the very commit that the tag names."""
    _, url, commit = place
    done = server.clif("run", f"{url}@v1", "--script", "fit.py", "--", "--top", "3")
    assert (done.returncode, done.stdout) == (0, "abab --top 3\n"), done.stderr
    assert f"{url}@{commit}" in done.stderr
    assert "big.bin: pointers to large files (Git LFS)" in done.stderr
    files = server.json("status", "last")["spec"]["files"]
    assert {name: entry["source"] for name, entry in files.items()} == {
        name: f"git:{url}@{commit}!/{name}" for name in FILES
    }


def test_a_branch_is_what_it_is_now(server, place):
    """Each submission looks again; what was submitted before stays at its commit. Links that lead out are told."""
    root, url, _ = place
    (root / "lab.git.work/data.csv").write_text("cd\n")
    new = change(root, "third", "branch")
    described = server.clif("describe", f"git:{url}@branch", "--script", "other/run.sh")
    assert described.returncode == 0, described.stderr
    assert f"@{new}!/data.csv" in described.stdout
    assert (
        "out of the repository is a link to '/etc/passwd', which is outside of it; it is left out" in described.stderr
    )
    assert "target: data.csv" in described.stdout
    (root / "lab.git.work/data.csv").write_text("ef\n")
    newest = change(root, "fourth", "branch")
    spec = server.work / "as-described.yaml"
    spec.write_text(described.stdout)
    done = server.clif("run", str(spec))
    assert (done.returncode, done.stdout) == (0, "cd\n"), done.stderr
    assert f"@{newest}!/data.csv" in server.clif("describe", f"{url}@branch", "--script", "fit.py").stdout


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("{}@nowhere", "no branch or tag 'nowhere'"),
        ("{}@--upload-pack=x", "is not a branch, a tag or a commit"),
        ("{}x", "answered 404 Not Found"),
        ("git@example.org:lab/tools.git", "fetched over https, http or git"),
        ("ssh://example.org/lab/tools.git", "fetched over https, http or git"),
        ("http://ada:secret@127.0.0.1/x.git", "has a user name in it"),
        ("http://169.254.169.254/x.git", "169.254.169.254"),
    ],
)
def test_what_cannot_be_fetched_is_said(server, place, given, words):
    """In words that name the script, before any job is there; never a password."""
    done = server.clif("submit", given.format(place[1]))
    assert done.returncode == 2
    assert words in done.stderr
    assert "secret" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_program_is_chosen_of_what_is_there(server, place):
    """Another name is refused; so is choosing one of a file. A directory's is chosen in the same way."""
    done = server.clif("submit", f"{place[1]}@v1", "--script", "none.py")
    assert (done.returncode, "there is no file none.py in it" in done.stderr) == (2, True), done.stderr
    (server.work / "d").mkdir()
    for name in ("one.sh", "two.sh"):
        (server.work / "d" / name).write_text(f"echo {name}\n")
    done = server.clif("run", "d", "--script", "two.sh")
    assert (done.returncode, done.stdout) == (0, "two.sh\n"), done.stderr
    done = server.clif("submit", "d/one.sh", "--script", "two.sh")
    assert (done.returncode, "is a file" in done.stderr) == (2, True), done.stderr


def test_over_rest(server, place):
    """The tree, its texts and the commit; a source that is no repository is refused by its field."""
    _, url, commit = place
    status, _, data = ask(server, "POST", "/api/v1/files/repository", {"source": f"git:{url}@v1"})
    found = json.loads(data)
    assert (status, found["source"], found["texts"]["data.csv"]) == (200, f"git:{url}@{commit}", "ab\n")
    assert found["files"]["fit.py"]["size"] == len(FILES["fit.py"])
    for source in ("https://example.org/x", f"git:{url}!/a", "git:", "git:/etc"):
        status, _, data = ask(server, "POST", "/api/v1/files/repository", {"source": source})
        assert (status, json.loads(data)["errors"][0]["field"]) == (422, "source"), source


def test_the_guard_stands_before_it(quick, place):
    """A server that may not reach inside fetches nothing from there."""
    done = quick.clif("submit", f"{place[1]}@v1")
    assert done.returncode == 2
    assert "127.0.0.1" in done.stderr
