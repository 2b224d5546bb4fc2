"""What a site's table may say of software that is lent to containers, and what becomes of it."""

import subprocess
import tomllib

import pytest

from cluster_interface.inspection.software import Software
from cluster_interface.model.environment import Environment
from cluster_interface.model.errors import Rejected
from cluster_interface.settings import SoftwareSettings


def table(text):
    """Read [software.modules] of a configuration."""
    return SoftwareSettings.parse(tomllib.loads(text), "software")


def test_a_module_is_lent_by_its_name_and_versions_by_theirs():
    """The job's own name for it is what is loaded on the node, unless the table says otherwise."""
    said = table("""
        [modules]
        blast = "ncbi-blast+"
        [modules.matlab]
        trees = ["/opt/matlab"]
        packages = "libxt6 python:numpy"
        [modules."matlab/R2019a"]
        trees = ["/usr/local/matlab"]
        variables = { PATH = "/old/matlab/bin:$PATH" }
        [modules.fluent]
        trees = ["/apps/ansys"]
        load = ["ansys/2023"]
        variables = { MODE = "x" }
    """)
    software = Software(modules=said.modules)
    named = Environment(modules=("blast/2", "matlab/R2023b", "matlab/R2019a", "fluent"))
    new, old, fluent = software.lent(named)
    assert (new.module, new.trees, new.load) == ("matlab/R2023b", ("/opt/matlab",), ("matlab/R2023b",))
    assert (old.trees, old.load) == (("/usr/local/matlab",), ())
    assert fluent.load == ("ansys/2023",)
    environment = software.in_container(named)
    assert environment.system == ("ncbi-blast+", "libxt6")
    assert environment.python.packages == ("numpy",)


@pytest.mark.parametrize(
    ("line", "field", "words"),
    [
        ("trees = []", "matlab.trees", "at least 1 item"),
        ('trees = ["opt/matlab"]', "matlab.trees", "is not the plain absolute path of a directory"),
        ('trees = ["/opt/../etc"]', "matlab.trees", "is not the plain absolute path of a directory"),
        ('trees = ["/opt/a:/b"]', "matlab.trees", "is not the plain absolute path of a directory"),
        ('trees = ["/usr/local/bin"]', "modules", "matlab: /usr/local/bin cannot be mounted"),
        ('trees = ["/usr/local"]', "modules", "matlab: /usr/local cannot be mounted"),
        ('trees = ["/etc"]', "modules", "matlab: /etc cannot be mounted: a container has its own there"),
        ('trees = ["/opt/m"]\nlicenses = ["licence.campus.edu"]', "matlab.licenses", "write PORT@HOST"),
        ('trees = ["/opt/m"]\nlicenses = ["99999@host"]', "matlab.licenses", "write PORT@HOST"),
        ('trees = ["/opt/m"]\nlicenses = ["1@-oProxy"]', "matlab.licenses", "write PORT@HOST"),
        ('trees = ["/opt/m"]\nload = ["a;b"]', "matlab.load", "is not the name of a module"),
        ('trees = ["/opt/m"]\nvariables = { PATH = "/opt/m/bin" }', "matlab.variables", "hide every other program"),
        ('trees = ["/opt/m"]\nvariables = { "A B" = "x" }', "matlab.variables", "is not the name of a variable"),
        ('trees = ["/opt/m"]\ntree = ["/x"]', "matlab.tree", "unknown field"),
    ],
)
def test_what_a_table_gets_wrong_is_said(line, field, words):
    """With the field and what to do."""
    with pytest.raises(Rejected) as caught:
        table(f"[modules.matlab]\n{line}\n")
    (problem,) = caught.value.problems
    assert problem.field == f"software.modules{'' if field == 'modules' else f'.{field}'}"
    assert words in problem.message


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_declared_variables_are_literal_but_for_themselves(shell):
    """`$NAME` in its own value is what was there before; nothing else is expanded or run."""
    said = table("""
        [modules.m]
        trees = ["/opt/m"]
        variables = { A = "x:${A}:$A", B = "$A `id` $(id) 'q' \\"q\\"", LD_PATH = "/l:$LD_PATHS:$LD_PATH" }
    """)
    (software,) = Software(modules=said.modules).lent(Environment(modules=("m",)))
    text = f'set -u; {software.exports()}printf "%s\\n" "$A" "$B" "$LD_PATH"'
    done = subprocess.run([shell, "-c", text], env={"A": "a b"}, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["x:a b:a b", "$A `id` $(id) 'q' \"q\"", "/l:$LD_PATHS:"]


@pytest.mark.parametrize(("name", "near"), [("samtool/1.17", ["samtools"]), ("Quantum-Expresso", ["quantum-espresso"])])
def test_names_that_are_near_are_known(name, near):
    """A slip in a module's name leads to the one that is meant."""
    software = Software()
    assert not software.module(name).known
    assert near[0] in software.near(name)
