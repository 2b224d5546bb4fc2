"""Capsules for real: a job, its capsule in a Docker that knows nothing of ours, the same outputs; and taken in again."""

import hashlib
import json
import subprocess

import pytest

SCRIPT = """
import json, pathlib, sys
import six
text = pathlib.Path(sys.argv[1]).read_text()
pathlib.Path("results").mkdir()
pathlib.Path("results/out.json").write_text(json.dumps({"six": six.__version__, "text": text, "n": sys.argv[2]}))
"""


@pytest.fixture
def engine():
    """Runs docker; what was loaded is removed at the end."""
    loaded = []

    def docker(*words, **options):
        if words[0] == "load":
            loaded.append(options.pop("name"))
        return subprocess.run(["docker", *map(str, words)], check=True, capture_output=True, text=True, **options)

    yield docker
    if loaded:
        subprocess.run(["docker", "image", "rm", "-f", *loaded], check=False, capture_output=True)


def sums(directory):
    """SHA-256 of every result below a directory."""
    return {
        path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in directory.rglob("results/*")
    }


def load(engine, server, job, file, place):
    """Make a capsule, load it, and return an empty directory for /job."""
    done = server.clif("capsule", job, file)
    assert done.returncode == 0, done.stderr
    engine("load", "--quiet", "--input", server.work / file, name=f"cluster-interface/capsule:{job}")
    again = place / file
    again.mkdir()
    return again, f"cluster-interface/capsule:{job}"


def test_a_capsule_gives_the_same_outputs_anywhere_and_again_here(quick, engine, place):
    """A sweep with a package and a file: all tasks, one task, what is said inside, and a new job of it."""
    quick.write("capsule/run.py", SCRIPT)
    quick.write("capsule/data/in.txt", "hello ünï\n")
    here = quick.work / "capsule"
    words = (
        "run.py",
        "--input",
        "data/in.txt",
        "--sweep",
        'n=1,"a b$(x)"',
        "--to",
        "first",
        "--",
        "data/in.txt",
        "{n}",
    )
    done = quick.clif("run", *words, cwd=here)
    assert done.returncode == 0, done.stderr
    job = quick.json("list")["jobs"][0]["id"]
    wanted = sums(here / "first")
    assert len(wanted) == 2

    again, image = load(engine, quick, job, "capsule.tar", place)
    engine("run", "--rm", "--network", "none", "-v", f"{again}:/job", image)
    assert sums(again) == wanted
    (again / "one").mkdir()
    engine("run", "--rm", "--network", "none", "-v", f"{again}/one:/job", image, "1")
    assert sums(again / "one")["results/out.json"] == wanted["1/results/out.json"]
    said = json.loads(engine("run", "--rm", image, "cat", "/capsule/capsule.json").stdout)
    assert {f"{o['task']}/{o['path']}": o["sha256"] for o in said["outputs"]} == wanted
    assert (said["job"], said["state"], said["exit_codes"]) == (job, "completed", [0, 0])
    assert "six==" in said["plan"]["lock"]["packages"][0]

    done = quick.clif("run", "../capsule.tar", "--to", "second", cwd=here)
    assert done.returncode == 0, done.stderr
    assert sums(here / "second") == wanted
    known = quick.clif("capsule", job, "twice.tar")
    assert known.returncode == 0, known.stderr
    assert (quick.work / "twice.tar").read_bytes() == (quick.work / "capsule.tar").read_bytes()


def test_what_cannot_become_a_capsule_says_so(quick):
    """A job that runs, a file that is no capsule, one that was tampered with: words, and nothing left behind."""
    job = quick.submit("#!/bin/sh\nsleep 60\n", name="sleep.sh")
    done = quick.clif("capsule", job, "sleeping.tar")
    assert (done.returncode, "when it has run" in done.stderr) == (2, True), done.stderr
    assert not list(quick.work.glob("sleeping.tar*"))
    quick.clif("cancel", job)
    subprocess.run(["tar", "-cf", quick.work / "other.tar", "-C", "/etc", "hostname"], check=True)
    (quick.work / "part.tar").write_bytes((quick.work / "other.tar").read_bytes()[:1200])
    for name in ("other.tar", "part.tar"):
        done = quick.clif("submit", name)
        assert (done.returncode, "is no capsule, or not all of one" in done.stderr) == (2, True), done.stderr
