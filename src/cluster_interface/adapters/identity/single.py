"""One user: jobs run under the account that runs the server or, if that is root, under one made for them."""

from __future__ import annotations

import os
import pwd
import subprocess
from typing import TYPE_CHECKING

from cluster_interface.model.errors import Permanent
from cluster_interface.model.job import Account

if TYPE_CHECKING:
    from cluster_interface.settings import IdentitySettings

_LEAST = 1000  # below are the system's own accounts


class SingleIdentity:
    """Everybody is the one user."""

    def __init__(self, settings: IdentitySettings) -> None:
        self._settings = settings

    def account(self, owner: str) -> Account:
        """Return the account for jobs; Permanent if it is missing or one of the system's own."""
        del owner  # alone there is only one
        entry = self._entry()
        if entry is None:
            words = f"there is no account {self._settings.job_account!r} for jobs; `clif serve` makes it when it starts"
            raise Permanent(words)
        if entry.pw_uid < _LEAST:
            words = (
                f"{entry.pw_name} is an account of the system (uid {entry.pw_uid}); jobs need a uid from {_LEAST} on"
            )
            raise Permanent(words)
        return Account(
            name=entry.pw_name,
            uid=entry.pw_uid,
            gid=entry.pw_gid,
            home=entry.pw_dir,
            groups=tuple(os.getgrouplist(entry.pw_name, entry.pw_gid)),
        )

    def ensure(self) -> None:
        """As root, make the job account if it is missing: locked, without home or shell. Permanent if that fails."""
        if os.geteuid() != 0 or self._entry() is not None:
            return
        argv = ["useradd", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin"]
        argv += ["--user-group", "--comment", "jobs of cluster-interface", "--key", f"UID_MIN={_LEAST}"]
        argv += ["--key", f"GID_MIN={_LEAST}", "--", self._settings.job_account]
        try:
            done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Permanent(f"the account for jobs cannot be made with useradd: {error}") from None
        if done.returncode != 0 and self._entry() is None:
            raise Permanent(f"the account for jobs cannot be made: {done.stderr.strip()}")

    def _entry(self) -> pwd.struct_passwd | None:
        try:
            return pwd.getpwnam(self._settings.job_account) if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        except KeyError:
            return None
