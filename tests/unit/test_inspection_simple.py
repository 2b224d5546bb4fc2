"""Languages that one program runs, by their table; programs that a first line names; workflows of Snakemake."""

import json
import re

import pytest

from cluster_interface.inspection import inspect
from cluster_interface.inspection.archive.index import Archive
from cluster_interface.inspection.languages.simple import SIMPLE
from cluster_interface.model.errors import Rejected

TEX = "\\documentclass{article}\n\\usepackage{amsmath,siunitx}\n%\\usepackage{fontspec}\n\\begin{document}\\input{part}"


def read(name, source, *arguments, **beside):
    """Inspect a program with others beside it."""
    return inspect({**beside, name: source}, name, arguments)


@pytest.mark.parametrize("language", SIMPLE, ids=[f"{one.says}-{one.run.split()[0]}" for one in SIMPLE])
def test_the_distribution_has_what_the_table_names(language):
    """Every command that a language needs is in the index, and it is said how to run it."""
    archive = Archive()
    assert all(archive.command(program) for program in language.programs)
    assert language.programs or language.packages
    assert language.suffixes or language.names
    assert re.search(r"\{(?:file|base)\}", language.run)


@pytest.mark.parametrize(
    ("name", "source", "command", "packages"),
    [
        ("a.plt", "plot 'd.dat'", "gnuplot -c a.plt", {"gnuplot-nox"}),
        ("a.gp", "set terminal png\nplot 'd.dat'", "gnuplot -c a.gp", {"gnuplot-nox"}),
        ("a.gp", "print(factor(12));", "gp -q a.gp </dev/null", {"pari-gp"}),
        ("a.awk", "{ print }", "gawk -f a.awk", {"gawk"}),
        ("a b.awk", "{ print }", "gawk -f 'a b.awk'", {"gawk"}),
        ("-a.awk", "{ print }", "gawk -f ./-a.awk", {"gawk"}),
        ("a.tcl", "package require csv\n# package require Tk\n", "tclsh a.tcl", {"tcl", "tcllib"}),
        ("a.hs", "import Data.Map\nimport qualified System.Random as R\n-- import Network.Socket\n",
         "ghc -v0 -O -outputdir /tmp -o /tmp/a a.hs && /tmp/a", {"ghc", "libghc-random-dev"}),
        ("a.php", "<?php echo 1; // mb_strlen($x)", "php a.php", {"php-cli"}),
        ("a.php", "<?php echo mb_strtoupper('a'); $d = new DOMDocument();", "php a.php", {"php-cli", "php-mbstring", "php-xml"}),
        ("a.ts", "const a: number = 1",
         "esbuild --bundle --platform=node --log-level=warning --outfile=/tmp/a.js a.ts && node /tmp/a.js", {"esbuild", "nodejs"}),
        ("fam.pl", ":- initialization(main).\nmain :- write(x).\n", "swipl -q -g halt fam.pl --", {"swi-prolog-nox"}),
        ("a.pl", "use strict;\nmy $x = 1;\n", "perl a.pl", {"perl"}),
        ("in.lj", "units lj\npair_style lj/cut 2.5\n", "lmp -log in.log -in in.lj", {"lammps"}),
        ("a.tex", TEX, "latexmk -pdf -interaction=nonstopmode -halt-on-error a.tex",
         {"latexmk", "texlive-latex-base", "texlive-latex-recommended", "texlive-fonts-recommended", "lmodern", "texlive-science"}),
        ("a.tex", TEX.replace("%", ""), "latexmk -xelatex -interaction=nonstopmode -halt-on-error a.tex",
         {"latexmk", "texlive-xetex", "texlive-latex-base", "texlive-latex-recommended", "texlive-fonts-recommended", "lmodern", "texlive-science"}),
        ("tool", "#!/usr/bin/env -S yorick -batch\n", "yorick -batch tool", {"yorick"}),
        ("tool", "#!/usr/bin/tclsh\n", "tclsh tool", {"tcl"}),
    ],
)  # fmt: skip
def test_a_program_is_run_by_what_runs_its_language(name, source, command, packages):
    """The ending tells the language, or the text where an ending is of several; comments say nothing."""
    found = read(name, source)
    assert found.command == command
    assert set(found.environment.system) == packages


def test_what_a_program_names_goes_with_it():
    """Files that are named in its text, with or without their ending, also of what it includes; not what it writes."""
    files = {"part.tex": "\\includegraphics{fig/one}", "fig/one.pdf": None, "refs.bib": "", "own.sty": ""}
    text = TEX.replace("siunitx", "own") + "\\bibliography{refs}"
    assert set(read("a.tex", text, **files).inputs) == set(files)
    assert read("a.plt", "set output 'o.png'\nplot 'd.dat'", **{"d.dat": "", "o.png": None}).inputs == ("d.dat",)
    found = read("run.sh", "gnuplot a.plt\n", **{"a.plt": "plot 'd.dat'", "d.dat": ""})
    assert (found.inputs, found.environment.system) == (("a.plt", "d.dat"), ("gnuplot-nox",))


def test_a_module_that_no_package_has_is_said():
    """With its line; one that lies beside it is none."""
    found = read("a.hs", "import Nothing.Like.It\nimport Mine\n", **{"Mine.hs": "module Mine where"})
    assert found.inputs == ("Mine.hs",)
    assert ["Nothing.Like.It" in warning for warning in found.warnings] == [True]


@pytest.mark.parametrize(
    ("name", "source"), [("notes.in", "some text"), ("a.d", "a.o: a.c"), ("a.mod", "GIMPLE"), ("x", "#!/opt/own/thing")]
)
def test_what_only_looks_like_it_is_refused(name, source):
    """An ending alone does not make a program of a text, nor a first line that names what nobody has."""
    with pytest.raises(Rejected, match="script"):
        read(name, source)


def test_a_program_is_chosen_before_what_others_read():
    """A paper, a plot and a query beside a program leave no question which one is meant; alone each is run."""
    beside = {"paper.tex": TEX, "fig.plt": "plot 'd'", "q.sql": "select 1;", "tool": "#!/usr/bin/tclsh\n"}
    assert inspect({"fit.py": "print(1)", **beside}).script == "fit.py"
    assert inspect({"paper.tex": TEX, "refs.bib": ""}).script == "paper.tex"


SNAKEFILE = """
import pandas as pd
configfile: "config.yaml"
include: "rules/more.smk"
SAMPLES = ["a"]
rule all:
    input: expand("counts/{s}.txt", s=SAMPLES)
rule count:
    input: "data/{s}.fq"
    output: "counts/{s}.txt"
    conda: "envs/x.yaml"
    shell: '''
        samtools view {input} | awk '{{print $1}}' > {output}
        '''
rule plot:
    output: "plot.pdf"
    script: "scripts/plot.py"
rule fit:
    script: "scripts/fit.R"
"""


def test_a_workflow_brings_what_its_rules_call():
    """Commands, scripts, files by their wildcards, parts of it, what is imported; environments of rules are said."""
    beside = {
        "config.yaml": "", "rules/more.smk": "rule x:\n    shell: 'bwa mem'\n", "data/a.fq": "", "data/b.fq": "",
        "scripts/plot.py": "import seaborn", "scripts/fit.R": "library(dplyr)", "other.txt": "",
    }  # fmt: skip
    found = read("Snakefile", SNAKEFILE, **beside)
    assert found.command == 'snakemake --cores "$CLIF_CPUS"'
    assert set(found.inputs) == set(beside) - {"other.txt"}
    assert set(found.environment.system) == {"samtools", "bwa", "r-base-core", "r-cran-dplyr"}
    assert set(found.environment.python.packages) == {"snakemake", "pandas", "seaborn"}
    assert set(found.outputs) == {"counts/*.txt", "plot.pdf"}
    assert "environments of rules" in " ".join(found.warnings)
    assert read("w.smk", "rule a:\n    shell: 'true'", "-n").command == "snakemake --snakefile w.smk -n"
    below = inspect({"workflow/Snakefile": "rule a:\n    input: 'data/x.csv'", "data/x.csv": ""})
    assert (below.command, below.inputs) == ('snakemake --cores "$CLIF_CPUS"', ("data/x.csv",))
    called = read("run.sh", "snakemake -j 4 all\n", **{"Snakefile": SNAKEFILE, **beside})
    assert {"Snakefile", "data/a.fq", "scripts/plot.py"} <= set(called.inputs)
    assert {"snakemake", "seaborn"} <= set(called.environment.python.packages)


def test_notebooks_of_other_languages_have_their_kernel():
    """Those of R and Octave are run by papermill as those of Python are; others are refused with what to do."""
    cells = [{"cell_type": "code", "source": "library(dplyr)\nd <- read.csv('d.csv') %>%\n  filter(x > 1)"}]
    document = {"nbformat": 4, "cells": cells, "metadata": {"language_info": {"name": "R"}}}
    found = read("a.ipynb", json.dumps(document), **{"d.csv": ""})
    assert found.command == "papermill a.ipynb a.executed.ipynb --kernel ir --log-output --no-progress-bar"
    assert (set(found.environment.system), found.inputs) == (
        {"r-base-core", "r-cran-irkernel", "r-cran-dplyr"},
        ("d.csv",),
    )
    document["metadata"]["language_info"]["name"] = "cobol"
    with pytest.raises(Rejected, match="Python, R and Octave"):
        read("a.ipynb", json.dumps(document))
