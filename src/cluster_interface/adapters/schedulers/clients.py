"""Running the client programs of a scheduler: argv in, words out; nothing goes through a shell."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cluster_interface.model.errors import Permanent, Rejected, Transient

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cluster_interface.model.job import Account

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LONGEST = 600  # characters of what a program said


@dataclass(frozen=True)
class Answer:
    """What a program said."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, kw_only=True)
class Clients:
    """The programs of one scheduler, with an environment of their own and a time by which each must have answered."""

    scheduler: str  #: as people call it
    timeout: float = 30.0
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(
        self,
        *argv: str,
        account: Account | None = None,
        extra: Mapping[str, str] | None = None,
        text: str | None = None,
    ) -> Answer:
        """Run a program, as another account if we are root; Transient if it is not there or does not answer in time.

        The server's own environment stays here: SBATCH_PARTITION or SGE_CELL of whoever started it would change what
        is asked for. Permanent if we may not act as the account.
        """
        environment = {"PATH": SYSTEM_PATH, **self.environment, **(extra or {})}
        program = shutil.which(argv[0]) or argv[0]
        become = _become(account)
        try:
            done = subprocess.run(
                [program, *argv[1:]], env=environment, capture_output=True, timeout=self.timeout, check=False, cwd="/",
                input=(text or "").encode(), **become,
            )  # fmt: skip
        except FileNotFoundError:
            words = f"{argv[0]} is not installed where the server runs, or not in its PATH: it needs {self.scheduler}'s"
            raise Transient(f"{words} client programs") from None
        except subprocess.TimeoutExpired:
            raise Transient(f"{self.scheduler} does not answer: {argv[0]} took over {self.timeout:g} s") from None
        except OSError as error:
            raise Transient(f"{argv[0]} cannot be run: {error.strerror}") from None
        return Answer(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def on_terminal(clients: Clients, account: Account, argv: list[str]) -> list[str]:
    """Return what runs a client program on a terminal, with the environment that `Clients.run` gives it."""
    words = {"PATH": SYSTEM_PATH, **clients.environment, **home_of(account)}
    terminal = "TERM=xterm" if "TERM" not in os.environ else f"TERM={os.environ['TERM']}"
    return ["env", "-i", terminal, *(f"{name}={value}" for name, value in words.items()), *argv]


def home_of(account: Account) -> dict[str, str]:
    """Say who somebody is, as far as programs look for it in the environment."""
    return {"HOME": account.home, "USER": account.name, "LOGNAME": account.name, "LANG": "C.UTF-8"}


def shortened(words: str) -> str:
    """Make one line of what a program said, each thing once."""
    lines = dict.fromkeys(line.strip() for line in words.splitlines() if line.strip())
    return "; ".join(lines)[:_LONGEST]


def plain(value: object, what: str) -> str:
    """Return a value that is to be a part of an argument; Rejected if it is empty or has more than printable text."""
    text = str(value)
    if not text or not text.isprintable() or text[0].isspace() or text[-1].isspace():
        raise Rejected.field(what, f"{text[:40]!r} is not a value that a scheduler can be given")
    return text


def _become(account: Account | None) -> dict[str, Any]:
    if account is None or account.uid == os.geteuid():
        return {"umask": 0o077}
    if os.geteuid() != 0:
        raise Permanent(f"the server may not act as {account.name}: it does not run as root")
    return {
        "user": account.uid,
        "group": account.gid,
        "extra_groups": sorted({account.gid, *account.groups}),
        "umask": 0o077,
    }
