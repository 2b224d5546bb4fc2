"""No protocol leads inside: not directly, not by redirects, by names that change, by settings, by what git or SSH know.

Everything is tried in a network of its own (`canaries.py`), where every packet is seen.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.security.canaries import CASES, INSIDE, REACHED, THROUGH

PROGRAM = Path(__file__).with_name("canaries.py")


@pytest.fixture(scope="module")
def found():
    """What was said and what was reached, for each case."""
    unshare = ["unshare", "-nm"] if os.geteuid() == 0 else ["unshare", "-rnm"]
    done = subprocess.run([*unshare, sys.executable, str(PROGRAM)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("case", CASES)
def test_nothing_inside_is_reached(found, case):
    """It is refused in words, and not one packet went to an inner address."""
    assert found[case]["seen"] == []
    assert found[case]["said"]


@pytest.mark.parametrize("case", REACHED)
def test_the_canaries_can_be_reached_at_all(found, case):
    """Where the site allows its own network, the same requests reach it: the other tests can fail."""
    assert INSIDE[1] in found[case]["seen"]


@pytest.mark.parametrize("case", THROUGH)
def test_what_is_outside_is_reached(found, case):
    """The servers that lead inside do serve what is their own."""
    assert found[case] == {"said": "", "seen": []}
