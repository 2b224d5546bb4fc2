"""What a package index says is good for a while, unless that makes the difference."""

import functools
import http.server
import threading
import zipfile

import pytest

from cluster_interface.images import lock as locks
from cluster_interface.images.requirements import read
from cluster_interface.model.errors import Permanent
from cluster_interface.settings import Images


@pytest.fixture
def index(tmp_path):
    """A package index (PEP 503) that says nothing about how long its answers are good, and what it was asked."""
    asked = []

    class Simple(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            super().do_GET()

        def log_message(self, *_):
            pass

    root = tmp_path / "index"
    root.mkdir()
    handler = functools.partial(Simple, directory=root)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield root, f"http://user:secret@127.0.0.1:{server.server_port}/", asked
        server.shutdown()


def publish(root, name, version, yanked=""):
    """Put a wheel on the index; `yanked` is the attribute that withdraws all of the name."""
    (root / name).mkdir(exist_ok=True)
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(root / name / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    files = (f'<a href="{file.name}"{yanked}>{file.name}</a>' for file in (root / name).glob("*.whl"))
    (root / name / "index.html").write_text(f"<!DOCTYPE html><html><body>{''.join(files)}</body></html>")


def resolver(url, place):
    """What resolves with an index, its home and log in a place."""
    (place / "home").mkdir()
    environ = locks.uv_environment(Images(index_url=url), place / "wheels", place / "home")
    return locks.Uv(locks.Target(python="3.11", glibc=36), environ, place / "log", 60, place)


def test_an_index_is_asked_again_where_it_matters(index, tmp_path):
    """Another question costs what is new in it; what the index has only now is found all the same."""
    root, url, asked = index
    uv = resolver(url, tmp_path)

    def resolve(*packages):
        asked.clear()
        return locks.pinned(locks.compile_lock(read(packages, ""), None, uv))

    publish(root, "alpha", "1.0")
    publish(root, "beta", "1.0")
    assert resolve("alpha") == ("alpha==1.0",)
    assert resolve("alpha", "beta") == ("alpha==1.0", "beta==1.0")
    assert asked
    assert not [path for path in asked if "alpha" in path]
    publish(root, "alpha", "2.0")
    assert resolve("alpha>=2") == ("alpha==2.0",)
    with pytest.raises(Permanent, match="alpha"):
        resolve("alpha>=3")
    assert "secret" not in uv.log.read_text()
    assert (tmp_path / "home/uv.toml").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("yanked", "why"), [(" data-yanked=\"loses 'data' (1)\"", ": loses 'data' (1);"), (" data-yanked", "(yanked);")]
)
def test_a_withdrawn_release_is_taken_with_a_warning(index, tmp_path, yanked, why):
    """Where exactly that one is asked for; else it is not, and that is said."""
    root, url, _ = index
    uv = resolver(url, tmp_path)
    publish(root, "alpha", "1.0", yanked)
    publish(root, "beta", "1.0")
    packages = locks.pinned(locks.compile_lock(read(("alpha==1.0", "beta"), ""), None, uv))
    assert packages == ("alpha==1.0", "beta==1.0")
    (warning,) = locks.warnings(packages, uv.withdrawn)
    assert warning.startswith("alpha==1.0 was withdrawn by those who publish it (yanked)")
    assert why in warning
    with pytest.raises(Permanent, match=r"`alpha==1.0` was withdrawn .* only where exactly that version"):
        locks.compile_lock(read(("alpha",), ""), None, uv)
