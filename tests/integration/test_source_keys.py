"""Sources on a running server: keys and shared data from the command line to the job, and no secret anywhere."""

from __future__ import annotations

import os
import subprocess

import pytest
from tests.contract.remotes import http_server, serving_files

SECRET = "correct-horse-battery-staple"


@pytest.fixture(scope="module")
def web():
    """A server that wants to know who asks."""
    handler = serving_files({"/lab/data.csv": b"a,b\n1,2\n"})
    handler.secret = f"Bearer {SECRET}"
    with http_server(handler) as server:
        yield server


@pytest.fixture(scope="module")
def site(make_server):
    """A server with shared data, which may fetch from the loopback."""
    made = make_server(start=False, CLIF_STAGING__ALLOWED_NETWORKS="127.0.0.0/8")
    shared = made.directory / "shared"
    shared.mkdir(mode=0o755)
    (shared / "genome.fa").write_text(">chr1\nACGT\n")
    (made.directory / "config.toml").write_text(
        f'[queues.local]\nruntimes = ["none"]\n'
        f'[staging.site.genomes]\npath = "{shared}"\nversion = "2026-03"\nlicense = "CC0-1.0"\n'
        f'[staging.site.others]\npath = "{shared}"\nreaders = ["nobody-here"]\n'
    )
    made.start()
    return made


def test_keys_and_shared_data_reach_the_job(site, web):
    """A credential is given once and used; what is shared is listed; outputs become inputs; no secret is anywhere."""
    assert [one["source"] for one in site.json("data")["data"]] == ["site:genomes"]
    source = f"{web.url}/lab/data.csv"
    job = site.submit("cat in.csv", f"--input=in.csv={source}", name="no.sh")
    assert "answered 401" in site.until(job, "failed")["reason"]

    argv = site.argv("credentials", "add", "lab", "--kind=token", f"--match={web.url}/lab")
    subprocess.run(argv, env=site.env, input=f"{SECRET}\n", text=True, check=True, capture_output=True, cwd=site.work)
    [kept] = site.json("credentials", "list")["credentials"]
    assert (kept["name"], kept["kind"], kept["shown"]) == ("lab", "token", {})

    job = site.submit(
        "cat in.csv genome.fa > out.txt", f"--input=in.csv={source}", "--input=genome.fa=site:genomes/genome.fa",
        "--output=out.txt",
    )  # fmt: skip
    site.until(job, "completed")
    job = site.submit("cat before.txt", f"--input=before.txt=job:{job}/out.txt", name="next.sh")
    site.until(job, "completed")
    assert site.clif("logs", job).stdout == "a,b\n1,2\n>chr1\nACGT\n"

    shown = "".join(site.clif(*words, "--json").stdout for words in (("status", job), ("events", job), ("list",)))
    assert SECRET not in shown
    assert SECRET not in site.log.read_text()
    found = subprocess.run(["grep", "-rlF", SECRET, str(site.state)], capture_output=True, text=True, check=False)
    assert found.stdout == ""
    assert (site.state / "credentials.key").stat().st_mode & 0o777 == 0o600
    assert site.clif("credentials", "remove", "lab").returncode == 0
    assert site.clif("credentials", "remove", "lab").returncode == 2


def test_the_same_bytes_are_not_sent_again(site):
    """A file that was sent for an earlier job is known by its checksum, under any name."""
    (site.work / "big.bin").write_bytes(os.urandom(1_000_000))
    site.submit("wc -c < big.bin", "--input=big.bin")
    before = {path.name for path in (site.state / "uploads").iterdir() if path.stat().st_size == 1_000_000}
    assert len(before) == 1
    (site.work / "big.bin").rename(site.work / "other.bin")
    job = site.submit("wc -c < other.bin", "--input=other.bin")
    assert {path.name for path in (site.state / "uploads").iterdir() if path.stat().st_size == 1_000_000} == before
    site.until(job, "completed")
    assert site.clif("logs", job).stdout.strip() == "1000000"
