"""What a program that failed says it did not find."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_interface.inspection.lacking import Lack, lack

NOTHING = Lack("")
TRACEBACK = 'Traceback (most recent call last):\n  File "fit.py", line 1, in <module>\n    import x\n'


@pytest.mark.parametrize(
    ("said", "brings"),
    [
        (f"{TRACEBACK}ModuleNotFoundError: No module named 'cv2'\n", "`cv2`: `--with opencv-python-headless`"),
        (f"{TRACEBACK}ModuleNotFoundError: No module named 'zarr'\n", "`zarr`: `--with zarr`"),
        (f"{TRACEBACK}ModuleNotFoundError: No module named 'IPython.parallel'\n", "`IPython.parallel`): `--as-of"),
        (f"{TRACEBACK}AttributeError: module 'numpy' has no attribute 'float'.\n`np.float` was a deprecated", "--as-of"),
        (f"{TRACEBACK}AttributeError: `np.Inf` was removed in the NumPy 2.0 release. Use `np.inf` instead.\n", "--as-of"),
        (f"{TRACEBACK}AttributeError: 'DataFrame' object has no attribute 'append'\n", "--as-of"),
        (f"{TRACEBACK}TypeError: read_table() got an unexpected keyword argument 'delim_whitespace'\n", "--as-of"),
        (
            (f"{TRACEBACK}ImportError: cannot import name 'jaccard' from 'sklearn.metrics' (/opt/env/lib/python3.11/"
            "site-packages/sklearn/metrics/__init__.py)\n"),
            "`jaccard`): `--as-of",
        ),
        (f"{TRACEBACK}ModuleNotFoundError: No module named 'labtools'\n", "if a file, `--input labtools.py`"),
        (f"{TRACEBACK}ModuleNotFoundError: No module named 'mylab7.simulation'\n", "no part `mylab7.simulation` of your own"),
        (f"{TRACEBACK}FileNotFoundError: [Errno 2] No such file or directory: 'E:\\\\runs\\\\a b.csv'\n", "`a b.csv`, and hand"),
        (
            (f"{TRACEBACK}FileNotFoundError: [Errno 2] Unable to open file (unable to open file: name = 's01.mat', "
            "errno = 2, error message = 'No such file or directory', flags = 0)\n"),
            "--input s01.mat",
        ),
        ("Error in library(gstat) : there is no package called \u2018gstat\u2019\nExecution halted\n", "`--system r-cran-gstat`"),
        ("Error in library(q) : there is no package called 'nobodys'\n", "name it in environment.r.packages"),
        ("Can't locate XML/Simple.pm in @INC (you may need …) at a.pl line 1.\nBEGIN failed\n", "libxml-simple-perl"),
        ("./a: error while loading shared libraries: libgsl.so.27: cannot open shared object file\n", "libgsl27"),
        (f"{TRACEBACK}ImportError: libGL.so.1: cannot open shared object file: No such file or directory\n", "libgl1"),
        ("run.sh: line 3: samtools: command not found\n", "`--system samtools`"),
        ("run.sh: 3: jq: not found\n", "`--system jq`"),
        ("/lab/tools/fit.pl: Command not found.\n", "no program `/lab/tools/fit.pl`: bring it with `--input`"),
        ("/tmp/.srun/srun: 24: exec: ./a.out: not found\nsrun: error: task 0\n", "`./a.out`: bring it with `--input`"),
        ("job.pbs: line 39: g09: command not found\n", "`g09`, which is licensed software"),
        (("Fatal Error: Cannot open module file \u2018pde.mod\u2019 for reading at (1): No such file or directory\n"
         "run.sh: line 8: ./main.out: No such file or directory\n"), "no Fortran module `pde`"),
        ("a.c:(.text+0x2): undefined reference to `f'\ncollect2: error: ld returned 1 exit status\n", "calls as `f`"),
        ("Error in a + b : object 'a' not found\nExecution halted\n", "it uses `a` before anything has made that"),
        ('Error in f(1) : could not find function "f"\nCalls: g\nExecution halted\n', "it calls `f`, which"),
        ("ERROR: LoadError: ArgumentError: Package Flux not found in current path:\n- Run `import Pkg`\n", 'Pkg.add("Flux")'),
        ("error: no matching package named `ndarray` found\nlocation searched: index\n", "no Rust crate `ndarray`"),
        ("error: load: unable to find file a.mat\nerror: called from\n", "`--input a.mat`"),
        ("error: 'normcdf' undefined\n", "no function or variable `normcdf`"),
        ("<internal:>:85:in `require': cannot load such file -- nokogiri (LoadError)\n", "`--system ruby-nokogiri`"),
        ("lua5.4: a.lua:1: module 'lpeg' not found:\n\tno field package.preload['lpeg']\n", "`--system lua-lpeg`"),
        (f"{TRACEBACK}FileNotFoundError: [Errno 2] No such file or directory: 'dot'\n", "`--system graphviz`"),
        (f"{TRACEBACK}FileNotFoundError: [Errno 2] No such file or directory: 'my data/a.csv'\n", "--input 'my data/a.csv'`"),
        ("  cannot open file 'a.csv': No such file or directory\nExecution halted\n", "`--input a.csv`"),
        ("cat: x.txt: No such file or directory\n", "`--input x.txt`"),
        ("a.c:1:10: fatal error: gsl/gsl_math.h: No such file or directory\ncompilation terminated.\n", "libgsl-dev"),
        ("urllib.error.URLError: <urlopen error [Errno -3] Temporary failure in name resolution>\n", "`--network`"),
        ("curl: (6) Could not resolve host: example.org\n", "`--network`"),
    ],
)  # fmt: skip
def test_what_is_missing_is_told_with_what_brings_it(said, brings):
    """The name that the program knows, and the flag for what has it."""
    assert brings in lack(said).words


@pytest.mark.parametrize(
    "said",
    [
        "",
        "ValueError: no\n",
        f"{TRACEBACK}AttributeError: 'Fit' object has no attribute 'x'\n",
        "ImportError: cannot import name 'f' from 'tools' (/job/tools.py)\n",
        f"{TRACEBACK}KeyError: 'ModuleNotFoundError'\n",
    ],
)
def test_of_other_ends_nothing_is_said(said):
    """A program that fails for reasons of its own is not explained."""
    assert lack(said) is None


@pytest.mark.parametrize(
    ("said", "field", "package"),
    [
        ("ModuleNotFoundError: No module named 'cv2'\n", "environment.python.packages", "opencv-python-headless"),
        ("ModuleNotFoundError: No module named 'labtools'\n", "", ""),
        ("Error in library(gstat) : there is no package called \u2018gstat\u2019\n", "environment.system", "r-cran-gstat"),
        ("Error in library(q) : there is no package called 'nobodys'\n", "environment.r.packages", "nobodys"),
        ("run.sh: 3: jq: not found\n", "environment.system", "jq"),
        ("cat: x.txt: No such file or directory\n", "", ""),
        ("curl: (6) Could not resolve host: example.org\n", "", ""),
    ],
)  # fmt: skip
def test_a_package_is_named_with_the_field_that_takes_it(said, field, package):
    """What is only guessed at, a name that nobody knows above all, is never named as one."""
    assert (lack(said).field, lack(said).package) == (field, package)


def test_only_the_last_words_count():
    """What was missed long before the end was done without; and who has the network lacks something else."""
    assert lack("ModuleNotFoundError: No module named 'cv2'\n" + "working\n" * 20 + "ValueError: no\n") is None
    found = lack("cat: a.txt: No such file or directory\nrun.sh: 2: jq: not found\n")
    assert found.words.startswith("it found no command `jq`")
    assert lack("curl: (6) Could not resolve host: example.org\n", network=True) is None
    assert lack(f"cat: {'x' * 500}: No such file or directory\n") is None


@given(st.text(), st.sampled_from(["bookworm", "trixie", None, "nowhere"]))
def test_whatever_a_program_says_is_read(said, suite):
    """Hostile words make at most a clause of one line."""
    assert "\n" not in (lack(said, suite) or NOTHING).words
    assert "\n" not in (lack(f"x: {said}: No such file or directory", suite) or NOTHING).words
