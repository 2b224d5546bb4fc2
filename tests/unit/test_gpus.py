"""GPUs as far as a machine without one can tell: whose driver is new enough, and what runtimes are told."""

import dataclasses
import os
import re
import subprocess
from pathlib import Path

import pytest
from tests.unit.test_runtime_script import evaluated, run_of

from cluster_interface.adapters.runtimes import Apptainer, Bubblewrap, Charliecloud, Docker, Podman
from cluster_interface.adapters.runtimes.script import shipped
from cluster_interface.model import cuda
from cluster_interface.model.errors import Permanent
from cluster_interface.model.plan import Ask, Lock
from cluster_interface.model.queue import Queue
from cluster_interface.ports import ImageRef
from cluster_interface.ports.images import Face

QUEUE = Queue(
    name="gpu", cpus=8, memory=2**33, time=None, default_cpus=1, default_memory=2**30, default_time=60, gpus=2
)
ASK = Ask(cpus=1, memory=2**30, time=60, gpus=1, queue="gpu", runtime="apptainer", disk=1)


@pytest.mark.parametrize(
    ("packages", "version"),
    [
        (["torch==2.8.0", "nvidia-cuda-runtime-cu12==12.8.90"], 12),
        (["torch==2.10.0", "nvidia-cuda-runtime==13.0.96", "triton==3.6.0"], 13),
        (["torch==2.1.0+cu118"], 11),
        (["jax==0.6.0", "jax-cuda12-plugin==0.6.0"], 12),
        (["cupy-cuda11x==13.0.0"], 11),
        (["pytorch=2.5.1", "cuda-version=12.6", "cuda-cudart=12.6.77"], 12),
        (["torch==2.8.0+cpu", "numpy==2.0.0", "cuda-python==12.0.0"], None),
        ([], None),
    ],
)
def test_the_cuda_of_packages(packages, version):
    """From what a lock names: wheels' own CUDA packages, local versions, plug-ins, conda's."""
    found = cuda.wanted(packages)
    assert (found and found[0]) == version
    assert found is None or found[1] in packages


@pytest.mark.parametrize(
    ("driver", "packages", "words"),
    [
        (
            "535.104.05",
            ["nvidia-cuda-runtime==13.0.96"],
            "driver 580 or newer; .* queue gpu have 535.104.05: .* CUDA 12",
        ),
        ("470.57.02", ["nvidia-cuda-runtime-cu12==12.1.1"], "wants NVIDIA driver 525 .* CUDA 11"),
        ("390.1", ["torch==1.9.0+cu111"], "a queue with newer drivers"),
        ("580.65.06", ["nvidia-cuda-runtime==13.0.96"], None),
        ("525.60.13", ["nvidia-cuda-runtime-cu12==12.9.1"], None),
        ("535.104.05", ["numpy==2.0.0"], None),
        ("535.104.05", ["nvidia-cuda-runtime==99.0.1"], None),
        (None, ["nvidia-cuda-runtime==13.0.96"], None),
    ],
)
def test_a_driver_that_is_too_old_is_said_before_anything_is_submitted(driver, packages, words):
    """The queue, its driver, the package, what it wants and what would do; what is not known is no reason to refuse."""
    lock = Lock(base="b", image="i", packages=tuple(packages))
    queue = dataclasses.replace(QUEUE, driver=driver)
    if words is None:
        cuda.check(lock, ASK, queue)
        return
    with pytest.raises(Permanent, match=words):
        cuda.check(lock, ASK, queue)
    cuda.check(lock, ASK.model_copy(update={"gpus": 0}), queue)
    cuda.check(None, ASK, queue)


def shell(text, path, **variables):
    """Run lines of shell with programs of our own first on PATH."""
    environ = {"PATH": f"{path}:{os.environ['PATH']}", **variables}
    done = subprocess.run(["dash", "-euc", text], env=environ, capture_output=True, text=True, check=True)
    return done.stdout.split()


def fake(place, name, text):
    """Put a program there."""
    (place / name).write_text(f"#!/bin/sh\n{text}\n")
    (place / name).chmod(0o755)


@pytest.mark.parametrize(
    ("variables", "devices"),
    [
        ({"SLURM_JOB_GPUS": "2,3", "CUDA_VISIBLE_DEVICES": "0,1"}, ["--gpus", '"device=2,3"']),
        ({"CUDA_VISIBLE_DEVICES": "GPU-8f,GPU-9e"}, ["--gpus", '"device=GPU-8f,GPU-9e"']),
        ({"CUDA_VISIBLE_DEVICES": "0 --privileged"}, ["--gpus", "2"]),
        ({}, ["--gpus", "2"]),
    ],
)
def test_docker_is_told_which_devices_are_the_jobs(tmp_path, variables, devices):
    """Those that the scheduler gave, by the node's own numbers; as many as were asked for where it does not say."""
    settings = "host= memory=8 cpus=1 pids=9 gpus=2 uid=1 gid=1 user=ada network=none job_source=x parents=no box=b"
    become = 'docker=docker; become() { shift 2; printf "%s\\n" "$@"; }'
    text = f"{settings}\n{become}\n{shipped('gpus.sh')}\n{shipped('docker.sh')}\nstart_container names"
    words = shell(text, tmp_path, **variables)
    assert words[words.index("--gpus") :][:2] == devices
    assert "--gpus" not in shell(text.replace("gpus=2", "gpus=0"), tmp_path, **variables)


def test_the_drivers_own_libraries_are_found(tmp_path):
    """Those of the kernel's module, of this machine's own kind, and no others."""
    lines = [
        "libcuda.so.1 (libc6,x86-64) => /usr/lib/x86_64-linux-gnu/libcuda.so.1",
        "libcuda.so.1 (libc6) => /usr/lib/i386-linux-gnu/libcuda.so.1",
        "libnvidia-ml.so.1 (libc6,x86-64) => /usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1",
        "libcudart.so.12 (libc6,x86-64) => /usr/local/cuda/lib64/libcudart.so.12",
        "libc.so.6 (libc6,x86-64) => /lib/x86_64-linux-gnu/libc.so.6",
    ]
    fake(tmp_path, "ldconfig", "\n".join(f"printf '\\t{line}\\n'" for line in lines))
    found = [Path(path).name for path in shell(f"{shipped('gpus.sh')}\ndriver_libraries", tmp_path)]
    assert found == ["libcuda.so.1", "libnvidia-ml.so.1"]


def test_a_library_that_is_there_twice_is_brought_once(tmp_path):
    """The one that the linker would take, which is the first; what only begins like it is another."""
    paths = ["/compat/libcuda.so.1", "/lib/libcuda.so.1", "/lib/libcuda.so", "/lib/libnvidia-ml.so.1"]
    lines = [f"{Path(path).name} (libc6,x86-64) => {path}" for path in paths]
    fake(tmp_path, "ldconfig", "\n".join(f"printf '\\t{line}\\n'" for line in lines))
    found = shell(f"{shipped('gpus.sh')}\ndriver_libraries", tmp_path)
    assert found == ["/compat/libcuda.so.1", "/lib/libcuda.so", "/lib/libnvidia-ml.so.1"]


@pytest.mark.parametrize(
    "runtime",
    [Docker(), Podman(), Apptainer(face=Face.DIRECTORY), Charliecloud(), Bubblewrap(remote=True)],
    ids=lambda r: r.name,
)
def test_a_script_with_gpus_is_whole(runtime, tmp_path):
    """It says how many, has what finds them, and is good shell; one without has none of it."""
    image = ImageRef(key="k", face=Face.DIRECTORY, rootfs=Path("/r"), tag="t:1")
    runtime._takes_parents = lambda: False
    plain = dataclasses.replace(run_of(), image=image)
    run = dataclasses.replace(run_of(ask={"gpus": 2}), image=image)
    with_gpus = runtime.job_script(run)
    (tmp_path / "job.sh").write_text(with_gpus)
    done = subprocess.run(["shellcheck", "-s", "sh", tmp_path / "job.sh"], capture_output=True, text=True, check=False)
    assert done.stdout == ""
    assert "\ngpus=2\n" in with_gpus
    assert "given_gpus() {" in with_gpus
    assert "given_gpus() {" not in runtime.job_script(plain)
    assert evaluated(run)["LD_LIBRARY_PATH"].startswith("/run/nvidia:")
    assert "LD_LIBRARY_PATH" not in evaluated(plain)


@pytest.mark.parametrize(("own", "path"), [({"LD_LIBRARY_PATH": "/opt/own:/x"}, "/opt/own:/x:"), ({}, "")])
def test_the_driver_is_found_beside_an_images_own_libraries(own, path):
    """Whoever sets where libraries are looked for does not lose the driver's."""
    image = ImageRef(key="k", face=Face.DIRECTORY, rootfs=Path("/r"))
    with_gpus = dataclasses.replace(run_of(ask={"gpus": 1}, variables=own), image=image)
    assert evaluated(with_gpus)["LD_LIBRARY_PATH"] == f"{path}/run/nvidia:/.singularity.d/libs"
    assert evaluated(run_of(variables=own)).get("LD_LIBRARY_PATH") == own.get("LD_LIBRARY_PATH")


@pytest.mark.parametrize(
    ("runtime", "told"),
    [
        (Apptainer(face=Face.DIRECTORY), True),
        (Charliecloud(), True),
        (Bubblewrap(remote=True), True),
        (Podman(), False),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_cuda_is_told_which_devices_are_the_jobs(tmp_path, runtime, told):
    """In containers that have all of the node's; the job's own word counts more, and nothing else gets in."""
    image = ImageRef(key="k", face=Face.DIRECTORY, rootfs=Path("/r"))

    def seen(gpus=1, own=None, **outer):
        run = dataclasses.replace(run_of(ask={"gpus": gpus}, variables=own or {}), image=image)
        become = re.search(r"^become\(\) .*?; }$", runtime.job_script(run), re.MULTILINE | re.DOTALL)[0]
        parts = shipped("gpus.sh") if gpus else ""
        text = f"native=1 task=0 opening= reset=\n{parts}\n{become}\nbecome printf '%s '"
        return re.findall(r"CUDA_VISIBLE_DEVICES[= ](\S+)", " ".join(shell(text, tmp_path, **outer)))

    assert seen(CUDA_VISIBLE_DEVICES="2,GPU-8f") == (["2,GPU-8f"] if told else [])
    assert seen(CUDA_VISIBLE_DEVICES="1", own={"CUDA_VISIBLE_DEVICES": "0"})[-1] == "0"
    assert seen(CUDA_VISIBLE_DEVICES="0 --dev-bind / /") == seen() == seen(gpus=0, CUDA_VISIBLE_DEVICES="1") == []
