"""The Dockerfile that an image is exported as names all that is locked, so that it builds the same elsewhere."""

import io
import tarfile

import pytest

from cluster_interface.images import exports
from cluster_interface.images.shelf import Shelf
from cluster_interface.model.plan import Lock

PLAIN = {"base": "b" * 64, "image": "i" * 64, "python": "3.11", "suite": "bookworm", "system": ("libc6",)}

#: as rattler writes it: the packages of an environment, then what is known of each
CONDA = f"""\
environments:
  default:
    packages:
      linux-64:
      - conda: https://x/linux-64/a-1-0.conda
packages:
- conda: https://x/linux-64/a-1-0.conda
  sha256: {"4" * 64}
  md5: {"3" * 32}
  depends:
  - b
- conda: https://x/noarch/b-2-0.conda
"""


@pytest.fixture
def shelf(tmp_path):
    made = Shelf(tmp_path / "store")
    made.prepare()
    return made


def exported(shelf, variables=None, **said):
    """Export a lock as a Dockerfile; return that and the files beside it, as texts."""
    data = b"".join(exports.export(shelf, Lock(**PLAIN, **said), "dockerfile", variables or {}, "x86_64"))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        files = {member.name: archive.extractfile(member).read().decode() for member in archive}
    return files.pop("Dockerfile").splitlines(), files


def test_packages_of_a_day_come_from_that_day(shelf):
    """Before anything is installed, apt is pointed to the archive of that day."""
    lines, _ = exported(shelf, as_of="2026-02-01")
    assert lines[0] == "FROM debian:bookworm-slim"
    assert "deb [check-valid-until=no] http://snapshot.debian.org/archive/debian/20260201T000000Z bookworm" in lines[1]
    assert lines[2].startswith("RUN apt-get update")


def test_what_activation_sets_is_set(shelf):
    """With whatever a Dockerfile would read as something else."""
    odd = 'a "b" $HOME \\ c'
    lines, _ = exported(shelf, {"GREET": "/opt/env/share", "ODD": odd}, conda=CONDA)
    assert lines[-2:] == ['ENV GREET="/opt/env/share"', r'ENV ODD="a \"b\" \$HOME \\ c"']


def test_packages_of_conda_are_checked(shelf):
    """Each has the checksum that its channel gave; what has none is named all the same."""
    _, files = exported(shelf, conda=CONDA)
    assert (
        files["explicit.txt"] == f"@EXPLICIT\nhttps://x/linux-64/a-1-0.conda#{'3' * 32}\nhttps://x/noarch/b-2-0.conda\n"
    )


def test_packages_of_an_index_find_a_pip_beside_conda(shelf):
    """Conda's Python need not have one."""
    lines, _ = exported(shelf, conda=CONDA, requirements=f"six==1.16.0 --hash=sha256:{'a' * 64}\n")
    assert lines[-2] == "RUN /opt/env/bin/python -m pip --version || /opt/env/bin/python -m ensurepip"
    assert lines[-1].startswith("RUN /opt/env/bin/python -m pip install --no-deps --require-hashes")


def test_packages_without_cuda_come_from_their_own_index(shelf):
    """No other one has them."""
    text = f"torch==2.4.0+cpu \\\n    --hash=sha256:{'a' * 64}\n"
    lines, files = exported(shelf, requirements=text, torch="cpu", indexes=("https://index.example.org/simple",))
    assert (
        " --extra-index-url https://index.example.org/simple --extra-index-url https://download.pytorch.org/whl/cpu "
        in lines[-1]
    )
    assert files["requirements.txt"] == text


def test_sources_of_r_are_checked_and_must_build(shelf):
    """A package that does not build fails the whole, in the order of the lock."""
    sources = [f"{name} 1.0 https://cran.example.org/src/contrib/{name}_1.0.tar.gz {'0' * 32}" for name in ("b", "a")]
    lines, files = exported(shelf, {"R_LIBS": "/opt/env/lib/R/library"}, r=sources)
    assert "RUN Rscript /tmp/packages.R" in lines
    assert "options(warn = 2)" in files["packages.R"]
    calls = [line for line in files["packages.R"].splitlines() if line.startswith("from_source(")]
    assert calls == [f'from_source("{line.split()[2]}", "{"0" * 32}")' for line in sources]
