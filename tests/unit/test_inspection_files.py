"""The files that scripts read and write."""

from __future__ import annotations

import pytest

from cluster_interface.inspection import inspect

BESIDE = dict.fromkeys(["data.csv", "data/a.csv", "data/b.csv", "data/deep/c.csv", "notes.txt", "x.png"], "")


def read(source, *arguments, script="a.py", **more):
    """Inspect a script that has a few files beside it."""
    return inspect({**BESIDE, script: source, **more}, script, arguments)


@pytest.mark.parametrize(
    ("source", "inputs"),
    [
        ("open('data.csv')", {"data.csv"}),
        ("pd.read_csv('./data.csv')", {"data.csv"}),
        ("load(path='data/a.csv')", {"data/a.csv"}),
        ("from pathlib import Path\n(Path('data') / 'a.csv').read_text()", {"data/a.csv"}),
        ("from pathlib import Path\nD = Path(__file__).resolve().parent / 'data'\nopen(D / 'a.csv')", {"data/a.csv"}),
        ("from pathlib import Path\nPath('data', 'a.csv').open()", {"data/a.csv"}),
        ("from pathlib import Path\nPath.cwd().joinpath('data', 'a.csv').open()", {"data/a.csv"}),
        ("import os\nHERE = os.path.dirname(__file__)\nopen(os.path.join(HERE, 'data', 'a.csv'))", {"data/a.csv"}),
        ("D = 'data'\nopen(D + '/a.csv')", {"data/a.csv"}),
        ("D = 'data'\nopen(f'{D}/a.csv')", {"data/a.csv"}),
        ("D = 'data'\nopen('%s/a.csv' % D)", {"data/a.csv"}),
        ("C = {'table': 'data/a.csv'}\nopen(C['table'])", {"data/a.csv"}),
        ("class C:\n  table = 'data/a.csv'\nopen(C.table)", {"data/a.csv"}),
        ("for n in 'ab':\n  open(f'data/{n}.csv')", {"data/a.csv", "data/b.csv"}),
        ("for n in 'ab':\n  open('data/{}.csv'.format(n))", {"data/a.csv", "data/b.csv"}),
        ("import glob\nglob.glob('data/*.csv')", {"data/a.csv", "data/b.csv"}),
        ("from pathlib import Path\nPath('data').rglob('*.csv')", {"data/a.csv", "data/b.csv", "data/deep/c.csv"}),
        ("import os\nos.walk('data')", {"data/a.csv", "data/b.csv", "data/deep/c.csv"}),
        ("import os\nos.listdir('.')", {"data.csv", "notes.txt", "x.png"}),
        ("DATA_DIR = 'data'\nuse(DATA_DIR)", {"data/a.csv", "data/b.csv", "data/deep/c.csv"}),
        ("kind = 'data'\nprint(x['data'], 'data')", {"data/a.csv", "data/b.csv", "data/deep/c.csv"}),
        ("print(x['deep'], 'csv')", set()),
        ("'''data.csv'''\n'notes.txt'", set()),
        ("def f(path='data.csv'):\n  open(path)", {"data.csv"}),
        ("open('missing.csv')", set()),
        ("open('data\\n.csv')", set()),
        ("open('../a.py')", set()),
    ],
)
def test_files_that_are_read_become_inputs(source, inputs):
    """Constants, joins, formats and patterns name files that lie beside the script."""
    assert set(read(source).inputs) == inputs


@pytest.mark.parametrize(
    ("source", "outputs"),
    [
        ("open('out.txt', 'w')", {"out.txt"}),
        ("open('out.txt', mode='xb')", {"out.txt"}),
        ("from pathlib import Path\nPath('out.txt').open('w')", {"out.txt"}),
        ("from pathlib import Path\nP = Path('res')\nP.mkdir()\n(P / 'x.txt').write_text('')", {"res/**", "res/x.txt"}),
        ("import gzip\ngzip.open('x.gz', 'wt')", {"x.gz"}),
        ("df.to_csv('t.csv')", {"t.csv"}),
        ("df.to_excel(excel_writer='t.xlsx')", {"t.xlsx"}),
        ("plt.savefig('fig')", {"fig.png"}),
        ("plt.savefig(fname='fig.pdf')", {"fig.pdf"}),
        ("for x in y:\n  plt.savefig(f'plot_{x}.png')", {"plot_*.png"}),
        ("for x in y:\n  plt.savefig('plot_' + x + '.png')", {"plot_*.png"}),
        ("for x in y:\n  plt.savefig('plot_%03d.png' % x)", {"plot_*.png"}),
        ("for x in y:\n  plt.savefig('{}/{:.2f}.png'.format(x, x))", {"*/*.png"}),
        ("import numpy as np\nnp.save('arr', x)\nnp.savez_compressed('z.npz', x)", {"arr.npy", "z.npz"}),
        ("import json\njson.dump(x, open('x.json', 'w'))", {"x.json"}),
        ("import torch\ntorch.save(x, 'model.pt')", {"model.pt"}),
        ("import os\nos.makedirs('a/b', exist_ok=True)", {"a/b/**"}),
        ("import shutil\nshutil.copy('data.csv', 'copy.csv')", {"copy.csv"}),
        ("import logging\nlogging.basicConfig(filename='x.log')", {"x.log"}),
        ("import h5py\nh5py.File('x.h5', 'w')", {"x.h5"}),
        ("import sqlite3\nsqlite3.connect('x.db')", {"x.db"}),
        ("open(unknown, 'w')", set()),
        ("open('/tmp/x', 'w')\nopen('/dev/null', 'w')", set()),
        ("open(f'{x}', 'w')", set()),
        ("open('data.csv')\nopen('data.csv', 'rb')", set()),
        ("print(open)", set()),
    ],
)
def test_files_that_are_written_become_outputs(source, outputs):
    """What is not known in a name becomes a wildcard."""
    assert set(read(source).outputs) == outputs


@pytest.mark.parametrize(
    "source",
    [
        "open('data.csv', 'w')",
        "OUT = 'data.csv'\ndf.to_csv(OUT)",
        "from pathlib import Path\nOUT = Path('data.csv')\nOUT.write_text('')",
        "self.out = 'data.csv'\ndf.to_csv(self.out)",
        "p.add_argument('--out', default='data.csv')\nargs = p.parse_args()\ndf.to_csv(args.out)",
    ],
)
def test_an_old_output_is_no_input(source):
    """A file left from the last run is not handed over where the script only writes it."""
    found = read(source)
    assert found.outputs == ("data.csv",)
    assert found.inputs == ()


@pytest.mark.parametrize(
    "source",
    [
        "open('data.csv', 'r+')",
        "open('data.csv', 'a')",
        "open('data.csv')\nopen('data.csv', 'w')",
        "T = 'data.csv'\nopen(T)\ndf.to_csv(T)",
        "import sqlite3\nsqlite3.connect('data.csv')",
    ],
)
def test_a_file_read_and_written_is_both(source):
    """Input and output."""
    found = read(source)
    assert found.inputs == found.outputs == ("data.csv",)


@pytest.mark.parametrize(
    "source", ["open('/data/x.csv')", "D = '/data'\npd.read_csv(D + '/x.csv')", "import os\nos.listdir('/data/x.csv')"]
)
def test_an_absolute_path_is_a_warning_that_says_what_to_do(source):
    """The job does not see it unless it is handed over."""
    (warning,) = read(source).warnings
    assert "/data/x.csv" in warning
    assert "--input /data/x.csv" in warning
    assert f"line {source.count(chr(10)) + 1}" in warning


@pytest.mark.parametrize("path", ["~/x.csv", "C:\\\\data\\\\x.csv"])
def test_home_and_drive_letters_are_absolute_too(path):
    """Neither is there in a job."""
    assert "does not see" in read(f"open('{path}')").warnings[0]


def test_files_of_the_system_are_no_warning():
    """Every machine has its /proc."""
    assert not read("open('/proc/cpuinfo')\nopen('/dev/urandom', 'rb')\n").warnings


@pytest.mark.parametrize(
    ("source", "system"),
    [
        ("for word in open('/usr/share/dict/words'): print(word)", ("wamerican",)),
        ("F = '/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf'\nImageFont.truetype(F, 20)", ("fonts-dejavu-core",)),
        ("open('/usr/share/doc/x')", ()),
    ],
)
def test_files_that_a_package_of_the_system_has_bring_it(source, system):
    """A small system has no list of words and no fonts; many have them."""
    found = read(source)
    assert found.environment.system == system
    assert not found.warnings


@pytest.mark.parametrize("path", ["/home/me/out.csv", "../out.csv"])
def test_writing_elsewhere_is_a_warning(path):
    """Outside the job's directory nothing can be written."""
    found = read(f"open('{path}', 'w')")
    assert found.outputs == ()
    assert path in found.warnings[0]


def test_arguments_that_name_files_are_inputs():
    """As a word, after an equals sign, or as a directory."""
    found = read("", "data.csv", "--notes=notes.txt", "data/deep", "nothing", "--flag")
    assert set(found.inputs) == {"data.csv", "notes.txt", "data/deep/c.csv"}


def test_an_absolute_argument_is_a_warning():
    """It is handed over by --input."""
    (warning,) = read("", "/scratch/x.bam").warnings
    assert "--input /scratch/x.bam" in warning


def test_arguments_fill_in_what_options_come_to():
    """An output named on the command line is an output, though a file of that name is there."""
    source = (
        "import argparse\np = argparse.ArgumentParser()\np.add_argument('table')\np.add_argument('-o', '--out')\n"
        "args = p.parse_args()\npd.read_csv(args.table).to_csv(args.out)\n"
    )
    found = read(source, "-o", "notes.txt", "data.csv")
    assert found.inputs == ("data.csv",)
    assert found.outputs == ("notes.txt",)


def test_sys_argv_is_filled_in():
    """The n-th argument is what sys.argv[n] names."""
    found = read(
        "import sys\nsrc, dst = sys.argv[1], sys.argv[2]\nopen(dst, 'w').write(open(src).read())", "data.csv", "o"
    )
    assert found.inputs == ("data.csv",)
    assert found.outputs == ("o",)


def test_constants_of_other_modules_are_known():
    """A name imported from the project's own configuration has its value."""
    source = (
        "from config import TABLE, OUT\nimport config\nopen(TABLE)\nopen(f'{OUT}/x', 'w')\nopen(config.OUT + '/y', 'w')"
    )
    found = read(source, **{"config.py": "TABLE = 'data.csv'\nOUT = 'res'\n"})
    assert set(found.inputs) == {"config.py", "data.csv"}
    assert set(found.outputs) == {"res/x", "res/y"}


def test_names_with_two_values_are_not_guessed():
    """What is assigned twice is unknown."""
    assert read("o = 'x'\no = 'y'\nopen(o, 'w')").outputs == ()


def test_many_files_of_one_directory_are_one_line():
    """A listing of a thousand files does not make a thousand guesses."""
    many = {f"frames/{n}.png": None for n in range(1000)}
    found = read("import os\nos.listdir('frames')", **many)
    assert len(found.inputs) == 1000
    assert [g.value for g in found.guesses if g.field == "files"] == ["frames/**"]


def test_names_that_no_job_can_have_are_not_there():
    """A file outside the directory cannot be proposed, whatever was handed in."""
    found = read("open('../up.txt')\nopen('/etc/passwd')", **{"../up.txt": "", "/etc/passwd": ""})
    assert found.inputs == ()


@pytest.mark.parametrize("use", ["", "print(table)\n", "table.sum()\n", "for row in table:\n    print(row)\n"])
def test_a_file_that_is_read_into_a_variable_is_an_input(use):
    """Whatever becomes of what was read: the name in the call is that of a file."""
    found = inspect({"a.py": f"import pandas\ntable = pandas.read_csv('data.csv')\n{use}", "data.csv": ""}, "a.py")
    assert found.inputs == ("data.csv",)


def test_a_path_of_another_machine_may_be_a_file_of_here():
    """It is said which, since nobody but a person knows whether it is the same."""
    found = inspect({"a.sh": "/lab/ada/fit.pl x\ncat /lab/ada/none.csv\n", "tools/fit.pl": "1;\n"}, "a.sh")
    other, one = sorted(found.warnings, key=lambda words: "none.csv" in words)
    assert "none.csv" in one
    assert "which is here" not in one
    assert other.endswith("say --input /lab/ada/fit.pl; if it is the same as 'tools/fit.pl', which is here, name that")
