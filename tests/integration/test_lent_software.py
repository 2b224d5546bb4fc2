"""A licensed program of the host, all the way: from the site's table to the job's output."""

import json
import secrets
import shutil
from pathlib import Path

import pytest
from tests.conftest import RUNTIMES, bridge_address
from tests.licences import licences  # noqa: F401 - a fixture

#: For bash, which opens connections by itself.
SOLVER = """#!/bin/bash
exec 3<>"/dev/tcp/${SOLVER_LICENSE_FILE#*@}/${SOLVER_LICENSE_FILE%@*}" || exit 7
read -r licence <&3
echo "$licence in $SOLVER_HOME"
"""
BATCH = """#!/bin/bash -l
#SBATCH --time=5
set -e
source /etc/profile.d/modules.sh
module purge
module load solver/2.1
solver > said.txt
"""
TABLE = """[software.modules.solver]
trees = ["{tree}"]
use = ["{files}"]
licenses = ["{server}"]
"""


@pytest.fixture(scope="module")
def tree():
    """The program, and the modulefile beside it."""
    top = Path(f"/opt/clif-lent-{secrets.token_hex(4)}")
    (top / "solver/bin").mkdir(parents=True)
    (top / "solver/bin/solver").write_text(SOLVER)
    (top / "solver/bin/solver").chmod(0o755)
    (top / "modulefiles/solver").mkdir(parents=True)
    for path in (top, *top.rglob("*")):
        path.chmod(0o755)
    yield top
    shutil.rmtree(top)


@pytest.fixture(scope="module", params=RUNTIMES)
def site(request, make_server, tree, licences, modules):  # noqa: F811
    """A server whose table has the program; docker's containers reach it by the address of their bridge."""
    address = bridge_address() if request.param == "docker" else "127.0.0.1"
    server, files = f"{licences}@{address}", tree / "modulefiles"
    (files / "solver/2.1").write_text(
        f"#%Module1.0\nsetenv SOLVER_HOME {tree}/solver\nsetenv SOLVER_LICENSE_FILE {server}\n"
        f"prepend-path PATH {tree}/solver/bin\n"
    )
    made = make_server(request.param, start=False)
    table = TABLE.format(tree=tree / "solver", files=files, server=server)
    with (made.directory / "config.toml").open("a") as config:
        config.write(table)
    made.start()
    return made


def test_a_batch_script_loads_a_licensed_program(site, tree):
    """As it is, but for the network that a licence takes, and it says so before."""
    site.write("fit.sbatch", BATCH)
    done = site.clif("describe", "fit.sbatch")
    assert f"module solver/2.1  (line 6 loads it; the host lends {tree}/solver" in done.stderr
    assert "for its licence: say --network" in done.stderr
    done = site.clif("submit", "fit.sbatch")
    assert done.returncode == 2
    assert "which a job without network cannot reach" in done.stderr
    job = site.submit(BATCH, "--network", name="fit.sbatch")
    view = site.until(job, "completed", seconds=600)
    assert [one["trees"] for one in view["plan"]["host"]] == [[f"{tree}/solver"]]
    assert site.clif("outputs", job, "--to", "out").returncode == 0
    assert (site.work / "out/said.txt").read_text() == f"licensed in {tree}/solver\n"
    assert f"solver/2.1, from {tree}/solver" in site.clif("status", job).stdout
    done = site.clif("capsule", job, "x.tar")
    assert done.returncode != 0
    assert "cannot be put into a capsule: solver/2.1" in done.stderr


def test_a_module_that_nobody_knows_is_refused(site):
    """In a spec written by hand: the field, near names and what to do. In a script it is a warning."""
    spec = {"apiVersion": 1, "command": "true", "environment": {"modules": ["solvr/2", "matlab/R2023b"]}}
    site.write("job.json", json.dumps(spec))
    done = site.clif("submit", "job.json")
    assert done.returncode == 2
    assert "environment.modules: solvr/2: neither the site's table of modules nor" in done.stderr
    assert "did you mean solver?" in done.stderr
    assert "matlab/R2023b stays on the host (the table of modules)" in done.stderr
