"""What srun and mpirun start inside a container, for real: steps, programs of MPI, files by pattern, several nodes."""

from __future__ import annotations

import pytest
from tests.conftest import RUNTIMES

STEPS = """#!/bin/bash
#SBATCH --ntasks=2
mpicc ring.c -o /tmp/ring
srun -l sh -c 'echo $SLURM_PROCID of $SLURM_NTASKS' | sort > steps.txt
srun /tmp/ring | sort > srun.txt
mpirun -n 3 /tmp/ring | sort > mpirun.txt
srun -n 3 -o each-%t.txt sh -c 'echo $SLURM_LOCALID'
"""
RING = r"""#include <mpi.h>
#include <stdio.h>
int main(int n, char **words) {
  int rank, size, sum = 0;
  MPI_Init(&n, &words);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  MPI_Allreduce(&rank, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
  printf("%d of %d: %d\n", rank, size, sum);
  MPI_Finalize();
}
"""
PACKAGES = "python3,ca-certificates,gcc,libc6-dev,libopenmpi-dev,openmpi-bin"


@pytest.fixture(scope="module", params=RUNTIMES)
def parallel(request, make_server):
    """A server whose bases have MPI and a compiler, once per runtime."""
    return make_server(request.param, CLIF_IMAGES__PACKAGES=PACKAGES)


def test_srun_and_mpirun_start_processes_on_one_node(parallel):
    """A batch script for Slurm, run by this machine's own scheduler: steps, and a program of MPI by either."""
    home = parallel.work / "steps"
    home.mkdir()
    (home / "job.sbatch").write_text(STEPS)
    (home / "ring.c").write_text(RING)
    done = parallel.clif("run", "job.sbatch", cwd=home, timeout=1800)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (home / "steps.txt").read_text() == "0: 0 of 2\n1: 1 of 2\n"
    assert (home / "srun.txt").read_text() == "0 of 2: 1\n1 of 2: 1\n"
    assert (home / "mpirun.txt").read_text() == "0 of 3: 3\n1 of 3: 3\n2 of 3: 3\n"
    assert [(home / f"each-{number}.txt").read_text() for number in range(3)] == ["0\n", "1\n", "2\n"]


def test_a_step_that_fails_ends_the_script(parallel):
    """Its highest status is the script's last command's, and the log says which process it was."""
    parallel.write("fails.sh", "set -e\nsrun -n 2 sh -c 'exit $((SLURM_PROCID * 7))'\necho not reached\n")
    done = parallel.clif("run", "fails.sh", timeout=1800)
    assert done.returncode == 1
    assert "not reached" not in done.stdout
    assert "exited with 7" in done.stdout + done.stderr


def test_several_nodes_are_said_before_and_refused_in_the_job(parallel):
    """Inspection warns, and srun itself starts nothing."""
    parallel.write("nodes.sh", "srun -N 2 hostname\n")
    done = parallel.clif("run", "nodes.sh", timeout=1800)
    assert done.returncode == 1
    assert "ask for one node" in done.stdout + done.stderr
    parallel.write("wide.sh", "#SBATCH --nodes=2\nsrun hostname\n")
    described = parallel.clif("describe", "wide.sh")
    assert "no further than one node" in described.stdout + described.stderr
