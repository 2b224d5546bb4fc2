"""Where sources of R packages come from, and what is said where they cannot be had: a repository over real HTTP."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler

import pytest
from tests.contract.remotes import certify, http_server

from cluster_interface.images import rpackages
from cluster_interface.images.failures.packages import FEW_TRIES
from cluster_interface.model.errors import Permanent, Transient
from cluster_interface.settings import Images

PACKAGES = """Package: above
Version: 1.2
Imports: gone, stats

Package: alone
Version: 0.3-1
MD5sum: 0123456789abcdef0123456789abcdef
NeedsCompilation: yes
"""


class Repository(SimpleHTTPRequestHandler):
    """Files, and lists of what is in a directory, as CRAN and its mirrors give them."""

    def log_message(self, *_):
        pass


@contextmanager
def serving(tmp_path, context=None):
    """Serve a repository that once had a package `gone`."""
    home = tmp_path / "cran/src/contrib"
    (home / "Archive/gone").mkdir(parents=True)
    (home / "PACKAGES").write_text(PACKAGES)
    for version in ("0.9", "1.10", "1.9-2"):
        (home / f"Archive/gone/gone_{version}.tar.gz").touch()
    with http_server(partial(Repository, directory=tmp_path / "cran")) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
            server.url = server.url.replace("http:", "https:")
        yield server.url


def resolve(name, url, home, **settings):
    """Find the sources of one package."""
    return rpackages.resolve([name], "bookworm", None, Images(cran=url, **settings), home)


def test_an_archived_package_is_said_to_be_one(tmp_path):
    """With its last version, and what needs it; one that never was is not there."""
    with serving(tmp_path) as url:
        with pytest.raises(Permanent, match=r"CRAN has archived the R package `gone`: 1\.10 was its last.*replaces it"):
            resolve("gone", url, tmp_path)
        with pytest.raises(Permanent, match=r"archived the R package `gone` \(which above needs\).*version of above"):
            resolve("above", url, tmp_path)
        with pytest.raises(Permanent, match="there is no R package `never` in Debian bookworm, nor in"):
            resolve("never", url, tmp_path)


def test_a_repository_without_an_archive_has_no_package(tmp_path):
    """What cannot be listed is no reason to say another thing."""
    with serving(tmp_path):
        pass
    with pytest.raises(Permanent, match="there is no R package `gone`"):
        resolve("gone", (tmp_path / "cran").as_uri(), tmp_path)


def test_the_sites_certificates_are_trusted_and_named(tmp_path):
    """Where they are missing it is said which setting is meant."""
    authority, context = certify(tmp_path, "IP:127.0.0.1")
    with serving(tmp_path, context) as url:
        (found,) = resolve("alone", url, tmp_path, ca_bundle=authority)
        assert found.line == f"alone 0.3-1 {url}/src/contrib/alone_0.3-1.tar.gz 0123456789abcdef0123456789abcdef"
        with pytest.raises(
            Transient, match=r"R repository https.* certificate is not trusted here: set images\.ca_bundle"
        ):
            resolve("alone", url, tmp_path)


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (404, Permanent, "answers 404 .*images.cran"),
        (403, Permanent, "answers 403 .*images.cran"),
        (503, Transient, "the R repository .* cannot be reached"),
    ],
)
def test_what_a_repository_answers_is_told(tmp_path, status, error, words):
    """And tried again where it may be there soon."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(status)

        def log_message(self, *_):
            pass

    with http_server(Answer) as server, pytest.raises(error, match=words):
        resolve("alone", server.url, tmp_path)


def test_a_repository_that_is_away_is_tried_again(tmp_path):
    """A password in its address is not told."""
    with pytest.raises(Transient, match=r"http://\*\*\*@127.0.0.1:9/.* cannot be reached") as told:
        resolve("alone", "http://me:secret@127.0.0.1:9", tmp_path)
    assert str(told.value).startswith("Debian bookworm lacks the R package `alone`, and the R repository")
    assert told.value.tries == FEW_TRIES  # nobody waits hours for a machine that does not reach it
    assert "secret" not in str(told.value)
