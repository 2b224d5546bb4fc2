"""Secrets on their way into the database and out of it: encrypted with a key that lies in a file of its own.

Fernet (https://github.com/fernet/spec): AES-128-CBC and HMAC-SHA256. Whose a secret is and what it is called is sealed
with it, so a row that somebody copies under another name or owner opens for nobody.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from cluster_interface.model.errors import Permanent
from cluster_interface.model.state import FailureCode

if TYPE_CHECKING:
    from pathlib import Path

KEY = "credentials.key"  #: in the state directory


class Vault:
    """Seals and opens with the key in a file, which is made when it is first needed."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def prepare(self) -> None:
        """Make the key, 0600, unless there is one."""
        from cryptography.fernet import Fernet  # noqa: PLC0415 - 50 ms that only those pay who keep credentials

        with suppress(FileExistsError):
            fresh = self._file.with_name(f"{self._file.name}.{os.getpid()}")
            fd = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            try:
                with os.fdopen(fd, "wb") as file:
                    file.write(Fernet.generate_key())
                    file.flush()
                    os.fsync(fd)
                os.link(fresh, self._file)  # whole or not at all, and never over another
            finally:
                fresh.unlink()

    def seal(self, owner: str, name: str, value: dict[str, Any]) -> str:
        """Encrypt."""
        sealed: bytes = self._fernet().encrypt(json.dumps([owner, name, value]).encode())
        return sealed.decode()

    def open(self, owner: str, name: str, sealed: str) -> dict[str, Any]:
        """Decrypt; Permanent where this is not what was sealed for that owner and name with this key."""
        from cryptography.fernet import InvalidToken  # noqa: PLC0415 - as above

        with suppress(InvalidToken, ValueError):
            whose, called, value = json.loads(self._fernet().decrypt(sealed.encode()))
            if (whose, called) == (owner, name) and isinstance(value, dict):
                return value
        raise Permanent(
            f"the credential {name} cannot be read with the key in {self._file}; add it again",
            code=FailureCode.INPUT_UNAVAILABLE,
        )

    def _fernet(self) -> Any:
        from cryptography.fernet import Fernet  # noqa: PLC0415 - as above

        try:
            return Fernet(self._file.read_bytes())
        except FileNotFoundError:
            self.prepare()
            return Fernet(self._file.read_bytes())
