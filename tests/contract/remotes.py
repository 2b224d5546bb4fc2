"""Servers that sources are fetched from: real ones where they can be had, all of them on this machine's loopback."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import pwd
import shutil
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit


@contextlib.contextmanager
def running(server):
    """Run a server while the block lasts."""
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def http_server(handler):
    """Serve with a handler class; yield the server with its `url` and the list `seen` of (method, path, headers)."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.seen, server.url = [], f"http://127.0.0.1:{server.server_port}"
    with running(server):
        yield server


def certify(home, name):
    """Make a certificate for a name (`DNS:data.example`), its own authority; return its file and a server's context."""
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test"]
    argv += ["-addext", f"subjectAltName={name}", "-keyout", home / "key.pem", "-out", home / "cert.pem"]
    subprocess.run(argv, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(home / "cert.pem", home / "key.pem")
    return home / "cert.pem", context


class Quiet(http.server.BaseHTTPRequestHandler):
    """Notes what it is asked, and keeps quiet."""

    protocol_version = "HTTP/1.1"

    def note(self):
        self.server.seen.append((self.command, self.path, dict(self.headers)))

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def serving_files(files, etags=True):
    """Make a handler that serves a mapping of paths to bytes; with a secret, only to who shows it."""

    class Handler(Quiet):
        secret = None

        def do_GET(self):
            self.note()
            if self.secret and self.headers.get("Authorization") != self.secret:
                return self.answer(401, b"who are you?")
            body = files.get(urlsplit(self.path).path)
            if body is None:
                return self.answer(404)
            tag = {"ETag": f'"{hash(body)}"'} if etags else {}
            return self.answer(200, body, **tag)

        do_HEAD = do_GET  # noqa: N815 - named by http.server

    return Handler


def git_handler(root: Path):
    """Make a handler that is `git http-backend`, git's own server (git-http-backend(1))."""

    class Handler(Quiet):
        secret = None

        def do_GET(self):
            self.note()
            if self.secret and self.headers.get("Authorization") != self.secret:
                return self.answer(401, b"", WWW_Authenticate="Basic")
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            path, _, query = self.path.partition("?")
            env = {
                "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(root), "GIT_HTTP_EXPORT_ALL": "1",
                "REQUEST_METHOD": self.command, "PATH_INFO": unquote(path), "QUERY_STRING": query,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""), "HOME": str(root),
                "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
            }  # fmt: skip
            done = subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True, check=True)
            head, _, out = done.stdout.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
            status = int(headers.pop("Status", "200").split()[0])
            return self.answer(status, out, **{k.replace("-", "_"): v for k, v in headers.items()})

        do_HEAD = do_POST = do_GET  # noqa: N815 - named by http.server

    return Handler


def repository(at: Path, files: dict[str, bytes]) -> str:
    """Make a bare repository with one commit and the tag v1; return the commit."""
    work = at.parent / f"{at.name}.work"
    work.mkdir(parents=True)
    for name, data in files.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_bytes(data)

    def git(*arguments):
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        argv = ["git", *who, "-C", str(work), *arguments]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q", "-b", "main")
    git("add", "-A")
    git("commit", "-q", "-m", "first")
    git("tag", "-a", "v1", "-m", "one")
    subprocess.run(["git", "clone", "-q", "--bare", str(work), str(at)], check=True, capture_output=True)
    subprocess.run(["chmod", "-R", "a+rX", str(at)], check=True)
    return git("rev-parse", "HEAD")


class SshServer:
    """OpenSSH's own server, for the account that runs the tests, with keys of its own."""

    def __init__(self, home: Path):
        self.home = home
        self.user = pwd.getpwuid(os.geteuid()).pw_name
        for name in ("host", "key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / name)], check=True)
        shutil.copy(home / "key.pub", home / "authorized")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        (home / "config").write_text(
            f"ListenAddress 127.0.0.1\nPort {self.port}\nHostKey {home}/host\nAuthorizedKeysFile {home}/authorized\n"
            "StrictModes no\nPermitRootLogin prohibit-password\nUsePAM no\nPasswordAuthentication no\n"
            f"Subsystem sftp internal-sftp\nPidFile {home}/pid\nMaxStartups 100\n"
        )

    def __enter__(self):
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        program = shutil.which("sshd") or "/usr/sbin/sshd"
        self.process = subprocess.Popen(
            [program, "-D", "-e", "-f", str(self.home / "config")], stderr=subprocess.DEVNULL
        )
        end = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return self
            assert time.monotonic() < end, "sshd does not answer"
            time.sleep(0.02)

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    @property
    def host_key(self) -> str:
        return " ".join((self.home / "host.pub").read_text().split()[:2])


def zenodo(files: dict[str, bytes], md5s: dict[str, str]):
    """Make a handler that answers as Zenodo's REST API did for a published record of these files."""
    record = json.loads((Path(__file__).parent / "zenodo_record.json").read_text())
    shape = record["files"][0]
    record["files"] = [
        {**shape, "key": name, "size": len(data), "checksum": f"md5:{md5s[name]}"} for name, data in files.items()
    ]
    served = {f"/api/records/1234/files/{name}/content": data for name, data in files.items()}
    return serving_files({**served, "/api/records/1234": json.dumps(record).encode()})
