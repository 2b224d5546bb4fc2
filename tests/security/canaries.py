"""Run in a network and a mount namespace of its own: everything that leads inside, tried on every protocol.

The loopback has addresses that are public (`OPEN`, where servers of ours answer) and some that are not (`INSIDE`,
where canaries listen). Names are resolved by a server of ours, which changes its mind. Every packet is seen on the
device itself, so a connection that is only begun, at whatever port and by whatever process, is noticed.
Prints as JSON, for each case, what was said and which inner addresses were written to.
"""

from __future__ import annotations

import dataclasses
import http.server
import ipaddress
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from urllib.parse import unquote

OPEN, RESOLVER = "93.184.216.34", "9.9.9.9"  # public, and here on our own loopback
INSIDE = ("169.254.169.254", "10.0.0.1")
CANARIES = (*INSIDE, "127.0.0.1")
PORTS = (22, 80, 443, 3128, 9000, 9418)
PROXY = f"http://{INSIDE[1]}:3128"

KEY = {"access_key": "a", "secret_key": "b"}
SFTP = {"username": "u", "password": "p", "host_key": "ssh-ed25519 AAAA"}


def s3(**secret):
    """A key for a bucket."""
    return ("s3", "s3://bucket", {**KEY, **secret})


def sftp(host):
    """A key for a host."""
    return ("sftp", f"sftp://{host}", SFTP)


#: name -> (source, or place to deliver to), keys, settings.
CASES = {
    **{f"http {host}": (f"http://{host}/x", (), {}) for host in (*CANARIES, "inside.example.org", "mixed6.example.org")},
    "http redirect": (f"http://open.example.org/to/http://{INSIDE[0]}/latest", (), {}),
    "http redirect to a name": ("http://open.example.org/to/http://inside.example.org:9000/", (), {}),
    "http rebinding": ("http://rebind-http.example.org/x", (), {}),
    "http member of an archive": (f"http://{INSIDE[0]}/x.zip!/a", (), {}),
    "s3 endpoint of the key": ("s3://bucket/x", (s3(endpoint=f"http://{INSIDE[0]}"),), {}),
    "s3 endpoint by a name": ("s3://bucket/x", (s3(endpoint="http://inside.example.org:9000"),), {}),
    "s3 region of the key": ("s3://bucket/x", (s3(region=f"x@{INSIDE[1]}:80/"),), {}),
    "s3 region as a name": ("s3://bucket/x", (s3(region=f"x@{INSIDE[1]}#"),), {}),
    "s3 endpoint of the site": ("s3://bucket/x", (), {"s3_endpoint": f"http://{INSIDE[0]}"}),
    "s3 redirect": ("s3://bucket/x", (s3(endpoint=f"http://open.example.org/to/http://{INSIDE[0]}"),), {}),
    "s3 rebinding": ("s3://bucket/x", (s3(endpoint="http://rebind-s3.example.org"),), {}),
    "s3 listing": ("s3://bucket/", (s3(endpoint=f"http://open.example.org/to/http://{INSIDE[1]}"),), {}),
    **{f"sftp {host}": (f"sftp://{host}/x", (sftp(host),), {}) for host in (*CANARIES, "inside.example.org")},
    "sftp port": (f"sftp://{INSIDE[1]}:9000/x", (sftp(f"{INSIDE[1]}:9000"),), {}),
    "sftp alias of ssh_config": ("sftp://alias/x", (sftp("alias"),), {}),
    "sftp proxy of ssh_config": ("sftp://open.example.org/x", (sftp("open.example.org"),), {}),
    "sftp rebinding": ("sftp://rebind-sftp.example.org/x", (sftp("rebind-sftp.example.org"),), {}),
    **{f"git {url}": (f"git:{url}/r@main!/a", (), {}) for url in (f"http://{INSIDE[0]}", f"git://{INSIDE[1]}")},
    "git over git by a name": ("git:git://inside.example.org/r@main!/a", (), {}),
    "git redirect": (f"git:http://open.example.org/to/http://{INSIDE[1]}/r@main!/a", (), {}),
    "git rebinding": ("git:http://rebind-git.example.org/repo.git@main!/none", (), {}),
    "git rebinding over git": ("git:git://rebind-git9.example.org/repo.git@main!/none", (), {}),
    "git redirect of the pack": ("git:http://open.example.org/pack/repo.git@main!/a", (), {}),
    "git insteadOf": ("git:http://instead.example.org/repo.git@main!/none", (), {}),
    "git alternates": ("git:http://open.example.org/dumb/repo.git@main!/none", (), {}),
    "git submodule": ("git:http://open.example.org/repo.git@main!/module/x", (), {}),
    "doi": ("doi:10.5281/zenodo.1/x", (), {"zenodo": f"http://{INSIDE[0]}"}),
    "doi redirect of the file": ("doi:10.5281/zenodo.1/x", (), {"zenodo": "http://open.example.org"}),
    "deliver s3": ("to s3://bucket/x", (s3(endpoint=f"http://{INSIDE[0]}"),), {}),
    "deliver s3 redirect": ("to s3://bucket/x", (s3(endpoint=f"http://open.example.org/to/http://{INSIDE[0]}"),), {}),
    "deliver s3 rebinding": ("to s3://bucket/x", (s3(endpoint="http://rebind-put.example.org"),), {}),
    **{f"deliver sftp {host}": (f"to sftp://{host}/x", (sftp(host),), {}) for host in (*CANARIES, "inside.example.org")},
    "deliver sftp rebinding": ("to sftp://rebind-out.example.org/x", (sftp("rebind-out.example.org"),), {}),
}  # fmt: skip
#: What must reach the canary: a site that allows its own networks, so that the other cases can fail.
REACHED = {
    "reached http": (f"http://{INSIDE[1]}:80/x", (), {}),
    "reached s3": ("s3://bucket/x", (s3(endpoint=f"http://{INSIDE[1]}"),), {}),
    "reached sftp": (f"sftp://{INSIDE[1]}/x", (sftp(INSIDE[1]),), {}),
    "reached git": (f"git:http://{INSIDE[1]}/r@main!/a", (), {}),
    "reached deliver": (f"to sftp://{INSIDE[1]}/x", (sftp(INSIDE[1]),), {}),
}
#: What must get through to the server that is outside: the cases fail for no other reason than the one they are about.
THROUGH = {
    "through git": ("git:http://open.example.org/repo.git@main!/a", (), {}),
    "through http": ("http://open.example.org/a", (), {}),
}


class Sniffer:
    """Notes which inner addresses packets are sent to."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3))
        self.socket.bind(("lo", 0))
        self.socket.setblocking(False)

    def seen(self):
        found = set()
        while True:
            try:
                frame = self.socket.recv(256)
            except BlockingIOError:
                return sorted(found)
            kind = struct.unpack("!H", frame[12:14])[0]
            raw = frame[30:34] if kind == 0x0800 else frame[38:54] if kind == 0x86DD else b""
            if raw and not (address := ipaddress.ip_address(raw)).is_global and not address.is_multicast:
                found.add(str(address))


def answer_names(sock):
    """Be a name server: `rebind-*` is outside when it is asked first, and inside ever after."""
    asked = {}
    while True:
        query, who = sock.recvfrom(512)
        labels, at = [], 12
        while length := query[at]:
            labels.append(query[at + 1 : at + 1 + length].decode())
            at += 1 + length
        kind = struct.unpack("!H", query[at + 1 : at + 3])[0]
        data = resolve(".".join(labels[:-2]) if labels[-2:] == ["example", "org"] else "", kind, asked)
        head = query[:2] + struct.pack("!5H", 0x8580, 1, len(data), 0, 0) + query[12 : at + 5]
        records = b"".join(struct.pack("!HHHIH", 0xC00C, kind, 1, 0, len(one)) + one for one in data)
        sock.sendto(head + records, who)


def resolve(name, kind, asked):
    """Return the addresses of a name below example.org."""
    if kind == 28:
        return [socket.inet_pton(socket.AF_INET6, "::ffff:10.0.0.1")] if name == "mixed6" else []
    if kind != 1 or not name:
        return []
    if name.startswith("rebind"):
        asked[name] = asked.get(name, 0) + 1
        return [socket.inet_aton(OPEN if asked[name] == 1 else INSIDE[1])]
    where = {"open": OPEN, "instead": OPEN, "inside": INSIDE[0]}.get(name)
    return [socket.inet_aton(where)] if where else []


class Outside(http.server.BaseHTTPRequestHandler):
    """A server outside, which leads inside wherever it can."""

    root: Path

    def do_GET(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if self.path.startswith("/to/"):
            return self.say(307, b"", Location=unquote(self.path[4:]))
        if self.path.startswith("/pack/") and self.command == "POST":
            return self.say(307, b"", Location=f"http://{INSIDE[1]}/repo.git/git-upload-pack")
        if self.path.startswith("/api/records/1/files"):
            return self.say(302, b"", Location=f"http://{INSIDE[0]}/x")
        if self.path == "/api/records/1":
            return self.say(200, json.dumps({"files": [{"key": "x", "size": 1}]}).encode())
        if self.path == "/a":
            return self.say(200, b"fine")
        if self.path.startswith("/dumb/"):
            file = self.root / self.path[1:].partition("?")[0]
            return self.say(200, file.read_bytes()) if file.is_file() else self.say(404, b"")
        return self.git(self.path.removeprefix("/pack"), body)

    do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815 - named by http.server

    def git(self, target, body):
        path, _, query = target.partition("?")
        env = {
            "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(self.root), "GIT_HTTP_EXPORT_ALL": "1", "QUERY_STRING": query,
            "REQUEST_METHOD": self.command, "PATH_INFO": path, "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)), "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""), "HOME": str(self.root),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""), "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
        }  # fmt: skip
        done = subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True, check=False)
        head, _, out = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        return self.say(int(headers.pop("Status", "200").split()[0]), out, **headers)

    def say(self, status, body, **headers):
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


def set_up(root):
    """Make the network, its names, its servers, the repository, and settings of the user's that lead inside."""
    ip = [["link", "set", "lo", "up"], *(["addr", "add", f"{a}/32", "dev", "lo"] for a in (OPEN, RESOLVER, *INSIDE))]
    for words in ip:
        subprocess.run(["ip", *words], check=True)
    for name, text in {
        "resolv.conf": f"nameserver {RESOLVER}\noptions timeout:1 attempts:1\n",
        "nsswitch.conf": "hosts: dns\n",
        "gitconfig": f'[url "http://{INSIDE[1]}/"]\n\tinsteadOf = http://instead.example.org/\n[http]\n\tproxy = {PROXY}\n',
    }.items():
        (root / name).write_text(text)
        (root / name).chmod(0o644)
        place = Path("/etc") / name
        if place.exists():
            subprocess.run(["mount", "--bind", str(root / name), str(place.resolve())], check=True)
    home = root / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".gitconfig").write_text((root / "gitconfig").read_text())
    (home / ".ssh/config").write_text(
        f"Host alias\n HostName {INSIDE[1]}\nHost open.example.org\n ProxyCommand nc {INSIDE[1]} 22\n"
    )
    proxies = {f"{kind}_proxy": PROXY for kind in ("http", "https", "all")}
    os.environ |= {
        "HOME": str(home),
        "AWS_ENDPOINT_URL": f"http://{INSIDE[0]}",
        "GIT_PROXY_COMMAND": f"nc {INSIDE[1]} 22",
    }
    os.environ |= proxies | {name.upper(): value for name, value in proxies.items()}
    make_repository(root / "served")
    names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    names.bind((RESOLVER, 53))
    outside = http.server.ThreadingHTTPServer((OPEN, 80), type("Served", (Outside,), {"root": root / "served"}))
    for work, arguments in ((answer_names, (names,)), (outside.serve_forever, ())):
        threading.Thread(target=work, args=arguments, daemon=True).start()
    canaries = [socket.create_server((address, port)) for address in CANARIES for port in PORTS]
    for canary in canaries:
        threading.Thread(target=hang_up, args=(canary,), daemon=True).start()


def hang_up(canary):
    """Take every call, and say nothing: nobody waits for an answer."""
    while True:
        canary.accept()[0].close()


def make_repository(root):
    """A repository with a submodule and alternates that are inside."""
    work = root / "work"
    work.mkdir(parents=True)
    (work / "a").write_text("fine")
    (work / ".gitmodules").write_text(f'[submodule "module"]\n\tpath = module\n\turl = http://{INSIDE[1]}/repo.git\n')
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    link = ["update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},module"]
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], link, ["commit", "-qm", "first"]):
        subprocess.run(["git", *who, "-C", str(work), *words], check=True, env={"PATH": os.environ["PATH"]})
    for name in ("repo.git", "dumb/repo.git"):
        subprocess.run(["git", "clone", "-q", "--bare", str(work), str(root / name)], check=True)
    dumb = root / "dumb/repo.git"
    subprocess.run(["git", "-C", str(dumb), "update-server-info"], check=True)
    (dumb / "objects/info/http-alternates").write_text(f"http://{INSIDE[1]}/repo.git/objects\n")
    for part in (dumb / "objects").glob("[0-9a-f][0-9a-f]/*"):
        part.unlink()  # so that whoever reads it without git's own server looks elsewhere
    subprocess.run(["chmod", "-R", "a+rX", str(root)], check=True)


def main():
    """Go through the cases."""
    from cluster_interface.model.credential import Credential
    from cluster_interface.model.errors import ClusterError
    from cluster_interface.model.filetree import FileEntry
    from cluster_interface.model.job import Account
    from cluster_interface.ports import Layout
    from cluster_interface.settings import DeliverySettings, Staging
    from cluster_interface.staging import UploadStore, Workspace
    from cluster_interface.staging.sources import Keys
    from cluster_interface.staging.web import Web

    plain = Web.of
    Web.of = classmethod(lambda _cls, settings: dataclasses.replace(plain(settings), pause=0.001))
    root = Path(tempfile.mkdtemp(dir="/var/tmp"))
    root.chmod(0o755)
    set_up(root)
    own = Account(name="me", uid=os.geteuid(), gid=os.getegid())
    account = Account(name="nobody", uid=65534, gid=65534) if os.geteuid() == 0 else own
    sniffer = Sniffer()

    def attempt(number, to, keys, settings):
        known = tuple(
            Credential(name=f"k{n}", kind=kind, match=match, secret=secret)
            for n, (kind, match, secret) in enumerate(keys)
        )
        workspace = Workspace(
            root / f"jobs{number}", UploadStore(root / "uploads", 2**20), Staging(timeout=2, **settings), lambda _job: account,
            owner_of=lambda _job: "ada", keys=Keys(lambda _who: known), delivery=DeliverySettings(),
        )  # fmt: skip
        if to.startswith("to "):
            workspace.stage_in("job", [], Layout(tasks=1), lambda _progress: None)
            (workspace.directory("job") / "tasks/0/out").write_text("x")
            outputs = workspace.collect("job", 1, ["**"], lambda _progress: None)[0]
            delivery = workspace.deliver("job", to[3:], [(one.path, one) for one in outputs], lambda _progress: None)
            return delivery.trouble
        name = "in/" if to.endswith("/") else "in"
        files = {name: FileEntry(source=to)}
        try:
            pairs = [(info, files[info.path]) for info in workspace.check("job", files)]
            workspace.stage_in("job", pairs, Layout(tasks=1), lambda _progress: None)
        except ClusterError as error:
            return str(error)
        return ""

    found = {}
    allowed = {"allowed_networks": ("10.0.0.0/8",)}
    for number, (name, (to, keys, settings)) in enumerate({**CASES, **THROUGH, **REACHED}.items()):
        sniffer.seen()
        more = allowed if name in REACHED else {}
        found[name] = {"said": attempt(number, to, keys, {**settings, **more}), "seen": sniffer.seen()}
    subprocess.run(["rm", "-rf", str(root)], check=False)
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
