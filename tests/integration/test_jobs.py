"""Whole jobs through the command line on real Docker and bubblewrap, as root and as an ordinary user."""

import hashlib
import json
import os
import subprocess
import textwrap
import time
from pathlib import Path

import psutil
import pytest
from tests.conftest import PROJECT, containers, wait_for

EXAMPLES = PROJECT / "examples"


def run_example(server, name, tmp, *arguments):
    """Copy an example to a directory of the server's account and run it there."""
    target = server.work / tmp
    subprocess.run(["cp", "-r", EXAMPLES / Path(name).parent, target], check=True)
    subprocess.run(["chown", "-R", f"--reference={server.work}", target], check=True)
    return server.clif("run", Path(name).name, *arguments, cwd=target), target


def test_penguins_needs_nothing_but_its_imports(anyone):
    """A script with three imports becomes an image, runs, and leaves its table and its plot where it was called."""
    done, target = run_example(anyone, "penguins/penguins.py", "penguins")
    assert done.returncode == 0, done.stderr
    assert "Adelie" in (target / "summary.csv").read_text()
    plot = next(target.glob("*.png"))
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert "palmerpenguins" in done.stderr
    view = anyone.json("list")["jobs"][0]
    assert view["state"] == "completed"


def test_the_image_was_really_generated(server):
    """The packages are inside the image and nowhere else: looked at from within, by another program."""
    server.write(
        "where.py", "import six, sys\nprint(six.__file__, sys.prefix)\nopen('/job/seen', 'w').write(six.__file__)\n"
    )
    done = server.clif("run", "where.py")
    assert done.returncode == 0, done.stderr
    assert (server.work / "seen").read_text().startswith("/opt/env/")
    image = next(i for i in server.json("images", "list")["images"] if any("six==" in p for p in i["packages"]))
    if "docker" in image["faces"]:
        tags = subprocess.run(
            ["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}"],
            capture_output=True,
            text=True,
            check=True,
        )
        tag = next(t for t in tags.stdout.split() if image["key"][:12] in t)
        inside = subprocess.run(["docker", "run", "--rm", "--network", "none", tag, "python", "-c", "import six; print(six.__file__)"],
                                capture_output=True, text=True, check=True)  # fmt: skip
        assert inside.stdout.startswith("/opt/env/")


def test_a_batch_script_as_it_is(anyone):
    """Its directives are the job's resources, its files go with it, its queue gives way, its outputs come back."""
    anyone.write("book.txt", "b\na\n")
    anyone.write(
        "old.sbatch",
        "#!/bin/bash\n#SBATCH -J words -c 1 --mem=200M -t 2 -p long\n#SBATCH --mail-user=ada@example.org\n"
        "sort book.txt > sorted.txt\n",
    )
    done = anyone.clif("run", "old.sbatch")
    assert done.returncode == 0, done.stderr
    assert (anyone.work / "sorted.txt").read_text() == "a\nb\n"
    assert "--mail-user=ada@example.org (line 3)" in done.stderr
    assert "no queue 'long' here" in done.stderr
    view = anyone.json("list")["jobs"][0]
    assert view["name"] == "words"
    asked = anyone.json("status", view["id"])["plan"]["ask"]
    assert (asked["cpus"], asked["memory"], asked["time"]) == (1, 200 * 2**20, 120)


def test_imports_under_other_names_are_found(anyone):
    """sklearn, yaml and bs4 come from scikit-learn, PyYAML and beautifulsoup4."""
    script = """
        import yaml, bs4
        from sklearn.linear_model import LinearRegression
        model = LinearRegression().fit([[1], [2], [3]], [2, 4, 6])
        text = bs4.BeautifulSoup("<p>slope</p>", "html.parser").p.text
        print(yaml.safe_dump({text: round(float(model.coef_[0]), 3)}))
    """
    anyone.write("names.py", textwrap.dedent(script))
    done = anyone.clif("run", "names.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "slope: 2.0"


def test_a_shell_script_runs_with_its_file(anyone):
    """A shell script that reads a file beside it finds it, and what it writes comes back."""
    anyone.write("words.txt", "one two\nthree\n")
    anyone.write("count.sh", "#!/bin/sh\nwc -w < words.txt > count.txt\ncat count.txt\n")
    done = anyone.clif("run", "count.sh")
    assert (done.returncode, done.stdout.strip()) == (0, "3"), done.stderr
    assert (anyone.work / "count.txt").read_text().strip() == "3"


def test_a_failing_program_fails_its_job(anyone):
    """Exit status 3 makes exit status 1 of `clif run`, with the number in the message and the output kept."""
    anyone.write("three.py", "import sys\nopen('part.txt','w').write('x')\nprint('before')\nsys.exit(3)\n")
    done = anyone.clif("run", "three.py")
    assert done.returncode == 1
    assert done.stdout == "before\n"
    assert "exited with 3" in done.stderr
    view = anyone.json("list")["jobs"][0]
    assert (view["state"], view["code"]) == ("failed", "exit_code")


def test_what_a_program_did_not_find_is_told_with_what_brings_it(anyone):
    """A module whose name the script puts together cannot be read from it; the failure says how it is added."""
    anyone.write("hidden.py", "import importlib\nprint(importlib.import_module('yam' + 'l').__version__)\n")
    done = anyone.clif("run", "hidden.py")
    assert done.returncode == 1
    assert "`--with PyYAML` brings it" in done.stderr
    assert "`--with PyYAML` brings it" in anyone.json("status")["advice"]
    done = anyone.clif("run", "--with", "PyYAML", "hidden.py")
    assert done.returncode == 0, done.stderr


def test_arguments_reach_the_program_literally(anyone):
    """Quotes, dollars, backquotes, globs and line breaks are characters like any other."""
    hostile = ["$(touch canary)", "`touch canary`", "a b", "'\"", "*", "line\nbreak", "; touch canary", "ünï", ""]
    anyone.write("args.py", "import json, sys\nprint(json.dumps(sys.argv[1:]))\n")
    done = anyone.clif("run", "args.py", "--", *hostile)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == hostile
    assert not list(anyone.directory.rglob("canary"))


def test_the_sandbox_shows_the_job_and_nothing_else(anyone):
    """Uid 1000 or above with a name, no capabilities, no network, read-only root, private HOME and /tmp."""
    script = """
        import json, os, pwd, socket
        def writable(path):
            try:
                open(path + "/x", "w").close()
                return True
            except OSError:
                return False
        caps = [line.split()[1] for line in open("/proc/self/status") if line.startswith("CapEff")][0]
        try:
            socket.create_connection(("1.1.1.1", 53), 1)
            network = True
        except OSError:
            network = False
        print(json.dumps({
            "uid": os.getuid(), "name": bool(pwd.getpwuid(os.getuid()).pw_name), "caps": int(caps, 16), "network": network,
            "writable": [p for p in ("/", "/usr", "/inputs", "/opt/env", "/job", "/tmp", os.environ["HOME"]) if writable(p)],
            "cwd": os.getcwd(), "home": os.environ["HOME"],
        }))
    """
    anyone.write("look.py", textwrap.dedent(script))
    done = anyone.clif("run", "look.py")
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["uid"] >= 1000
    assert seen == seen | {"name": True, "caps": 0, "network": False, "cwd": "/job"}
    assert seen["writable"] == ["/job", "/tmp", seen["home"]]


def test_inputs_are_staged_by_every_means(server):
    """An uploaded file, one named by --input, and a directory's worth of data lie where the program looks."""
    server.write("data/a.txt", "A")
    server.write("elsewhere/b.bin", "B" * 100)
    server.write("cat.py", "print(open('data/a.txt').read() + open('b.bin').read()[:1])\n")
    done = server.clif("run", "--input", "b.bin=elsewhere/b.bin", "cat.py")
    assert (done.returncode, done.stdout) == (0, "AB\n"), done.stderr


def test_canceled_means_that_nothing_is_left(anyone):
    """When a job that ignores signals is called canceled, it is gone, process and container."""
    token = f"clif{time.monotonic_ns()}"
    job = anyone.submit(
        f"#!/bin/sh\ntrap '' TERM INT\necho on\nwhile :; do sleep 1.{token[-6:]}; done\n", name=f"{token}.sh"
    )
    anyone.until(job, "running")
    wait_for(lambda: anyone.clif("logs", job).stdout == "on\n")
    assert anyone.clif("cancel", job).returncode == 0
    anyone.until(job, "canceled")
    left = [p for p in psutil.process_iter(["cmdline"]) if token in " ".join(p.info["cmdline"] or [])]
    assert not left
    assert not containers(f"ci-{job}")


def test_the_time_limit_signals_the_program_first(anyone):
    """At its time limit the program gets TERM and may tidy up; the job fails with time_limit."""
    job = anyone.submit(
        "#!/bin/sh\ntrap 'echo tidying; exit 0' TERM\necho on\nwhile :; do sleep 0.1; done\n",
        "--time",
        "3s",
        name="long.sh",
    )
    view = anyone.until(job, "failed")
    assert view["code"] == "time_limit"
    assert anyone.clif("logs", job).stdout == "on\ntidying\n"


def test_too_much_memory_fails_only_that_job(anyone):
    """A program that takes more memory than it asked for is ended, and its job says so."""
    anyone.write("big.py", "data = []\nwhile True:\n    data.append(bytearray(16 << 20))\n")
    done = anyone.clif("run", "--memory", "200MiB", "big.py")
    assert done.returncode == 1
    view = anyone.json("list")["jobs"][0]
    assert view["code"] == "out_of_memory", (view, done.stderr)


def test_a_running_job_outlives_every_part_of_the_server(make_server):
    """Server killed and started again while the program runs: it runs on, once, and its end is seen."""
    server = make_server("bubblewrap")
    job = server.submit(
        "#!/bin/sh\necho run >> runs\nwhile [ ! -e stop ]; do sleep 0.1; done\necho end >> runs\n", name="l.sh"
    )
    server.until(job, "running")
    server.kill()
    server.start()
    assert server.state_of(job) == "running"
    for part in ("engine", "dispatcher", "web"):
        server.part(part).kill()
    wait_for(server.answers)
    (server.state / "jobs" / job / "tasks/0/stop").touch()
    server.until(job, "completed")
    server.clif("outputs", job, "--to", "back")
    assert (server.work / "back/runs").read_text() == "run\nend\n"


def test_follow_up_commands_tell_the_same_story(quick):
    """status, events, logs, outputs, rerun and wait agree about a finished job."""
    job = quick.submit("#!/bin/sh\necho out; echo err >&2; echo x > made.txt\n", "--name", "story", name="s.sh")
    assert quick.clif("wait", job).returncode == 0
    view = quick.json("status", job)
    assert (view["name"], view["state"]) == ("story", "completed")
    moves = [event["new"] for event in quick.json("events", job)["events"]]
    whole = ["submitted", "preparing", "queued", "running", "staging_out", "completed"]
    assert moves in (whole, [state for state in whole if state != "running"])  # too short to be seen running
    assert quick.clif("logs", job).stdout == "out\n"
    outputs = quick.json("outputs", job)["outputs"]
    assert [(o["path"], o["size"], o["sha256"]) for o in outputs] == [
        ("made.txt", 2, hashlib.sha256(b"x\n").hexdigest())
    ]
    again = quick.clif("rerun", job).stdout.split()[-1]
    assert again != job
    assert quick.clif("wait", again).returncode == 0
    assert quick.json("status", again)["rerun_of"] == job


def test_a_known_image_is_not_built_again(quick):
    """The second job with the same imports starts at once on the image that is there; so does an edited script."""
    for text in ("import six\nprint(1)\n", "import six\nprint(2)\n"):
        quick.write("known.py", text)
        assert quick.clif("run", "known.py").returncode == 0
    keys = [quick.json("status", job["id"])["plan"]["lock"]["image"] for job in quick.json("list")["jobs"][:2]]
    assert keys[0] == keys[1]


@pytest.mark.parametrize("stands", ["code", ".", "data"])
@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("fit.py", "import own\nopen('sum.txt', 'w').write(own.total('data/x.txt'))\n"),
        ("fit.sh", "paste -sd+ data/x.txt | tr + '\\n' | wc -l >sum.txt\n"),
    ],
)
def test_a_script_starts_where_it_was_written_for(quick, script, text, stands):
    """What lies in code/ and names data/ is run at the top of its project, where its result comes to, too."""
    top = quick.work / f"project-{stands.strip('.')}-{script}"
    for name, content in {
        f"code/{script}": text, "code/own.py": "def total(name):\n    return str(len(open(name).readlines()))\n",
        "data/x.txt": "1\n2\n3\n",
    }.items():  # fmt: skip
        quick.write(f"{top.name}/{name}", content)
    at = top / stands
    done = quick.clif("run", os.path.relpath(top / "code" / script, at), cwd=at)
    assert done.returncode == 0, done.stderr
    assert (top / "sum.txt").read_text().strip() == "3"


def test_a_script_in_a_hidden_directory_starts_there(quick):
    """A directory whose name begins with a dot is one like any other."""
    quick.write("hidden/data/x.txt", "1\n2\n3\n")
    quick.write("hidden/.code/fit.sh", "wc -l <../data/x.txt >sum.txt\n")
    done = quick.clif("run", "fit.sh", cwd=quick.work / "hidden/.code")
    assert done.returncode == 0, done.stderr
    assert (quick.work / "hidden/.code/sum.txt").read_text().strip() == "3"


@pytest.mark.parametrize("command", ["describe", "run --dry-run"])
def test_describing_changes_nothing(quick, command):
    """Describe and --dry-run show the plan and leave no job, no upload and no file."""
    quick.write("plan.py", "import yaml\nprint(yaml)\n")
    before = (quick.json("list"), sorted(quick.work.rglob("*")), sorted((quick.state / "uploads").rglob("*")))
    done = quick.clif(*command.split(), "plan.py")
    assert done.returncode == 0, done.stderr
    assert "pyyaml" in (done.stdout + done.stderr).lower()
    assert before == (quick.json("list"), sorted(quick.work.rglob("*")), sorted((quick.state / "uploads").rglob("*")))


def test_two_commands_at_once_start_one_server(make_server):
    """The command line starts the server by itself, once, and the server outlives the command."""
    server = make_server("bubblewrap", start=False)
    procs = [
        subprocess.Popen(
            server.argv("list", "--json"),
            env=server.env,
            cwd=server.work,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(3)
    ]
    for proc in procs:
        out, err = proc.communicate(timeout=120)
        assert proc.returncode == 0, err
        assert json.loads(out) == {"jobs": [], "next": None}
    running = [
        p for p in psutil.process_iter(["name", "cmdline", "environ"])
        if (p.info["cmdline"] or [])[-1:] == ["serve"] and (p.info["environ"] or {}).get("CLIF_SERVER__STATE") == str(server.state)
        and not p.info["name"].startswith("clif-")  # its parts, which are forked from it
    ]  # fmt: skip
    assert len(running) == 1
    assert server.clif("serve", "--stop").returncode == 0
    psutil.wait_procs(running, timeout=60)
