"""A program run again where its outputs lie: they are no inputs of its next run, unless it opens them."""

import os

import pytest

SHELL = (
    "mkdir -p out\ncp in.txt out/a.txt\nsort out/a.txt > out/b.txt\nfor f in out/*.txt; do echo $f >> log.txt; done\n"
)
LISTING = "import os\nfor n in os.listdir('data'):\n    open(f'data/{n}.out', 'w').write(n)\n"
COUNTING = (
    "import json, os\nn = json.load(open('n.json')) if os.path.exists('n.json') else 0\n"
    "json.dump(n + 1, open('n.json', 'w'))\n"
)
READING = "print(open('data/a.out').read())\n"


@pytest.fixture
def here(quick, tmp_path):
    """A directory of its own in which commands of the server's account are run."""
    made = quick.work / tmp_path.name
    made.mkdir()
    old, quick.work = quick.work, made
    yield made
    quick.work = old


def inputs(server):
    """The files that the last job was given."""
    return set(server.json("status", "last")["spec"]["files"])


def test_a_shell_script_does_not_get_its_outputs(quick, here):
    """Words of commands may be what they write; so is all in a directory that is run again. It is said."""
    quick.write("run.sh", SHELL)
    quick.write("in.txt", "2\n1\n")
    for number in range(2):
        done = quick.clif("run", "run.sh")
        assert done.returncode == 0, done.stderr
        assert inputs(quick) == {"run.sh", "in.txt"}
        assert ("out/b.txt: outputs of earlier runs" in done.stderr) == bool(number)
    assert (here / "log.txt").read_text() == "out/a.txt\nout/b.txt\n"
    done = quick.clif("run", ".", "--script", "run.sh")
    assert (done.returncode, inputs(quick)) == (0, {"run.sh", "in.txt"}), done.stderr
    assert quick.clif("run", "run.sh", "--input", "out/b.txt").returncode == 0
    assert inputs(quick) == {"run.sh", "in.txt", "out/b.txt"}


def test_a_changed_file_and_another_program_s_are_inputs(quick, here):
    """What a person changed is theirs; what one program left, the next one reads."""
    quick.write("data/a", "x")
    quick.write("list.py", LISTING)
    quick.write("read.py", READING)
    for _ in range(2):
        assert quick.clif("run", "list.py").returncode == 0
        assert inputs(quick) == {"list.py", "data/a"}
    done = quick.clif("run", "read.py")
    assert (done.returncode, done.stdout) == (0, "a\n"), done.stderr
    os.utime(here / "data/a.out", (1, 1))
    assert quick.clif("submit", "list.py").returncode == 0
    assert inputs(quick) == {"list.py", "data/a", "data/a.out"}


def test_a_program_that_goes_on_from_its_file_does(quick, here):
    """It opens it by name: the job has it, and the new one takes its place."""
    quick.write("n.py", COUNTING)
    for number in range(1, 4):
        assert quick.clif("run", "n.py").returncode == 0
        assert (here / "n.json").read_text() == str(number)
    assert sorted(path.name for path in here.iterdir()) == ["n.json", "n.py"]
    quick.write("n.json", "41")  # now it is the person's own, and stays
    assert quick.clif("run", "n.py").returncode == 0
    assert (here / "n.json").read_text() == "41"


def test_what_lies_in_a_directory_made_for_outputs_is_left(quick, here):
    """`--to new`: all in it is an earlier run's."""
    quick.write("list.py", LISTING.replace("'data'", "'.'").replace("data/", ""))
    assert quick.clif("run", "list.py", "--to", "new").returncode == 0
    assert (here / "new/list.py.out").exists()
    assert quick.clif("run", ".", "--script", "list.py").returncode == 0
    assert inputs(quick) == {"list.py"}
