"""Whose account jobs run under, on this machine's real accounts."""

import os
import pwd
import secrets
import subprocess
from pathlib import Path

import pytest
from tests.contract.rig import as_account

from cluster_interface.adapters.identity.single import SingleIdentity
from cluster_interface.model.errors import Permanent
from cluster_interface.settings import IdentitySettings


def test_as_root_an_account_is_made_for_jobs():
    """The job account has a uid from 1000 on, no password, no shell and no home; making it twice is no error."""
    name = f"clif-t{secrets.token_hex(3)}"
    identity = SingleIdentity(IdentitySettings(job_account=name))
    with pytest.raises(Permanent, match=name):
        identity.account("ada")
    try:
        identity.ensure()
        identity.ensure()
        entry = pwd.getpwnam(name)
        assert identity.account("ada").uid == identity.account("bob").uid == entry.pw_uid >= 1000
        assert entry.pw_shell.endswith("nologin")
        assert not Path(entry.pw_dir).exists()
        status = subprocess.run(["passwd", "--status", name], capture_output=True, text=True, check=True).stdout
        assert status.split()[1] == "L"
    finally:
        subprocess.run(["userdel", name], check=True, capture_output=True)


def test_as_root_a_system_account_is_refused():
    """An account of the system is never used for jobs, though the settings name it."""
    with pytest.raises(Permanent, match="uid 1"):
        SingleIdentity(IdentitySettings(job_account="daemon")).account("ada")
    with pytest.raises(Permanent, match="uid 0"):
        SingleIdentity(IdentitySettings(job_account="root")).account("ada")


def test_as_an_ordinary_user_jobs_are_the_users_own(ordinary):
    """Without privilege jobs run as whoever runs the server, and no account is made."""

    def body():
        identity = SingleIdentity(IdentitySettings(job_account="clif-nobody"))
        identity.ensure()
        account = identity.account("whoever")
        assert (account.name, account.uid) == (ordinary, os.geteuid())

    as_account(ordinary, body)
