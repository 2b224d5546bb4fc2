"""The account that tests of staging have jobs run under."""

import os

from cluster_interface.model.job import Account


def ordinary() -> Account:
    """An account jobs may run under: nobody for root, else our own."""
    if os.geteuid() == 0:
        return Account(name="nobody", uid=65534, gid=65534)
    return Account(name="me", uid=os.geteuid(), gid=os.getegid())
