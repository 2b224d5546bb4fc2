"""Every shipped pattern's example, run for real; and what comes of a bad value on the surfaces."""

import json
import secrets
import shutil
from pathlib import Path

import pytest

from cluster_interface.patterns import Catalogue

PATTERNS = {pattern.name: pattern for pattern in Catalogue().patterns()}


@pytest.mark.parametrize("name", PATTERNS)
def test_an_example_runs(quick, name):
    """The job completes with nothing said but the pattern's name, and leaves what the pattern promises."""
    done = quick.clif("run", "--pattern", name, "--example", "--json", "--to", quick.work / f"of-{name}")
    assert done.returncode == 0, done.stderr
    job = json.loads(done.stdout)
    left = {output["path"] for output in quick.json("outputs", job["id"])["outputs"]}
    assert set(PATTERNS[name].example.outputs) <= left


def test_blast_against_a_database_that_is_there(quick):
    """The files that makeblastdb made, given one by one as a site has them, are used as they are."""
    made = quick.work / "made"
    quick.write(
        "made.yaml",
        "apiVersion: 1\ncommand: makeblastdb -in genes.fasta -dbtype nucl -out made\n"
        "environment: {system: [ncbi-blast+]}\n"
        f"files: {{genes.fasta: {{content: {json.dumps(PATTERNS['blast'].example.files['genes.fasta'])}}}}}\n",
    )
    done = quick.clif("run", "made.yaml", "--to", made)
    assert done.returncode == 0, done.stderr
    quick.write("mine.fa", PATTERNS["blast"].example.files["query.fasta"])
    files = [f"database=file:{path}" for path in sorted(made.iterdir())]
    assert len(files) > 3
    words = ("query=mine.fa", *files, "evalue=1e-5", "options=-task megablast -word_size 16")
    done = quick.clif("run", "--pattern", "blast", *words, "--to", quick.work / "hits")
    assert done.returncode == 0, done.stderr
    assert (quick.work / "hits/hits.tsv").read_text().splitlines()[1].startswith("read-1\tgene-a\t100")
    assert "New DB" not in done.stderr


VOLUMES = """apiVersion: 1
command: >-
  for name in a b; do makeblastdb -in $name.fa -dbtype nucl -out $name; done;
  blastdb_aliastool -dblist "a b" -dbtype nucl -out both -title both; rm -f ?.fa
environment: {system: [ncbi-blast+]}
files:
  a.fa: {content: ">gene-a\\nATGGCTAGCTAGGCATTGCCGATAGCTAGGCTAACGTTAGCATCGGATCCATTGCAGGCTTAACGTAGCTAA\\n"}
  b.fa: {content: ">gene-b\\nATGCCGTTAACCGGATATCGCGTATTAGCCGGAATTCCAGTGACCATGGCAATTGCCTGACGTCATTGGTAA\\n"}
"""


@pytest.fixture
def shared():
    """A directory that a site may share: below one that containers have no own of."""
    path = Path(f"/srv/clif-{secrets.token_hex(4)}")
    path.mkdir(mode=0o755)
    yield path
    shutil.rmtree(path)


def test_blast_against_a_database_of_the_site(make_server, shared):
    """A shared directory is mounted where it lies, and its alias, which has all volumes, is what is searched."""
    server = make_server("bubblewrap", start=False)
    (server.directory / "config.toml").write_text(f'[staging.site.blast]\npath = "{shared}"\nversion = "1"\n')
    server.start()
    server.write("volumes.yaml", VOLUMES)
    made = server.clif("run", "volumes.yaml", "--to", shared)
    assert made.returncode == 0, made.stderr
    assert (shared / "both.nal").is_file()
    sequences = "ACGTTAGCATCGGATCCATTGCAGG", "GGAATTCCAGTGACCATGGCAATTG"
    server.write("mine.fa", "".join(f">read-{number}\n{text}\n" for number, text in enumerate(sequences)))
    words = ("query=mine.fa", "database=site:blast/", "options=-task blastn-short")
    done = server.clif("run", "--pattern", "blast", *words, "--json", "--to", server.work / "hits")
    assert done.returncode == 0, done.stderr
    hits = [line.split("\t")[:2] for line in (server.work / "hits/hits.tsv").read_text().splitlines()[1:]]
    assert hits == [["read-0", "gene-a"], ["read-1", "gene-b"]]
    plan = server.json("status", json.loads(done.stdout)["id"])["plan"]
    assert next(source for source in plan["sources"] if source["source"] == "site:blast")["mount"] == str(shared)


def test_bad_values_are_named_and_leave_nothing_behind(quick):
    """Each by its field of the form; a file that is not there; an unknown pattern with those there are."""
    before = len(quick.json("list")["jobs"])
    done = quick.clif("submit", "--pattern", "blast", "query=nothing.fasta")
    assert (done.returncode, "values.query" in done.stderr) == (2, True)
    done = quick.clif("submit", "--pattern", "blast", "evalue=-1", "databse=x.fa")
    assert done.returncode == 2
    for words in ("values.evalue", "at least 0", "did you mean `database`?", "values.query"):
        assert words in done.stderr
    done = quick.clif("submit", "--pattern", "blats")
    assert (done.returncode, "python-script" in done.stderr) == (2, True)
    assert len(quick.json("list")["jobs"]) == before
