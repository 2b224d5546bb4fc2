"""Transfers by Globus (https://docs.globus.org/api/transfer): submitted once, watched, gone on with, called off.

The site's own collection is one end of each transfer: what lies below `root` on this machine is what the collection
shows. A transfer's submission id is drawn and noted before it is submitted, so that the same transfer is never begun
twice: Globus takes an id once.
"""

from __future__ import annotations

import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cluster_interface.model.destinations import ENDPOINT
from cluster_interface.model.errors import Permanent, Transient
from cluster_interface.model.state import FailureCode
from cluster_interface.staging import stopping

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping
    from pathlib import Path

    from cluster_interface.settings import GlobusSettings
    from cluster_interface.staging.sources.keys import Keys

LOOK_EVERY = 5.0  #: seconds between looks at a transfer
SCOPE = "urn:globus:auth:scope:transfer.api.globus.org:all"
OURS = "cluster-interface"  #: the directory of the collection that inputs come to and outputs leave from


@dataclass(frozen=True)
class Place:
    """One end of a transfer."""

    collection: str
    path: str


@dataclass(frozen=True)
class Globus:
    """Transfers for people: with their own token where they keep one, else as the site's client."""

    settings: GlobusSettings
    keys: Keys
    pause: float = LOOK_EVERY

    def fetch(self, source: str, owner: str, noted: MutableMapping[str, str], say: Callable[[int], None]) -> Path:
        """Bring a file to this machine and return where it is; the caller takes it away. Safe to call again.

        `noted` is kept between calls, also of another process: what is in it is gone on with.
        """
        name = noted.setdefault("name", uuid.uuid4().hex)
        there, here = parse(source), Place(self._collection(), f"/{OURS}/{name}")
        path = self.outbox() / name
        self._transfer(owner, there, here, noted, say)
        return path

    def deliver(
        self, path: Path, destination: str, owner: str, noted: MutableMapping[str, str], say: Callable[[int], None]
    ) -> None:
        """Send a file or what is in a directory, which the site's collection must show; safe to call again.

        What is there with the same checksum is left alone, so that one that was cut is simply repeated.
        """
        if not path.is_relative_to(self._root()):
            raise _unavailable(f"{path} is not below {self._root()}, which is what the site's Globus collection shows")
        here = Place(self._collection(), f"/{path.relative_to(self._root()).as_posix()}")
        self._transfer(owner, here, parse(destination), noted, say, recursive=path.is_dir())

    def outbox(self) -> Path:
        """Make the directory of the collection that is ours, the server's alone, and say where it is."""
        path = self._root() / OURS
        try:
            path.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise _unavailable(f"{path} cannot be made: {error.strerror}") from None
        return path

    def stat(self, source: str, owner: str) -> tuple[int, str]:
        """Return size and version of a file on an endpoint; Permanent if it is not there."""
        place = parse(source)
        seen = self._asked(lambda: self._client(owner).operation_stat(place.collection, path=place.path), source)
        if seen["type"] != "file":
            raise _unavailable(f"{source} is not a file")
        return int(seen["size"]), f"{seen['size']}-{seen['last_modified']}"

    def _transfer(
        self,
        owner: str,
        source: Place,
        target: Place,
        noted: MutableMapping[str, str],
        say: Callable[[int], None],
        *,
        recursive: bool = False,
    ) -> None:
        client, words = self._client(owner), f"{source.collection}{source.path}"
        if "task" not in noted:
            if "submission" not in noted:
                noted["submission"] = str(self._asked(client.get_submission_id, words)["value"])
            data = self._sdk.TransferData(
                source.collection,
                target.collection,
                label=OURS,
                submission_id=noted["submission"],
                verify_checksum=True,
                sync_level="checksum",
                preserve_timestamp=True,
                notify_on_succeeded=False,
                notify_on_failed=False,
                notify_on_inactive=False,
            )
            data.add_item(source.path, target.path, recursive=recursive)
            noted["task"] = str(self._asked(lambda: client.submit_transfer(data), words)["task_id"])
        try:
            self._watch(client, noted, say, words)
        except stopping.Stopped:
            self._call_off(client, noted["task"])
            raise

    def _watch(self, client: Any, noted: MutableMapping[str, str], say: Callable[[int], None], words: str) -> None:
        """Wait for the end; every look is also a moment to notice that this process is to end."""
        while True:
            task = self._asked(lambda: client.get_task(noted["task"]), words)
            say(int(task["bytes_transferred"] or 0))
            if task["status"] == "SUCCEEDED":
                return
            if task["status"] == "FAILED":
                error = task.get("fatal_error") or {}
                del noted["task"], noted["submission"]  # a later try is another transfer
                raise _unavailable(f"Globus could not transfer {words}: {error.get('description') or 'it failed'}")
            if stopping.asked.wait(self.pause):
                raise stopping.Stopped(1)

    def _call_off(self, client: Any, task: str) -> None:
        with suppress(self._sdk.GlobusError):
            client.cancel_task(task)

    def _asked(self, ask: Callable[[], Any], words: str) -> Any:
        """Ask Globus, and say in words what it refuses; Transient where it is away."""
        try:
            return ask()
        except self._sdk.TransferAPIError as error:
            if error.http_status >= 500 or error.http_status == 429:
                raise Transient(f"Globus answered {error.http_status}; it is asked again") from None
            raise _unavailable(f"Globus refuses {words}: {_first(error.message)}") from None
        except self._sdk.AuthAPIError as error:
            raise _unavailable(f"Globus does not take the credential: {_first(error.message)}") from None
        except self._sdk.NetworkError as error:
            raise Transient(f"Globus could not be reached: {error}") from None

    def _client(self, owner: str) -> Any:
        sdk = self._sdk
        key = self.keys.of(owner, "globus://transfer")
        if self.settings.client_id is None:
            raise _unavailable("this site has no client of Globus: its administrator can register one")
        if key is not None:
            auth = sdk.NativeAppAuthClient(self.settings.client_id)
            authorizer = sdk.RefreshTokenAuthorizer(key.secret["refresh_token"], auth)
        elif self.settings.client_secret_file is not None:
            secret = self.settings.client_secret_file.read_text().strip()
            auth = sdk.ConfidentialAppAuthClient(self.settings.client_id, secret)
            authorizer = sdk.ClientCredentialsAuthorizer(auth, SCOPE)
        else:
            raise _unavailable(
                "globus needs a credential: `clif credentials add NAME --kind globus --match globus://transfer`"
            )
        return sdk.TransferClient(authorizer=authorizer)

    def _collection(self) -> str:
        if self.settings.collection is None:
            raise _unavailable("this site has no Globus collection: its administrator can name one")
        return self.settings.collection

    def _root(self) -> Path:
        if self.settings.root is None:
            raise _unavailable("this site does not say where its Globus collection lies on this machine")
        return self.settings.root

    @property
    def _sdk(self) -> Any:
        try:
            import globus_sdk  # noqa: PLC0415 - an optional library
        except ImportError:
            words = "this server cannot speak to Globus: its administrator can install `cluster-interface[globus]`"
            raise _unavailable(words) from None
        return globus_sdk


def parse(address: str) -> Place:
    """Split `globus:ENDPOINT/path`; Permanent where it is none."""
    found = ENDPOINT.fullmatch(address)
    if found is None or "/../" in f"{found[2]}/" or "\0" in address:
        raise _unavailable(f"{address}: write globus:ENDPOINT/path, the endpoint as its UUID")
    return Place(found[1], found[2])


def _first(text: str | None) -> str:
    return next(iter((text or "").splitlines()), "") or "it gives no reason"


def _unavailable(message: str) -> Permanent:
    return Permanent(message, code=FailureCode.INPUT_UNAVAILABLE)
