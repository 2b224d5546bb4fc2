"""The documentation and the examples are true: links lead somewhere, names are those of the code."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
PAGES = sorted([*TOP.glob("*.md"), *(TOP / "docs").rglob("*.md"), *(TOP / "examples").rglob("*.md")])
EXAMPLES = TOP / "examples"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(TOP)))
def test_links_lead_somewhere(page):
    """Every relative link of a page names a file or directory that is there."""
    for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(TOP)))
def test_settings_that_are_named_exist(page):
    """Every CLIF_SECTION__NAME in a page is a setting."""
    from cluster_interface.settings import Settings

    known = {
        f"CLIF_{section}__{name}".upper()
        for section, values in Settings().model_dump().items()
        if isinstance(values, dict)
        for name in values
    }
    assert set(re.findall(r"CLIF_[A-Z]+__[A-Z_]+", page.read_text())) - {"CLIF_SECTION__NAME"} <= known


def test_toml_in_the_documentation_is_valid_configuration():
    """Every TOML block of the how-tos and the reference is accepted as config.toml."""
    import tomllib

    from cluster_interface.settings import Settings

    blocks = [block for page in PAGES for block in re.findall(r"```toml\n(.*?)```", page.read_text(), re.DOTALL)]
    assert blocks
    for block in blocks:
        Settings.parse(tomllib.loads(block))


def test_specs_in_the_documentation_are_valid(tmp_path):
    """Every YAML block that is a job spec is accepted, with the files beside it that it speaks of."""
    import yaml

    from cluster_interface.client.specs import local_sources
    from cluster_interface.model.jobspec import JobSpec

    (tmp_path / "stop-words.txt").write_text("the\n")
    (tmp_path / "here").mkdir()
    (tmp_path / "here/count.py").write_text("")
    blocks = [block for page in PAGES for block in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)]
    specs = [document for block in blocks if "apiVersion" in (document := yaml.safe_load(block))]
    assert specs
    for document in specs:
        for name in local_sources(document, tmp_path / "here"):
            document["files"][name] = {"source": "upload:abc"}
        JobSpec.parse(document)


def test_commands_that_are_named_exist():
    """Every `clif WORD` in a page is a command of the command line."""
    import click

    from cluster_interface.main import app, serve

    known = {*app.list_commands(click.Context(app)), serve.name}
    for page in PAGES:
        named = set(re.findall(r"(?:^|`|\$ |/)clif ([a-z][a-z-]*)", page.read_text(), re.MULTILINE))
        assert named <= known, page


def test_python_in_the_documentation_compiles():
    """Every Python block parses."""
    for page in PAGES:
        for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
            compile(block, str(page), "exec")


def test_the_words_example_counts(tmp_path):
    """The shell example runs as it is on any machine with coreutils and awk."""
    (tmp_path / "text.txt").write_text("b a\na c a b\n")
    script = EXAMPLES / "wordcount/wordcount.sh"
    done = subprocess.run(["sh", script, "text.txt"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("2 lines, 6 words\n")
    assert (tmp_path / "words.txt").read_text().split() == ["3", "a", "2", "b", "1", "c"]


def test_the_failing_example_fails_with_three(tmp_path):
    """It leaves half a result and exits with 3."""
    script = EXAMPLES / "failing/failing.py"
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 3
    assert (tmp_path / "partial.txt").read_text() == "1\n2\n"
