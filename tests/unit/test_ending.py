"""How the server's processes end."""

import signal
import subprocess
import sys

ENGINE = """
import select, socket
from cluster_interface.main import _until_terminated
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
stopping = _until_terminated(lambda: theirs.send(b""))
print("waits", flush=True)
select.select([ours], [], [])
print(stopping.is_set(), ours.recv(9))
"""


def test_a_signal_ends_a_wait_that_nothing_else_would_end():
    """Python itself would go on waiting after the signal's handler (PEP 475)."""
    with subprocess.Popen([sys.executable, "-c", ENGINE], stdout=subprocess.PIPE, text=True) as waiting:
        assert waiting.stdout.readline() == "waits\n"
        waiting.send_signal(signal.SIGTERM)
        assert waiting.communicate(timeout=60)[0] == "True b''\n"
