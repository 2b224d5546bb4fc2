"""Programs that turn out to lack a package, which their scripts do not tell of: run again with it."""

import json

import pytest

SCRIPTS = {
    "late.py": ("import importlib\nprint(importlib.import_module('etalubat'[::-1]).__version__)\n", "tabulate"),
    "late.sh": ("#!/bin/sh\necho '[1]' | $(echo qj | rev) length\n", "jq"),
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_it_is_named_and_one_word_brings_it(quick, script):
    """What is missing is told with the package that has it; the rerun has that one more and completes."""
    text, package = SCRIPTS[script]
    quick.write(script, text)
    done = quick.clif("run", script)
    assert done.returncode == 1, done.stderr
    job = quick.json("list")["jobs"][0]["id"]
    assert f"clif rerun {job} --with-missing (adds {package})" in done.stderr
    assert quick.json("status", job)["missing"]["package"] == package
    again = quick.clif("rerun", job, "--with-missing").stdout.strip()
    assert quick.clif("wait", again).returncode == 0
    view = quick.json("status", again)
    assert view["missing"] is None
    environment = view["spec"]["environment"]
    assert package in [*environment["system"], *(environment["python"] or {"packages": []})["packages"]]
    refused = quick.clif("rerun", again, "--with-missing")
    assert refused.returncode == 2
    assert "does not tell of a package that it lacked" in refused.stderr


def test_it_is_brought_unasked_where_that_is_wished(quick):
    """`clif run --with-missing` ends well at the first call."""
    quick.write("unasked.sh", "#!/bin/sh\n$(echo telgif | rev) x >seen\n")
    done = quick.clif("run", "unasked.sh", "--with-missing", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["state"] == "completed"
    assert (quick.work / "seen").read_text().strip()
