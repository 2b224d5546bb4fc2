"""Sweeps through the command line on the real server: every origin of parameters, failures, order, gathering."""

import csv
import io
import json
import textwrap

import pytest
from openpyxl import Workbook

HOSTILE = ["$(touch canary)", "`touch canary`", "a b", "'\"", "*", "line\nbreak", "; touch canary", "ünï", "-n", "\\"]
SHOW = """
    import json, os, sys
    found = {k[11:]: v for k, v in os.environ.items() if k.startswith("CLIF_PARAM_")}
    with open("seen.json", "w") as file:
        json.dump({"args": sys.argv[1:], "parameters": found}, file)
"""


def script(server, name: str, text: str) -> None:
    server.write(name, textwrap.dedent(text))


def newest(server) -> dict:
    return server.json("status", "last")


def sweep(server, *arguments: str, status: int = 0) -> dict:
    """Run a sweep to its end, its outputs in `out`; return the job."""
    done = server.clif("run", "--to", "out", *arguments)
    assert done.returncode == status, done.stderr
    return newest(server)


def seen(server, task: int) -> dict:
    return json.loads((server.work / f"out/{task}/seen.json").read_text())


def test_a_grid_of_six(anyone):
    """Every combination is a task, with its values in its arguments and its environment, and a row in tasks.csv."""
    script(anyone, "show.py", SHOW)
    job = sweep(anyone, "show.py", "--sweep", "n=1..3", "--sweep", "m=a,b", "--", "--x", "{n}")
    assert job["counts"] == {"completed": 6}
    tasks = [seen(anyone, number) for number in range(6)]
    assert [(one["parameters"]["n"], one["parameters"]["m"]) for one in tasks] == [
        (n, m) for n in "123" for m in "ab"
    ]  # fmt: skip
    assert [one["args"] for one in tasks] == [["--x", n] for n in "112233"]
    rows = list(csv.DictReader((anyone.work / "out/tasks.csv").read_text().splitlines()))
    assert [(row["task"], row["n"], row["m"], row["state"]) for row in rows[:2]] == [
        ("0", "1", "a", "completed"), ("1", "1", "b", "completed"),
    ]  # fmt: skip


def test_lists_side_by_side_and_the_scripts_own_option(anyone):
    """A zip has as many tasks as its lists are long; a parameter goes to the option of its name."""
    script(
        anyone, "fit.py",
        """
        import argparse
        parser = argparse.ArgumentParser()
        parser.add_argument("--n", type=int)
        open("n.txt", "w").write(str(parser.parse_args().n))
        """,
    )  # fmt: skip
    job = sweep(anyone, "fit.py", "--zip", "--sweep", "n=5,6", "--sweep", "m=a,b")
    assert job["counts"] == {"completed": 2}
    assert job["spec"]["command"].endswith("fit.py --n {n}")
    assert [(anyone.work / f"out/{task}/n.txt").read_text() for task in (0, 1)] == ["5", "6"]


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_a_table_is_a_row_a_task(anyone, kind):
    """CSV and XLSX give the same tasks."""
    script(anyone, "show.py", SHOW)
    rows = [["n", "day"], [3, "2026-03-01"], [4, "2026-03-02"]]
    if kind == "csv":
        anyone.write("p.csv", "".join(";".join(map(str, row)) + "\r\n" for row in rows))
    else:
        book, target = Workbook(), io.BytesIO()
        for row in rows:
            book.active.append(row)
        book.save(target)
        (anyone.work / "p.xlsx").write_bytes(target.getvalue())
        (anyone.work / "p.xlsx").chmod(0o644)
    sweep(anyone, "show.py", "--sweep", f"p.{kind}")
    assert [seen(anyone, task)["parameters"] for task in (0, 1)] == [
        {"n": "3", "day": "2026-03-01"}, {"n": "4", "day": "2026-03-02"},
    ]  # fmt: skip


def test_a_bad_table_is_refused_with_its_place(anyone):
    """Exit status 2, row and column, and no job."""
    script(anyone, "show.py", SHOW)
    anyone.write("p.csv", "n,m\n1,2\n3\n")
    before = anyone.json("list")
    done = anyone.clif("run", "show.py", "--sweep", "p.csv")
    assert done.returncode == 2
    assert "p.csv, row 3: it has 1 cell, the header 2" in done.stderr
    assert anyone.json("list") == before


def test_a_task_for_each_file(anyone):
    """Matching files here are sent; each task gets the name of one."""
    for name in ("b", "a"):
        anyone.write(f"data/{name}.txt", name * 3)
    script(anyone, "size.sh", 'wc -c < "$CLIF_PARAM_file" > size.txt\n')
    job = sweep(anyone, "size.sh", "--each", "data/*.txt")
    assert [task["parameters"] for task in job["tasks"]] == [{"file": "data/a.txt"}, {"file": "data/b.txt"}]
    assert (anyone.work / "out/1/size.txt").read_text().strip() == "3"


def test_values_arrive_literally(anyone):
    """In arguments and in the environment, whatever is in them."""
    script(anyone, "show.py", SHOW)
    spec = {
        "apiVersion": 1, "script": "show.py", "command": "python3 show.py {v} '{v}' \"{v}\" x{v}",
        "sweep": {"parameters": {"v": HOSTILE}},
    }  # fmt: skip
    anyone.write("spec.json", json.dumps(spec))
    sweep(anyone, "spec.json")
    for task, value in enumerate(HOSTILE):
        assert seen(anyone, task) == {"args": [value, value, value, f"x{value}"], "parameters": {"v": value}}
    assert not list(anyone.directory.rglob("canary"))


def test_failed_tasks_are_told_and_run_again_alone(anyone):
    """Exit status 1, the reason with the tasks' numbers; the rerun has the failed ones only."""
    script(anyone, "odd.sh", "echo task $CLIF_PARAM_n >&2; exit $((CLIF_PARAM_n % 2))\n")
    done = anyone.clif("run", "odd.sh", "--sweep", "n=0..5")
    assert done.returncode == 1
    assert "3 failed" in done.stderr
    assert "tasks 1, 3, 5" in done.stderr
    job = newest(anyone)
    assert (job["state"], job["code"], job["counts"]) == ("failed", "tasks_failed", {"completed": 3, "failed": 3})
    assert anyone.clif("logs", job["id"], "--task", "3", "--err").stdout == "task 3\n"
    again = anyone.clif("rerun", job["id"], "--failed").stdout.strip()
    anyone.clif("wait", again)
    tasks = anyone.json("tasks", again)["tasks"]
    assert [task["parameters"]["n"] for task in tasks] == ["1", "3", "5"]


def test_jobs_wait_for_jobs(anyone):
    """After a failure: `ok` never runs, `failed` and `any` do."""
    script(anyone, "bad.sh", "sleep 1; exit 3\n")
    script(anyone, "next.sh", "true\n")
    first = anyone.clif("submit", "bad.sh").stdout.strip()
    jobs = {
        when: anyone.clif("submit", "next.sh", "--after", f"{first[:6]}{when}").stdout.strip()
        for when in ("", ":failed", ":any")
    }
    anyone.clif("wait", *jobs.values())
    states = {when: anyone.json("status", job)["state"] for when, job in jobs.items()}
    assert (states[":failed"], states[":any"]) == ("completed", "completed")
    assert states[""] in ("canceled", "failed")
    assert anyone.json("status", jobs[""])["attempts"] == []


def test_no_more_than_max_running_at_once(anyone):
    """As the programs' own clocks say."""
    script(
        anyone, "count.py",
        """
        import time
        print("begin", time.time())
        time.sleep(0.7)
        print("end", time.time())
        """,
    )  # fmt: skip
    job = sweep(anyone, "count.py", "--sweep", "n=1..6", "--max-running", "2", "--pack", "1")
    moments = []
    for task in range(6):
        begin, end = (
            float(line.split()[1]) for line in anyone.clif("logs", job["id"], "--task", str(task)).stdout.splitlines()
        )
        moments += [(begin, 1), (end, -1)]
    running = most = 0
    for _, change in sorted(moments):
        running += change
        most = max(most, running)
    assert most <= 2


def test_the_first_task_goes_alone(anyone):
    """If it fails, none of the others ever starts."""
    script(anyone, "bad.sh", "exit 4\n")
    done = anyone.clif("run", "bad.sh", "--sweep", "n=1..4", "--first-alone")
    assert done.returncode == 1
    job = newest(anyone)
    assert job["counts"].get("failed") == 1
    assert [task["started"] is not None for task in job["tasks"]] == [True, False, False, False]
    script(anyone, "good.sh", "true\n")
    assert sweep(anyone, "good.sh", "--sweep", "n=1..4", "--first-alone")["counts"] == {"completed": 4}


def test_tables_of_all_tasks_become_one(anyone):
    """Parameters before the rows, in order; over the command line and into a file."""
    script(anyone, "row.sh", 'printf "x,y\\n%s,1\\n" "$CLIF_PARAM_n" > r.csv\n')
    job = sweep(anyone, "row.sh", "--sweep", "n=7..9")
    done = anyone.clif("outputs", job["id"], "--gather", "r.csv")
    assert list(csv.reader(io.StringIO(done.stdout))) == [
        ["task", "n", "x", "y"], ["0", "7", "7", "1"], ["1", "8", "8", "1"], ["2", "9", "9", "1"],
    ]  # fmt: skip


def test_too_many_tasks_are_refused_at_once(anyone):
    """A million tasks are not written out before they are refused."""
    script(anyone, "x.sh", "true\n")
    done = anyone.clif("run", "x.sh", "--sweep", "a=1..1000", "--sweep", "b=1..1000")
    assert done.returncode == 2
    assert "1,000,000 tasks; this site allows" in done.stderr
