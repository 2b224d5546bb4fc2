"""Every shipped pattern's example, run for real; and what comes of a bad value on the surfaces."""

import json

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
