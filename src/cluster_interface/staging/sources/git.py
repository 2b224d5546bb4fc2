"""`git:URL@REVISION[!/path]`: the tree of a repository at a revision, fetched by git itself.

What is brought is a tar of the tree, so that files in it are named like members of any archive. git runs as the job's
account, with no configuration but ours, and connects to no address but the one that was judged.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cluster_interface.model.errors import Permanent, Transient
from cluster_interface.model.state import FailureCode
from cluster_interface.staging.acting import as_the_server, identity
from cluster_interface.staging.addresses import parse as parse_address
from cluster_interface.staging.cache import Cache, Origin
from cluster_interface.staging.parts import CHUNK
from cluster_interface.staging.sources.kinds import Away, Found, unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cluster_interface.staging.parts import Part
    from cluster_interface.staging.sources.keys import Keys
    from cluster_interface.staging.web import Sign, Web

SERVICE = "/info/refs?service=git-upload-pack"  # gitprotocol-http(5), "Discovering references"
PORTS = {"https": 443, "http": 80, "git": 9418}
LONGEST_WORDS = 400

_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/+-]{0,199}")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_WHOLE = "* -export-ignore -export-subst\n"  # everything, as it is


@dataclass(frozen=True)
class Repositories(Away):
    """Repositories reached over https, http or git."""

    web: Web
    cache: Cache
    keys: Keys
    scratch: Path  #: where repositories are fetched to, for a moment
    time: float  #: seconds that fetching one may take
    _commits: dict[str, str] = field(default_factory=dict)

    def measure(self, source: str, owner: str) -> Found:
        """Find the revision; what its tree holds is known only when it is here."""
        self._commit(source, owner)
        return Found()

    def origin(self, source: str, owner: str) -> Origin:
        """Say which commit it is; one that came with a key is its owner's alone."""
        address, _ = parse(source)
        commit = self._commit(source, owner)
        secret = self.keys.authorization(owner, address) is not None
        return Origin(address=f"git:{address}@{commit}", validator=commit, owner=owner if secret else None)

    def fetch(self, source: str, owner: str, part: Part) -> None:
        """Fetch the one commit, and write its tree as a tar."""
        part.restart()
        commit = self._commit(source, owner)
        with self._repository() as home:
            url, settings = self._reach(source, owner)
            self._run(home, settings, "init", "--quiet", "--bare", "--template=", ".")
            fetch = ("fetch", "--quiet", "--no-tags", "--depth=1", "--", url)
            try:
                self._run(home, settings, *fetch, commit)
            except _GitFailed:  # some servers give out what has a name, and nothing else
                revision = parse(source)[1]
                self._run(home, settings, *fetch, "HEAD" if _COMMIT.fullmatch(revision) else revision)
            with as_the_server():
                (home / "info").mkdir(exist_ok=True)
                (home / "info/attributes").write_text(_WHOLE)
            self._archive(home, commit, part)
        part.note = {"validator": commit}

    def pinned(self, source: str, owner: str) -> str:
        """Return the source of the commit that a revision names now."""
        return f"git:{parse(source)[0]}@{self._look_up(source, owner)}"

    def _commit(self, source: str, owner: str) -> str:
        """Return the commit that a revision named when it was first asked for here."""
        key = f"{owner}\0{source}"
        if key not in self._commits:
            self._commits[key] = self._look_up(source, owner)
        return self._commits[key]

    def _look_up(self, source: str, owner: str) -> str:
        _, revision = parse(source)
        if _COMMIT.fullmatch(revision):
            return revision
        url, settings = self._reach(source, owner)
        names = [revision, f"refs/heads/{revision}", f"refs/tags/{revision}", f"refs/tags/{revision}^{{}}"]
        text = self._run(self.scratch, settings, "ls-remote", "--quiet", "--", url, *names)
        lines = (line.partition("\t") for line in text.splitlines())
        found = {name: commit for commit, tab, name in lines if tab}
        commit = next((found[name] for name in reversed(names) if name in found), None)
        if commit is None:
            words = f"the repository has no branch or tag {revision!r}; a commit is named by all of its digits"
            raise unavailable(f"{shown(source)}: {words}")
        return commit

    def _reach(self, source: str, owner: str) -> tuple[str, Mapping[str, str]]:
        """Judge the address, and say by which settings git connects to it and to nothing else."""
        address, _ = parse(source)
        split = urlsplit(address)
        settings = {"protocol.allow": "never", f"protocol.{split.scheme}.allow": "always"}
        if split.scheme == "git":
            port = split.port or PORTS["git"]
            found = self._addresses(split.hostname or "", port)[0]
            where = f"[{found}]" if ":" in found else found
            return f"git://{where}:{port}{split.path}", settings
        header = self.keys.authorization(owner, address)
        url = self._end(address, header)
        parts = urlsplit(url)
        port = parts.port or PORTS[parts.scheme]
        found = ",".join(f"[{one}]" if ":" in one else one for one in self._addresses(parts.hostname or "", port))
        settings |= {"http.curloptResolve": f"{parts.hostname}:{port}:{found}", "http.followRedirects": "false"}
        if header and (parts.scheme, parts.netloc) == (split.scheme, split.netloc):
            settings["http.extraHeader"] = f"Authorization: {header}"
        return url, settings

    def _end(self, address: str, header: str | None) -> str:
        """Follow the redirects ourselves, each hop past the guard: git is told to follow none."""

        def sign(_method: str, _address: str) -> Mapping[str, str]:
            return {"Authorization": header} if header else {}

        signing: Sign = sign
        url = self.web.end(f"{address.rstrip('/')}{SERVICE}", signing)
        if not url.endswith(SERVICE):
            raise unavailable(f"{address} leads to something that is not a repository")
        return url.removesuffix(SERVICE)

    def _addresses(self, host: str, port: int) -> list[str]:
        try:
            with as_the_server():
                return self.web.guard.addresses(host, port)
        except (OSError, UnicodeError):
            raise unavailable(f"{host} cannot be resolved") from None

    @contextmanager
    def _repository(self) -> Iterator[Path]:
        account = identity()
        with as_the_server():
            self.scratch.mkdir(mode=0o711, parents=True, exist_ok=True)
            home = Path(tempfile.mkdtemp(dir=self.scratch))
            if account:
                os.chown(home, account.uid, account.gid)
        try:
            yield home
        finally:
            with as_the_server():
                shutil.rmtree(home, ignore_errors=True)

    def _run(self, home: Path, settings: Mapping[str, str], *arguments: str) -> str:
        with as_the_server():
            self.scratch.mkdir(mode=0o711, parents=True, exist_ok=True)
        try:
            done = subprocess.run(
                ["git", *arguments], cwd=home, env=self._environment(settings), stdin=subprocess.DEVNULL,
                capture_output=True, text=True, errors="replace", timeout=self.time, check=False, **_become(),
            )  # fmt: skip
        except FileNotFoundError:
            raise unavailable("this server has no git; ask its administrator to install it") from None
        except subprocess.TimeoutExpired:
            raise unavailable(
                f"git {arguments[0]} took longer than {self.time:.0f} seconds (staging.git_time)"
            ) from None
        if done.returncode:
            raise _GitFailed(f"git {arguments[0]}: {_words(done.stderr)}", code=FailureCode.INPUT_UNAVAILABLE)
        return str(done.stdout)

    def _environment(self, settings: Mapping[str, str]) -> dict[str, str]:
        """Give git our settings alone, through its environment, which other accounts cannot read as they can argv."""
        pairs = {**settings, "core.hooksPath": os.devnull, "gc.auto": "0", "transfer.fsckObjects": "true"}
        chosen = {
            "PATH": os.environ.get("PATH", os.defpath), "HOME": "/nonexistent", "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull, "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true",
            "GIT_HTTP_LOW_SPEED_LIMIT": "1", "GIT_HTTP_LOW_SPEED_TIME": str(round(self.web.timeout)),
            "GIT_CONFIG_COUNT": str(len(pairs)),
        }  # fmt: skip
        if self.web.ca_bundle:
            chosen["GIT_SSL_CAINFO"] = self.web.ca_bundle
        for number, (name, value) in enumerate(pairs.items()):
            chosen |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
        return chosen

    def _archive(self, home: Path, commit: str, part: Part) -> None:
        end = time.monotonic() + self.time
        argv = ["git", "archive", "--format=tar", commit]
        with subprocess.Popen(
            argv, cwd=home, env=self._environment({}), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, **_become(),
        ) as process:  # fmt: skip
            assert process.stdout is not None  # noqa: S101 - asked for above
            assert process.stderr is not None  # noqa: S101 - as above
            try:
                while data := process.stdout.read(CHUNK):
                    part.write(data)
                    if time.monotonic() > end:
                        raise Transient("git archive takes too long")
            except BaseException:
                process.kill()
                raise
            words = process.stderr.read().decode(errors="replace")
        if process.returncode:
            raise unavailable(f"git archive: {_words(words)}")


class _GitFailed(Permanent):
    """git ended with an error."""


def _become() -> dict[str, Any]:
    """Say to subprocess whom to become: the account that this thread acts for."""
    account = identity()
    return {"user": account.uid, "group": account.gid, "extra_groups": list(account.groups)} if account else {}


def parse(source: str) -> tuple[str, str]:
    """Split `git:URL@REVISION`; without a revision it is HEAD. Permanent where it is neither."""
    text = source.partition(":")[2]
    start = text.find("/", text.find("://") + 3)
    url, at, revision = text.rpartition("@")
    if not at or len(url) < start:
        url, revision = text, "HEAD"
    split = urlsplit(url)
    if split.scheme not in PORTS or not split.hostname or not split.path.strip("/") or split.query or split.fragment:
        raise unavailable(f"{shown(source)}: write git:https://host/path@revision (or http, or git)")
    if split.hostname.startswith("-"):
        raise unavailable(f"{shown(source)}: {split.hostname} is not the name of a host")
    if split.username is not None:
        raise unavailable(f"{shown(source)} has a user name in it; keep it with `clif credentials add`")
    if split.scheme != "git":
        parse_address(url)
    if not _REVISION.fullmatch(revision) or ".." in revision:
        raise unavailable(f"{shown(source)}: {revision!r} is not a branch, a tag or a commit")
    return url, revision


def shown(source: str) -> str:
    """Return a source for messages, without a password."""
    return re.sub(r"//[^/@]*@", "//", source)


def _words(text: str) -> str:
    lines = [line for line in shown(text).splitlines() if line.strip()]
    return "; ".join(lines)[-LONGEST_WORDS:] or "it said nothing"
