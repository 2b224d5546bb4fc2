"""Software of the host in a container: its tree, what its module sets, and the server that it asks for its licence."""

import os
import secrets
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.conftest import bridge_address
from tests.contract.rig import Box, Node, account_of
from tests.contract.test_runtime_faces import on_terminal
from tests.licences import licences  # noqa: F401 - a fixture

from cluster_interface.adapters.runtimes import NoContainer, make
from cluster_interface.model.host import HostModule
from cluster_interface.ports import Mount

RUNTIMES = ("docker", "bubblewrap", "podman", "apptainer", "charliecloud")

#: A program that will not work without a licence. It is for bash, which opens connections by itself.
SOLVER = """#!/bin/bash
exec 3<>"/dev/tcp/${SOLVER_LICENSE_FILE#*@}/${SOLVER_LICENSE_FILE%@*}" || exit 7
read -r licence <&3
echo "$licence in $SOLVER_HOME, $SOLVER_MODE"
"""
MODULEFILE = """#%Module1.0
setenv SOLVER_HOME {tree}
setenv SOLVER_LICENSE_FILE {license}
setenv SOLVER_MODE {mode}
prepend-path PATH {tree}/bin
append-path LD_LIBRARY_PATH {tree}/lib
"""
MODE = 'it\'s "plain" `id` $HOME'  #: a value that a shell would take apart
LOOK = r"""
solver
echo "$PATH" "$LD_LIBRARY_PATH" | sed "s|$SOLVER_HOME|TREE|g"
(echo no >"$SOLVER_HOME/bin/solver") 2>/dev/null && echo overwritten
(echo no >"$SOLVER_HOME/new") 2>/dev/null && echo written
ls -d /usr/local/bin /usr/local/man/. | wc -l
(echo no >/usr/local/new) 2>/dev/null && echo written
env | grep -c "CLIF_LOADED\|^LOADEDMODULES"
exit 5
"""


@pytest.fixture(params=["/opt", "/usr/local"])
def tree(request):
    """A directory with the program, which no image has, beside others that images have."""
    top = Path(f"{request.param}/clif lent {secrets.token_hex(4)}")
    (top / "bin").mkdir(parents=True)
    (top / "bin/solver").write_text(SOLVER)
    (top / "bin/solver").chmod(0o755)
    top.chmod(0o755)
    yield top
    shutil.rmtree(top)


def modulefile(place, tree, server):
    """Write the module solver/2.1 below a directory of modulefiles; return that."""
    files = place / "modulefiles"
    (files / "solver").mkdir(parents=True)
    tcl = "{" + MODE + "}"
    (files / "solver/2.1").write_text(MODULEFILE.format(tree=str(tree).replace(" ", "\\ "), license=server, mode=tcl))
    subprocess.run(["chmod", "-R", "a+rX", files], check=True)
    return files


def server_for(runtime, port):
    """PORT@HOST as this runtime's containers can reach it: docker's have a network of their own."""
    if runtime != "docker":
        return f"{port}@{os.uname().nodename}"  # which only the node's own /etc/hosts knows
    return f"{port}@{bridge_address()}"


def box_of(runtime, place, ordinary, software, command=LOOK, node=None, **more):
    """A job that is lent software."""
    account = account_of(ordinary)
    os.chown(place, account.uid, account.gid)
    place.chmod(0o755)
    node = node or Node(place, account)
    mounts = tuple(Mount(source=Path(top), target=Path(top), lent=True) for top in software.trees)
    asked = {"network": True, "mounts": mounts, **more}
    return Box(node, make(runtime, account), command, host=(software,), modules=("solver/2.1",), **asked)


@pytest.mark.parametrize("runtime", [*RUNTIMES, "docker, shared by tasks"])
def test_a_licensed_program_of_the_host_runs_in_a_container(runtime, place, ordinary, tree, licences, modules):  # noqa: F811
    """Seen where it is, read-only, with what the node's own `module load` sets, and its licence is had."""
    runtime, _, shared = runtime.partition(", ")
    server = server_for(runtime, licences)
    files = modulefile(place, tree, server)
    said = HostModule(trees=(str(tree),), use=(str(files),), licenses=(server,))
    more = {"tasks": 2, "elements": [[0, 1]]} if shared else {}
    box = box_of(runtime, place, ordinary, said.as_named("solver/2.1"), **more)
    if shared:
        with box.node:
            box.finish()
    else:
        box.execute()
    for task in range(box.tasks):
        status = box.status(task)
        assert status["exit_code"] == 5, (status["reason"], box.err(task))
        program, paths, *rest = box.out(task).splitlines()
        assert program == f"licensed in {tree}, {MODE}"
        assert paths.startswith("TREE/bin:/opt/env/bin:/usr/local/sbin:")
        assert paths.endswith(" TREE/lib")
        assert rest == ["2", "0"]


@pytest.mark.parametrize("runtime", ["docker", "bubblewrap"])
def test_without_the_network_it_has_no_licence(runtime, place, ordinary, tree, licences):  # noqa: F811
    """A job without network reaches no licence server, whatever was declared of it."""
    server = server_for(runtime, licences)
    declared = {"PATH": f"{tree}/bin:$PATH", "SOLVER_LICENSE_FILE": server, "SOLVER_HOME": str(tree)}
    software = HostModule(trees=(str(tree),), variables=declared, licenses=(server,)).as_named("solver/2.1")
    status = box_of(runtime, place, ordinary, software, "solver", network=False).execute()
    assert status["exit_code"] == 7


def test_what_a_site_declares_is_set_and_what_was_before_is_named(place, ordinary, tree, licences):  # noqa: F811
    """Variables of the table are set after those of the job; `$NAME` in one's own value is what it was."""
    server = server_for("bubblewrap", licences)
    declared = {
        "PATH": f"{tree}/bin:$PATH",
        "SOLVER_LICENSE_FILE": server,
        "SOLVER_HOME": str(tree),
        "SOLVER_MODE": "${SOLVER_MODE} and $HOME",
    }
    software = HostModule(trees=(str(tree),), variables=declared, licenses=(server,)).as_named("solver/2.1")
    box = box_of("bubblewrap", place, ordinary, software, "solver", variables={"SOLVER_MODE": "slow"})
    assert box.execute()["exit_code"] == 0, box.err()
    assert box.out() == f"licensed in {tree}, slow and $HOME\n"


@pytest.mark.parametrize("runtime", ["docker", "bubblewrap"])
def test_what_is_not_there_is_said_in_words(runtime, place, ordinary, tree, modules):
    """A tree that the node does not have, and a module that it does not know: the task does not begin."""
    gone = HostModule(trees=(f"{tree}/nothing",)).as_named("solver/2.1")
    box = box_of(runtime, place, ordinary, gone)
    status = box.execute()
    assert status["exit_code"] is None
    assert status["reason"].startswith(f"input_unavailable: {tree}/nothing, in which software of the host is")
    unknown = HostModule(trees=(str(tree),)).as_named("solver/9")
    box = box_of(runtime, place, ordinary, unknown, node=box.node)
    status = box.execute()
    assert status["exit_code"] is None
    assert status["reason"].startswith("input_unavailable: the modules of the host cannot be loaded on ")
    assert "the module solver/9 cannot be loaded" in box.err()


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_tree_may_be_a_link(runtime, place, ordinary, tree):
    """What the site calls /opt/solver may lie elsewhere; it is seen under the name that the site gave it."""
    link = tree.with_name(f"{tree.name} link")
    link.symlink_to(tree)
    try:
        software = HostModule(trees=(str(link),), variables={"SOLVER_HOME": str(link)}).as_named("solver/2.1")
        box = box_of(runtime, place, ordinary, software, 'ls "$SOLVER_HOME"')
        assert box.execute()["exit_code"] == 0, box.err()
        assert box.out() == "bin\n"
    finally:
        link.unlink()


def test_a_shell_has_what_the_job_is_lent(place, ordinary, tree, licences, modules):  # noqa: F811
    """`clif shell` opens where the program of the host works; what writes it is sound shell."""
    server = server_for("bubblewrap", licences)
    said = HostModule(trees=(str(tree),), use=(str(modulefile(place, tree, server)),), licenses=(server,))
    box = box_of("bubblewrap", place, ordinary, said.as_named("solver/2.1"), "true")
    assert box.execute()["exit_code"] == 0, box.err()
    shell = place / "shell.sh"
    shell.write_text(box.runtime.shell_script(box.run, 0))
    for text in (box.script, shell):
        checked = subprocess.run(["shellcheck", "-s", "sh", text], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stdout
    said, code = on_terminal(box.node.account, shell, "solver; exit 6\n")
    assert f"licensed in {tree}, {MODE}" in said, said
    assert code == 6, said


def test_a_script_of_the_host_finds_module(place, ordinary, modules):
    """Without a container `module` is there for scripts that load modules themselves."""
    account = account_of(ordinary)
    os.chown(place, account.uid, account.gid)
    more = {"variables": {"MODULEPATH": modules.env["MODULEPATH"]}, "dialect": "slurm"}
    box = Box(Node(place, account), NoContainer(), "bash -ec 'module load hello/2.0; hello'", **more)
    assert box.execute()["exit_code"] == 0, box.err()
    assert box.out() == "hello again from a module\n"
