"""What tests of images make on the spot: a conda channel, a repository of R packages, a shared object, a registry."""

import hashlib
import io
import json
import socket
import struct
import subprocess
import tarfile
import time
from pathlib import Path

PLACEHOLDER = "/opt/placeholder" + "_x" * 100  #: as long as conda's own, so that any prefix fits


def conda_package(channel, name, files, depends=(), version="1.0"):
    """Publish a conda package in a channel that is a directory; @PREFIX@ in its texts is its place."""
    place = channel / "linux-64"
    place.mkdir(parents=True, exist_ok=True)
    index = {"name": name, "version": version, "build": "0", "build_number": 0, "depends": list(depends)}
    index |= {"subdir": "linux-64", "timestamp": 1_700_000_000_000}
    contents = {path: text.replace("@PREFIX@", PLACEHOLDER).encode() for path, text in files.items()}
    paths = [
        {
            "_path": path,
            "path_type": "hardlink",
            "sha256": hashlib.sha256(data).hexdigest(),
            "size_in_bytes": len(data),
            **({"prefix_placeholder": PLACEHOLDER, "file_mode": "text"} if PLACEHOLDER.encode() in data else {}),
        }
        for path, data in contents.items()
    ]
    contents["info/index.json"] = json.dumps(index).encode()
    contents["info/paths.json"] = json.dumps({"paths": paths, "paths_version": 1}).encode()
    file = place / f"{name}-{version}-0.tar.bz2"
    with tarfile.open(file, "w:bz2") as archive:
        for path, data in contents.items():
            _add(archive, path, data)
    known = place / "repodata.json"
    repodata = json.loads(known.read_text()) if known.exists() else {"packages": {}, "packages.conda": {}}
    facts = {"sha256": hashlib.sha256(file.read_bytes()).hexdigest(), "size": file.stat().st_size}
    repodata["packages"][file.name] = {**index, **facts}
    known.write_text(json.dumps({"info": {"subdir": "linux-64"}, **repodata}))
    (channel / "noarch").mkdir(exist_ok=True)
    (channel / "noarch/repodata.json").write_text(json.dumps({"info": {"subdir": "noarch"}, "packages": {}}))


def r_package(repository, name, code, imports=""):
    """Publish the source of an R package (version 1.0) as `tools::write_PACKAGES` would."""
    place = repository / "src/contrib"
    place.mkdir(parents=True, exist_ok=True)
    fields = f"Package: {name}\nVersion: 1.0\n" + (f"Imports: {imports}\n" if imports else "")
    rest = "Title: T\nDescription: D.\nLicense: MIT\nAuthor: a\nMaintainer: a <a@example.org>\n"
    with tarfile.open(place / f"{name}_1.0.tar.gz", "w:gz") as archive:
        _add(archive, f"{name}/DESCRIPTION", (fields + rest).encode())
        _add(archive, f"{name}/NAMESPACE", b'exportPattern("^[a-z]+")\n')
        _add(archive, f"{name}/R/code.R", code.encode())
    md5 = hashlib.md5((place / f"{name}_1.0.tar.gz").read_bytes(), usedforsecurity=False).hexdigest()
    with (place / "PACKAGES").open("a") as file:
        file.write(f"{fields}NeedsCompilation: no\nMD5sum: {md5}\n\n")


def shared_object(*needed):
    """Write an ELF file that does nothing and names these libraries (gABI chapter 5)."""
    names = b"\0" + b"".join(name.encode() + b"\0" for name in needed)
    offsets = [names.index(name.encode() + b"\0") for name in needed]
    dynamic = b"".join(struct.pack("<qQ", 1, offset) for offset in offsets)
    start = 64 + 2 * 56
    dynamic += struct.pack("<qQ", 5, start) + struct.pack("<qQ", 10, len(names)) + struct.pack("<qQ", 0, 0)
    at = start + len(names)
    size = at + len(dynamic)
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 64, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 4, 0, 0, 0, size, size, 0x1000)
    return header + load + struct.pack("<IIQQQQQQ", 2, 4, at, at, at, len(dynamic), len(dynamic), 8) + names + dynamic


class Registry:
    """Debian's docker-registry on a loopback port."""

    def __init__(self, place: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.host = f"127.0.0.1:{free.getsockname()[1]}"
        self.files = place / "registry"
        self._place = place
        self.start()

    def start(self, *, readonly=False, login=False):
        """Start it on its port with what it has; `readonly`: nobody may push, `login`: nobody without a login."""
        settings = self._place / "registry.json"  # JSON is YAML
        storage = {"filesystem": {"rootdirectory": str(self.files)}}
        storage["maintenance"] = {"readonly": {"enabled": readonly}}
        wanted = {"version": "0.1", "log": {"level": "error"}, "storage": storage, "http": {"addr": self.host}}
        if login:
            wanted["auth"] = {"htpasswd": {"realm": "test", "path": str(self._place / "htpasswd")}}
        settings.write_text(json.dumps(wanted))
        self._process = subprocess.Popen(["docker-registry", "serve", settings], stderr=subprocess.DEVNULL)
        self._wait()

    def push(self, archive, name):
        """Push an archive of `docker save`."""
        argv = ["skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"]
        subprocess.run([*argv, f"docker-archive:{archive}", f"docker://{self.host}/{name}"], check=True)

    def blobs(self):
        """List what it has: layers, configurations and manifests."""
        return {path.parent.name for path in self.files.glob("docker/registry/v2/blobs/sha256/*/*/data")}

    def stop(self):
        """End it."""
        self._process.terminate()
        self._process.wait(60)

    def _wait(self):
        address, port = self.host.split(":")
        until = time.monotonic() + 60
        while time.monotonic() < until and self._process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex((address, int(port))) == 0:
                    return
            time.sleep(0.05)
        raise RuntimeError("docker-registry does not start")


def _add(archive, name, data):
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(data), 0o755 if data.startswith(b"#!") else 0o644, 1_700_000_000
    archive.addfile(info, io.BytesIO(data))
