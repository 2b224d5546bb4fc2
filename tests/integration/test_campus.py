"""Whole jobs on the testbed's clusters, through the command line of a real server as root."""

import csv
import functools
import io
import json

import pytest
from tests.clusters import OwnSlurm, cluster_server, ending
from tests.conftest import wait_for

#: What each cluster's queues are expected to have, however they were found out.
RUNTIMES = {
    "slurm": {"apptainer", "podman", "charliecloud", "bubblewrap", "docker"},
    "slurm_accounting": {"apptainer", "podman", "charliecloud", "bubblewrap", "docker"},
    "gridengine": {"apptainer", "podman", "charliecloud", "bubblewrap", "docker"},
}
LITTLE = ("--memory", "150MiB")
HOSTILE = ["$(touch canary)", "`touch canary`", "a b", "'\"", "line\nbreak", "; touch canary #", "%j", "-n", "ünï"]
HOST = '[queues.main]\nruntimes = ["bubblewrap", "none"]\n'


class Cluster:
    """A server on one cluster, and what it is called."""

    def __init__(self, name, part, server):
        self.name, self.part, self.server = name, part, server
        self.queue = server.json("queues")["queues"][0]["name"]
        # Slurm counts time in minutes: what takes that long is begun at once and looked at last.
        self.late = self.submit("#!/bin/sh\necho on\nsleep 200\n", "--time", "20s", name="late.sh")

    def submit(self, text, *arguments, name="job.sh"):
        """Submit a script that asks for little."""
        return self.server.submit(text, *LITTLE, *arguments, name=name)

    def native(self, job, wanted):
        """What the scheduler itself says of a job."""
        mark = f"ci-{job}-1"
        native = wait_for(lambda: self.part.ask("squeue", "-h", f"--name={mark}", "--format=%A")).split()[0]
        text = self.part.ask("scontrol", "--oneliner", "show", "job", native)
        return {name: value for name, _, value in (word.partition("=") for word in text.split()) if name in wanted}


@pytest.fixture(scope="module")
def clusters(request, make_server):
    """Each cluster of the testbed by its name, with one server for all tests."""

    @functools.cache
    def find(name, config=""):
        part = request.getfixturevalue(name)
        scheduler = name.replace("_accounting", "")
        return Cluster(name, part, cluster_server(make_server, part, schedulers=scheduler, config=config))

    return find


@pytest.fixture(params=list(RUNTIMES))
def cluster(request, clusters):
    """Every cluster of the testbed."""
    return clusters(request.param)


@pytest.fixture
def slurm_server(clusters):
    """A server on the Slurm without accounting, whose queue `main` also has the host's own software."""
    return clusters("slurm", HOST)


@pytest.fixture
def accounting_server(clusters):
    """A server on the Slurm with accounts and qualities of service."""
    return clusters("slurm_accounting")


def test_one_job_in_every_runtime_that_the_survey_found(cluster):
    """The probes find what works on the nodes; a job in each brings back its output, its log and what it used."""
    server = cluster.server
    queues = {queue["name"]: queue for queue in server.json("queues")["queues"]}
    for queue in queues.values():
        assert RUNTIMES[cluster.name] <= set(queue["runtimes"]), queue
    program = (
        "import os, sys, time\nsys.stderr.write('words\\n')\nprint(os.environ['CLIF_MARK'], os.getuid() >= 1000)\n"
        "held = b'x' * (40 << 20)\ntime.sleep(2.5)\nopen('made.txt', 'w').write('made')\n"
    )
    jobs = {
        name: cluster.submit(program, "--runtime", name, "--output", "*.txt", name="one.py")
        for name in queues[cluster.queue]["runtimes"]
    }
    for name, job in jobs.items():
        view = ending(server, job)
        assert view["state"] == "completed", (name, view["reason"], server.clif("logs", "--err", job).stdout)
        assert server.clif("logs", job).stdout == f"ci-{job}-1 True\n", name
        assert server.clif("logs", "--err", job).stdout == "words\n", name
        assert server.clif("outputs", job, "--to", f"back-{name}").returncode == 0
        assert (server.work / f"back-{name}/made.txt").read_text() == "made", name
        task = server.json("tasks", job)["tasks"][0]
        assert task["exit_code"] == 0
        if task["measured_by"]:
            assert 10 << 20 < task["peak_memory"] <= 200 << 20, (name, task)
            assert "ask for" in view["advice"] or view["advice"] == "", view["advice"]
        if name == "docker":
            assert task["measured_by"], "docker's containers are always measured"
    done = server.clif("run", *LITTLE, "one.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("True\n")


def test_failures_have_their_codes(cluster):
    """An exit status, and too much memory where that is bounded."""
    server = cluster.server
    three = cluster.submit("#!/bin/sh\necho before\nexit 3\n", name="three.sh")
    big = "data = []\nwhile True:\n    data.append(b'x' * (16 << 20))\n    if len(data) > 30: break\n"
    runtimes = server.json("queues")["queues"][0]["runtimes"]
    bounded = {
        "slurm": ["docker"],
        "slurm_accounting": [name for name in runtimes if name != "podman"],
        "gridengine": ["docker"],
    }[cluster.name]
    jobs = {name: cluster.submit(big, "--runtime", name, name="big.py") for name in bounded}
    view = ending(server, three)
    assert (view["state"], view["code"]) == ("failed", "exit_code")
    assert "exited with 3" in view["reason"]
    assert server.clif("logs", three).stdout == "before\n"
    for name, job in jobs.items():
        view = ending(server, job)
        assert (view["state"], view["code"]) == ("failed", "out_of_memory"), (name, view["reason"])
        assert "--memory" in view["reason"]


def test_a_sweep_whose_values_are_hostile(cluster):
    """Each task has its own value to the letter; the one that fails is tried again alone."""
    server = cluster.server
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["v"])
    writer.writerows([value] for value in HOSTILE)
    server.write("values.csv", table.getvalue())
    program = (
        "import json, os, sys\nv = os.environ['CLIF_PARAM_v']\nprint(json.dumps([v, sys.argv[1:]]))\n"
        "open('v.json', 'w').write(json.dumps(v))\nsys.exit(v == '%j')\n"
    )
    server.write("sweep.py", program)
    done = server.clif("submit", *LITTLE, "--sweep", "values.csv", "sweep.py", "--", "{v}")
    assert done.returncode == 0, done.stderr
    job = done.stdout.split()[-1]
    view = ending(server, job, 240)
    assert (view["state"], view["code"]) == ("failed", "tasks_failed"), view["reason"]
    assert "1 of 9 tasks" in view["reason"]
    for number, value in enumerate(HOSTILE):
        assert json.loads(server.clif("logs", job, "--task", number).stdout) == [value, [value]]
    assert not list(server.directory.rglob("canary"))
    again = server.clif("rerun", "--failed", job)
    assert again.returncode == 0, again.stderr
    view = ending(server, again.stdout.split()[-1])
    assert view["counts"] == {"failed": 1}


def test_what_does_not_fit_is_refused_in_words(cluster):
    """At once, naming what would fit."""
    server = cluster.server
    server.write("x.sh", "#!/bin/sh\n:\n")
    short = "short.q" if cluster.name == "gridengine" else "short"
    cases = [
        (("--queue", "nowhere"), cluster.queue),
        (("--queue", short, "--time", "2h"), "10 min"),
        (("--nodes", "900"), "nodes"),
        (("--memory", "9000GiB"), "GiB"),
        (("--cpus", "5000"), "has 8"),
        (("--scheduler", "pbs"), "there are: "),
        (("--runtime", "firecracker"), "it has: "),
        (("--license", "nosuch:1"), "matlab" if cluster.name == "slurm" else ""),
        (("--gpus", "h100:1"), "a100" if cluster.name == "slurm" else ""),
    ]
    if cluster.name == "slurm_accounting":
        cases += [(("--account", "nosuch"), "lab"), (("--qos", "nosuch"), "normal")]
    for arguments, words in cases:
        done = server.clif("submit", *arguments, "x.sh")
        if done.returncode == 0:  # only the scheduler itself knows: its own words, then
            view = ending(server, done.stdout.split()[-1])
            assert (view["state"], view["code"]) == ("failed", "scheduler_rejected"), (arguments, view["reason"])
            assert not words, (arguments, "was not refused at once", view["reason"])
        else:
            assert words in done.stderr, (arguments, done.stderr)
    for job in server.json("list")["jobs"]:
        assert job["state"] in ("completed", "failed") or job["id"] == cluster.late


def test_what_is_asked_for_is_asked_of_slurm(slurm_server):
    """Constraint, gpus, licence, cores, nodes, time: as scontrol shows the job."""
    job = slurm_server.submit(
        "#!/bin/sh\nsleep 60\n", "--constraint", "fast", "--gpus", "a100:1", "--license", "matlab:1", "--cpus", "2",
        "--time", "7m", name="asked.sh",
    )  # fmt: skip
    wanted = ("Features", "Licenses", "CPUs/Task", "TimeLimit", "Partition", "TresPerNode", "MinMemoryNode", "Requeue")
    seen = slurm_server.native(job, wanted)
    assert seen == {
        "Features": "fast", "Licenses": "matlab:1", "CPUs/Task": "2", "TimeLimit": "00:07:00", "Partition": "main",
        "TresPerNode": "gres:gpu:a100:1", "MinMemoryNode": "150M", "Requeue": "0",
    }  # fmt: skip
    assert slurm_server.server.clif("cancel", job).returncode == 0
    assert ending(slurm_server.server, job)["state"] == "canceled"


def test_account_and_quality_of_service_are_asked_of_slurm(accounting_server):
    """As scontrol shows the job."""
    job = accounting_server.submit("#!/bin/sh\nsleep 60\n", "--account", "lab", "--qos", "short", name="asked.sh")
    assert accounting_server.native(job, ("Account", "QOS")) == {"Account": "lab", "QOS": "short"}
    assert accounting_server.server.clif("cancel", job).returncode == 0
    assert ending(accounting_server.server, job)["state"] == "canceled"


def test_the_hosts_software_where_the_queue_allows_it(slurm_server, cluster, modules):
    """`none` and modules work where the settings name it for the queue, and are refused where they do not."""
    server = slurm_server.server
    spec = {
        "apiVersion": 1,
        "name": "host",
        "command": "hello > said.txt",
        "environment": {"modules": ["hello/2.0"], "variables": modules.env},
        "resources": {"runtime": "none", "memory": "150MiB", "time": "2m"},
    }
    server.write("host.json", json.dumps(spec))
    done = server.clif("submit", "host.json")
    assert done.returncode == 0, done.stderr
    job = done.stdout.split()[-1]
    view = ending(server, job)
    assert view["state"] == "completed", (view["reason"], server.clif("logs", "--err", job).stdout)
    assert view["plan"]["ask"]["runtime"] == "none"
    assert server.clif("outputs", job, "--to", "host").returncode == 0
    assert (server.work / "host/said.txt").read_text() == "hello again from a module\n"
    cluster.server.write("x.sh", "#!/bin/sh\n:\n")
    done = cluster.server.clif("submit", "--runtime", "none", "x.sh")
    assert done.returncode != 0
    assert "it has: " in done.stderr


def test_old_batch_scripts_run_as_they_are(cluster):
    """An sbatch file and an array script of Grid Engine: directives are resources, elements are tasks."""
    server = cluster.server
    sbatch = server.submit(
        f"#!/bin/bash\n#SBATCH -J old -c 1 --mem=150M -t 3 -p {cluster.queue}\n#SBATCH --array=1-3\n"
        "echo element $SLURM_ARRAY_TASK_ID of job $SLURM_JOB_NAME > out.$SLURM_ARRAY_TASK_ID\n",
        name="old.sbatch",
    )
    sge = server.submit(
        "#!/bin/bash\n#$ -N older -cwd -l h_rt=00:03:00\n#$ -l h_vmem=150M\n#$ -t 1-3\n"
        "echo element $SGE_TASK_ID > out.$SGE_TASK_ID\n",
        name="older.sh",
    )
    for job, words in ((sbatch, "element {} of job old\n"), (sge, "element {}\n")):
        view = ending(server, job, 180)
        assert view["state"] == "completed", view["reason"]
        assert server.clif("outputs", job, "--to", f"old-{job}").returncode == 0
        texts = sorted(path.read_text() for path in (server.work / f"old-{job}").rglob("out.*"))
        assert texts == [words.format(n) for n in (1, 2, 3)]


def test_why_it_waits_is_told(own_part, make_server):
    """On nodes that others fill: the reason in words, its place in the queue, and a time once Slurm has one."""
    own = OwnSlurm(own_part("slurm"))
    server = cluster_server(make_server, own.part)
    script = server.write("fill.sh", "#!/bin/sh\nsleep 600\n")
    own.part.ask("sbatch", "--nodes=4", "--exclusive", "--time=9", "--mem=10", "--output=/dev/null", script)
    wait_for(lambda: own.part.ask("squeue", "--noheader", "--user=clif-test", "--states=R", "--format=%A"), 60, 0.2)
    jobs = [server.submit("#!/bin/sh\n:\n", *LITTLE, name="w.sh") for _ in range(2)]

    def waiting(job):
        seen = server.json("status", job)["waiting"]
        return seen if seen and seen["position"] is not None else None

    places = [wait_for(lambda job=job: waiting(job), 60, 0.5) for job in jobs]
    assert [place["position"] for place in places] == [1, 2], places
    assert places[0]["native_reason"] in ("Resources", "Priority")
    assert all(place["reason"] for place in places)
    assert "place 2 in the queue" in server.clif("status", jobs[1]).stdout
    wait_for(lambda: server.json("status", jobs[0])["waiting"]["start"], 60, 1)
    own.part.ask("scancel", "--user=clif-test")
    for job in jobs:
        assert ending(server, job)["state"] == "completed"


def test_two_schedulers_in_one_server(make_server, slurm, gridengine):
    """Queues of both, and each job goes where --scheduler says; the first is the default."""
    server = cluster_server(make_server, slurm, gridengine, schedulers="slurm,gridengine")
    assert {queue["scheduler"] for queue in server.json("queues")["queues"]} == {"slurm", "gridengine"}
    text = "#!/bin/sh\necho ${SLURM_JOB_ID:+slurm}${SGE_ROOT:+sge} > where.txt; echo here\n"
    jobs = {name: server.submit(text, *LITTLE, "--scheduler", name, name="w.sh") for name in ("gridengine", "slurm")}
    jobs["default"] = server.submit(text, *LITTLE, name="w.sh")
    for name, job in jobs.items():
        view = ending(server, job)
        assert view["state"] == "completed", view["reason"]
        assert view["plan"]["ask"]["scheduler"] == name.replace("default", "slurm")
        queued = next(e["why"] for e in server.json("events", job)["events"] if e["new"] == "queued")
        assert name.replace("default", "slurm") in queued


def test_the_time_limit(cluster):
    """What runs longer than it asked for is ended, and says so."""
    view = ending(cluster.server, cluster.late, 240)
    assert (view["state"], view["code"]) == ("failed", "time_limit"), view["reason"]
    assert cluster.server.clif("logs", cluster.late).stdout == "on\n"
