"""Many tasks' tables as one: rows byte for byte, parameters before them, and what does not go together refused."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, update

from cluster_interface.model.errors import NotFound, Rejected
from cluster_interface.model.job import OutputFile, Task
from cluster_interface.model.jobspec import JobSpec
from cluster_interface.model.state import TaskState
from cluster_interface.service.gathering import gather, task_table
from cluster_interface.store import jobs, outputs
from cluster_interface.store import tables as t

CELLS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
EVIL = '=HYPERLINK("http://x","y")'


def gathered(path: str, *tables: bytes, parameters=None, name: str = "r.csv") -> bytes:
    rows = parameters or [{"n": str(number)} for number in range(len(tables))]
    files = [(OutputFile(path=name, size=1, sha256="", task=n), rows[n]) for n in range(len(tables))]
    return b"".join(gather(lambda: iter(files), path, lambda file: io.BytesIO(tables[file.task])))


@given(st.lists(st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=4), min_size=1, max_size=3), CELLS)
def test_every_row_is_there_with_its_parameters(tables, value):
    """Whatever cells hold, quoted line breaks included, the whole reads back as task, parameter and row."""
    written = []
    for rows in tables:
        target = io.StringIO()
        csv.writer(target, quoting=csv.QUOTE_ALL).writerows([["a", "b"], *rows])
        written.append(target.getvalue().encode())
    found = gathered("r.csv", *written, parameters=[{"p": value}] * len(tables)).decode()
    expected = [["task", "p", "a", "b"]]
    expected += [[str(n), value, *row] for n, rows in enumerate(tables) for row in rows]
    assert list(csv.reader(io.StringIO(found, newline=""))) == expected


def test_bytes_stay_as_they_are():
    """A row keeps its quotes, its line end and what a spreadsheet might obey; a last line gets its end."""
    table = b'\xef\xbb\xbfx,y\r\n"1",%s\r\n\r\n2,"a\nb"' % EVIL.replace('"', '""').join('""').encode()
    assert gathered("r.csv", table).split(b"\n", 1)[1].startswith(b'0,0,"1","=HYPERLINK(')
    assert gathered("r.csv", b"x\n\xff\xfe1").endswith(b"0,0,\xff\xfe1\n")


def test_separators_are_the_tables_own():
    """Semicolons and tabs stay."""
    assert gathered("r.csv", b"x;y\n1;2\n") == b"task;n;x;y\n0;0;1;2\n"
    assert gathered("r.tsv", b"x\ty\n1\t2\n", name="r.tsv") == b"task\tn\tx\ty\n0\t0\t1\t2\n"


def test_columns_of_one_name_are_kept_apart():
    """A parameter that is also a column of the table, and a pattern that says which file a row is from."""
    assert gathered("r.csv", b"n,x\n1,2\n").splitlines()[0] == b"task,param_n,n,x"
    assert gathered("*.csv", b"x\n1\n") == b"task,n,file,x\n0,0,r.csv,1\n"


@pytest.mark.parametrize(
    ("path", "tables", "name", "words"),
    [
        ("r.csv", [b"x,y\n1,2\n", b"x,z\n1,2\n"], "r.csv", "the header is 'x,z' in task 1, but 'x,y' in task 0"),
        ("r.csv", [b""], "r.csv", "task 0: r.csv is empty"),
        ("r.csv", [b"\xff\xfex\0"], "r.csv", "no table in UTF-8"),
        ("p.png", [b"x"], "p.png", "p.png is no table"),
    ],
)
def test_what_does_not_go_together_is_refused(path, tables, name, words):
    """Before a byte is sent, by task."""
    with pytest.raises(Rejected, match=words):
        gathered(path, *tables, name=name)


def test_only_what_completed_is_gathered(store, monkeypatch):
    """What failed may have left half a table. Whatever there is, is read some at a time."""
    monkeypatch.setattr(outputs, "PAGE", 2)
    spec, whose = JobSpec(command="true", name="n"), {"owner": "ada", "group": "ada"}
    rows = [{"n": str(number)} for number in range(6)]
    files = [(task, path) for task in range(6) for path in ("b.csv", "a.csv")]
    with store.write() as db:
        jobs.add(db, job="j", key="k" * 8, spec=spec, rerun_of=None, tasks=rows, **whose)
        db.execute(update(t.task).where(t.task.c.index != 2).values(state=TaskState.COMPLETED))
        db.execute(update(t.task).where(t.task.c.index == 2).values(state=TaskState.FAILED))
        db.execute(insert(t.output), [
            {"job": "j", "task": task, "path": path, "size": 1, "sha256": "", **whose} for task, path in files
        ])  # fmt: skip
    found = [(file.task, file.path, values) for file, values in outputs.of_completed(store, "j")]
    assert found == [(task, path, rows[task]) for task, path in sorted(files) if task != 2]
    with pytest.raises(NotFound):
        gather(lambda: (), "r.csv", io.BytesIO)


def test_the_table_of_tasks_says_how_each_ended():
    """Parameters that are called like another column are kept apart."""
    task = Task(
        job="j", index=0, state=TaskState.FAILED, parameters={"state": EVIL, "n": "1"}, exit_code=3, started=1.0, ended=3.5
    )  # fmt: skip
    rows = list(csv.reader(io.StringIO(b"".join(task_table([task])).decode())))
    assert rows == [
        ["task", "param_state", "n", "state", "exit_code", "seconds", "memory"],
        ["0", EVIL, "1", "failed", "3", "2.500", ""],
    ]
