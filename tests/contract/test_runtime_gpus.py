"""What a job with GPUs finds of a driver, on a machine whose driver is make-believe: ldconfig(8) lists it."""

import os

import pytest
from tests.contract.rig import Box, Node, account_of


@pytest.mark.parametrize("runtime", ["bubblewrap", "charliecloud"])
@pytest.mark.parametrize("gpus", [1, 0])
def test_the_drivers_libraries_are_in_the_container(place, ordinary, runtime, gpus):
    """Where nothing else brings them they are put where the loader looks, for a job with GPUs alone."""
    programs = place / "bin"
    programs.mkdir()
    (programs / "libcuda.so.1").write_text("the driver's own\n")
    listed = f"printf '\\tlibcuda.so.1 (libc6,{'x86-64' if os.uname().machine == 'x86_64' else 'AArch64'}) => %s\\n'"
    (programs / "ldconfig").write_text(f"#!/bin/sh\n{listed} {programs}/libcuda.so.1\n")
    (programs / "ldconfig").chmod(0o755)
    command = 'cat "${LD_LIBRARY_PATH%%:*}/libcuda.so.1" 2>/dev/null || echo none; ls -d /run/nvidia 2>/dev/null || :'
    box = Box(Node(place, account_of(ordinary)), runtime, command, gpus=gpus)
    text = box.script.read_text()
    box.script.write_text(text.replace("\n", f"\nPATH={programs}:$PATH\n", 1))
    assert box.execute()["exit_code"] == 0, box.err()
    assert box.out() == ("the driver's own\n/run/nvidia\n" if gpus else "none\n")
