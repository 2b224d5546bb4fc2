"""Sources must not lead the server to its own insides. Runs without any network but an empty loopback."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

TARGETS = [
    "http://169.254.169.254/latest/meta-data/",
    "http://169.254.169.254.:80/",
    "http://[fd00:ec2::254]/latest/",
    "http://127.0.0.1:{port}/",
    "https://127.0.0.1:{port}/",
    "http://localhost:{port}/",
    "http://127.1:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://0x7f.1:{port}/",
    "http://0x7f000001:{port}/",
    "http://2130706433:{port}/",
    "http://0:{port}/",
    "http://0.0.0.0:{port}/",
    "http://[::]:{port}/",
    "http://[::1]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[::127.0.0.1]:{port}/",
    "http://[64:ff9b::127.0.0.1]:{port}/",
    "http://[2002:7f00:1::]:{port}/",
    "http://[fec0::1]:{port}/",
    "http://[fe80::1%25lo]:{port}/",
    "http://[fe80::1%lo]:{port}/",
    "http://\u2460\u2461\u2466.0.0.1:{port}/",
    "http://127\u30020\u30020\u30021:{port}/",
    "http://user@127.0.0.1:{port}/",
    "http://8.8.8.8@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}#@8.8.8.8/",
    "http://127.0.0.1:{port}\\@8.8.8.8/",
    "http:127.0.0.1:{port}/",
    "http:///127.0.0.1:{port}/",
    "http://10.0.0.1:{port}/",
    "http://100.64.0.1/",
    "http://192.168.1.1/",
    "http://172.16.0.1/",
    "http://168.63.129.16/",
    "http://255.255.255.255/",
    "http://224.0.0.1/",
]

PROGRAM = """
import dataclasses, socket, sys, threading
from cluster_interface.model.errors import Permanent
from cluster_interface.settings import Staging
from cluster_interface.staging.many import take
from cluster_interface.staging.web import Web

canary = socket.socket(socket.AF_INET6)
canary.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
canary.bind(("::", 0))
canary.listen(50)
canary.setblocking(False)
target = sys.argv[1].replace("{port}", str(canary.getsockname()[1]))
web = dataclasses.replace(Web.of(Staging(timeout=1)), pause=0.001)
assert not dict(take(web, {target: (lambda *_: {}, None)}, 100, 2)) or sys.exit("the source was one of many")
try:
    web.measure(target)
except Permanent as error:
    print(error)
else:
    sys.exit("the source was measured")
try:
    canary.accept()
except BlockingIOError:
    sys.exit(0)
sys.exit("something connected")
"""

REDIRECT = """
import dataclasses, http.server, socket, sys, threading
from cluster_interface.model.errors import Permanent
from cluster_interface.settings import Staging
from cluster_interface.staging.many import take
from cluster_interface.staging.web import Web

seen = []
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        seen.append(self.path)
        self.send_response(302)
        self.send_header("Location", sys.argv[1].replace("{port}", str(canary.server_port)))
        self.end_headers()
    do_HEAD = do_GET
    def log_message(self, *_): pass

class Canary(Handler):
    def do_GET(self):
        sys.stderr.write("the canary was reached")
        self.send_response(200)
        self.end_headers()
    do_HEAD = do_GET

public = http.server.ThreadingHTTPServer(("127.5.5.5", 0), Handler)
canary = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Canary)
for server in (public, canary):
    threading.Thread(target=server.serve_forever, daemon=True).start()
web = Web.of(Staging(timeout=1, allowed_networks=("127.5.5.5/32",)))
web = dataclasses.replace(web, pause=0.001)
assert not dict(take(web, {f"http://127.5.5.5:{public.server_port}/x": (lambda *_: {}, None)}, 100, 2))
try:
    web.measure(f"http://127.5.5.5:{public.server_port}/x")
except Permanent as error:
    print(error)
    assert seen, "the first hop must have been reached"
else:
    sys.exit("the redirect was followed")
"""


def run(program, *arguments):
    """Run a program in a network of its own: a loopback that is up, and nothing else."""
    setup = 'ip link set lo up 2>/dev/null || true; exec "$@"'
    unshare = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
    argv = [*unshare, "sh", "-c", setup, "sh", sys.executable, "-c", textwrap.dedent(program), *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def test_the_canary_can_be_reached_at_all():
    """Without the guard's refusal the canary would be reached: the other tests can fail."""
    open_to_all = PROGRAM.replace("Staging(timeout=1)", 'Staging(timeout=1, allowed_networks=("127.0.0.0/8",))')
    done = run(open_to_all, "http://127.0.0.1:{port}/")
    assert "something connected" in done.stderr, done


@pytest.mark.parametrize("target", TARGETS)
def test_no_spelling_reaches_the_inside(target):
    """A source inside is refused before anything connects."""
    done = run(PROGRAM, target)
    assert done.returncode == 0, done
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "//127.0.0.1:{port}/",
        "http://2130706433:{port}/",
        "http://169.254.169.254/",
        "ftp://127.0.0.1:{port}/",
        "file:///etc/passwd",
    ],
)
def test_no_redirect_reaches_the_inside(target):
    """An allowed server that redirects to an inner address leads nowhere."""
    done = run(REDIRECT, target)
    assert done.returncode == 0, done
    assert "canary" not in done.stderr
