"""What a program could reach of the bookkeeping around it, by way of other processes in its container."""

import os

import pytest
from tests.contract.rig import Box, Node, account_of

RUNTIMES = ("docker", "bubblewrap", "podman", "apptainer", "charliecloud")

#: Opens what other processes have open and it has not, and writes an end of its own choice on it.
SNOOP = """
import os, stat
own = {(os.fstat(n).st_dev, os.fstat(n).st_ino) for n in (0, 1, 2)}
others = [pid for pid in os.listdir("/proc") if pid.isdigit() and pid != str(os.getpid())]
assert "1" in others, others
for pid in others:
    for number in range(64):
        path = f"/proc/{pid}/fd/{number}"
        try:
            seen = os.stat(path)
            if stat.S_ISREG(seen.st_mode) and (seen.st_dev, seen.st_ino) not in own:
                print("found", os.readlink(path))
                open(path, "a").write("ended 0 0\\n")
        except OSError:
            continue
"""


@pytest.mark.parametrize("name", RUNTIMES)
def test_no_other_process_lends_a_file(place, ordinary, name):
    """No process in the container has a file open that the program could write on but has not been given."""
    os.chown(place, account_of(ordinary).uid, -1)
    made = Box(Node(place, account_of(ordinary)), name, "ls -A /tmp; umask; python3 program.py; exit 9")
    (made.dir / "tasks/0/program.py").write_text(SNOOP)
    status = made.execute()
    assert (status["exit_code"], made.out()) == (9, "0022\n"), (status, made.err())
    kept = [path for path in (made.attempt / "claim/0").iterdir() if path.is_file()]
    assert all("ended 0 0" not in path.read_text() for path in kept), kept
