"""Specs in files, as people write them and as nobody should."""

import pytest

from cluster_interface.client.specs import read_spec
from cluster_interface.model.errors import Rejected

BOMB = "".join(
    f"{name}: &{name} [{','.join([f'*{inner}'] * 9)}]\n" for inner, name in zip("abcdefghij", "bcdefghijk", strict=True)
)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("bomb.yaml", f"apiVersion: 1\na: &a [{','.join('x' * 9)}]\n{BOMB}", "more than 2,000,000 values"),
        ("round.yaml", "apiVersion: 1\na: &a [*a]\n", "more than 2,000,000 values"),
        ("deep.json", '{"x": ' + "[" * 100_000, "too deep"),
        ("deep.yaml", f"x: {'[' * 100_000}", "cannot be read"),
        ("broken.yaml", "a: [", "cannot be read"),
        ("list.yaml", "- a", "is not a job spec"),
    ],
)
def test_what_is_no_spec_is_refused_in_time(tmp_path, name, text, words):
    """A small file that stands for an endless document, too; the file is named."""
    (tmp_path / name).write_text(text)
    with pytest.raises(Rejected, match=words) as caught:
        read_spec(tmp_path / name)
    assert caught.value.problems[0].field == str(tmp_path / name)


def test_aliases_may_be_used(tmp_path):
    """What stands for something reasonable is that."""
    (tmp_path / "spec.yaml").write_text(
        "apiVersion: 1\ncommand: ls\nresources: &r {cpus: 2}\nenvironment: {variables: {A: &x y, B: *x}}\n"
    )
    assert read_spec(tmp_path / "spec.yaml")["environment"]["variables"] == {"A": "y", "B": "y"}
