"""Patterns: every shipped one's example makes a spec, values land where they are meant to, a bad one is named."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_interface.model.errors import NotFound, Rejected
from cluster_interface.model.job_pattern import Pattern
from cluster_interface.patterns import Catalogue, expand, form_schema, read_pattern

SHIPPED = [pattern.name for pattern in Catalogue().patterns()]

SMALL = Pattern.parse(
    {
        "name": "small",
        "title": "Small",
        "summary": "For tests.",
        "fields": {
            "script": {"kind": "file", "title": "Script", "accept": [".py"]},
            "data": {"kind": "files", "title": "Data", "to": "data/", "required": False},
            "words": {"kind": "words", "title": "Words", "required": False},
            "n": {"kind": "integer", "title": "N", "least": 1, "most": 9, "required": False},
            "fast": {"kind": "flag", "title": "Fast"},
            "sweep": {"kind": "sweep", "title": "Sweep", "required": False},
            "system": {"kind": "words", "title": "Packages", "required": False},
        },
        "spec": {
            "command": "run ${{ script }} ${{ words }} ${{ -n n }} ${{ --fast fast }}",
            "environment": {"system": ["make", "${{ system }}"]},
            "resources": {"cpus": "${{ n }}"},
            "sweep": {"parameters": "${{ sweep }}"},
        },
    }
)


def problems(*arguments, **more):
    with pytest.raises(Rejected) as caught:
        expand(*arguments, **more)
    return {one.field: one.message for one in caught.value.problems}


def test_the_wanted_patterns_are_there():
    """What people commonly run, in the order in which it is offered."""
    assert SHIPPED == [
        "python-script", "r-script", "shell-pipeline", "notebook", "compile-and-run", "parameter-sweep",
        "map-over-files", "blast",
    ]  # fmt: skip
    assert Catalogue().troubles() == []


@pytest.mark.parametrize("name", SHIPPED)
def test_an_example_expands_and_its_form_is_described(name):
    """Each example makes a valid spec that holds all of its files; each form says which fields it needs."""
    pattern = Catalogue().find(name)
    spec = expand(pattern, {}, example=True)
    texts = {entry.content for entry in spec.files.values()}
    assert set(pattern.example.files.values()) <= texts
    assert pattern.example.outputs
    schema = form_schema(pattern)
    assert set(schema["required"]) == set(
        problems(pattern, {}).keys() and {f.removeprefix("values.") for f in problems(pattern, {})}
    )
    assert "${{" not in spec.model_dump_json()


def test_values_land_in_their_places():
    """Numbers stay numbers, lists are spliced, empty fields leave nothing behind, files come by their names."""
    spec = expand(
        SMALL,
        {
            "script": {"name": "a.py", "source": "upload:x"},
            "n": "3",
            "fast": "yes",
            "words": "-v 'two words'",
            "system": "r-base bc",
        },
    )
    assert spec.command == "run a.py -v 'two words' -n 3 --fast"
    assert spec.environment.system == ("make", "r-base", "bc")
    assert spec.resources.cpus == 3
    bare = expand(SMALL, {"script": "https://example.org/x/b.py?raw=1"})
    assert (bare.command, bare.resources.cpus, list(bare.files)) == ("run b.py", None, ["b.py"])


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
def test_no_value_is_more_than_a_word(text):
    """Whatever a word is, the shell reads that word and nothing else."""
    if not text.strip():
        return
    spec = expand(SMALL, {"script": "file:/a.py", "words": [text]})
    assert shlex.split(spec.command) == ["run", "a.py", text]


def test_a_sweep_is_read_from_lines_or_a_mapping():
    """`n = 1..3` a line, as on the page; a text each, as on the command line; or lists."""
    for said in ("n = 1..3\nm= a, b\n", ["n=1..3", "m=a,b"], {"n": [1, 2, 3], "m": "a,b"}):
        spec = expand(SMALL, {"script": "file:/a.py", "sweep": said})
        assert spec.sweep.parameters == {"n": ("1", "2", "3"), "m": ("a", "b")}


def test_every_bad_value_is_named():
    """Each by its field of the form, those that only the spec refuses too."""
    said = problems(
        SMALL,
        {
            "script": "file:/a.sh",
            "n": "12",
            "fast": "perhaps",
            "words": "'",
            "sweep": "n: 3",
            "wordz": "x",
            "data": [{}],
        },
    )
    assert said == {
        "values.wordz": "unknown field; did you mean `words`?",
        "values.script": "'a.sh' does not end in .py",
        "values.data": "has neither a source nor content",
        "values.words": "has a quote that is not closed",
        "values.n": "must be at most 9, not 12",
        "values.fast": "'perhaps' is neither yes nor no",
        "values.sweep": "'n: 3' is no parameter; write for example n = 1, 2, 5 or n = 1..10",
    }
    assert "values.system" in problems(SMALL, {"script": "file:/a.py", "system": "Not;OK"})
    assert "values.script" in problems(SMALL, {})
    assert "resources.cpus" in problems(SMALL, {"script": "file:/a.py"}, more={"resources": {"cpus": 0}})
    twice = [{"name": "x", "content": "1"}, {"name": "x", "content": "2"}]
    assert "is there twice" in problems(SMALL, {"script": "file:/a.py", "data": twice})["values.data"]


@pytest.mark.parametrize("name", ["../x.py", "..", "a\nb.py", "a\\b.py"])
def test_a_file_cannot_leave_its_place(name):
    """The name that a browser sends is a name and no path."""
    try:
        spec = expand(SMALL, {"script": {"name": name, "content": "x"}})
    except Rejected:
        return
    assert list(spec.files) == ["x.py"]


def test_a_site_adds_and_replaces_patterns(tmp_path):
    """A file is a pattern; one of a shipped name stands in for it; a bad one is told and holds nothing up."""
    (tmp_path / "hello.yaml").write_text(
        "title: Hello\nsummary: Says it.\norder: 1\nfields: {who: {title: Whom}}\nspec: {command: 'echo ${{ who }}'}\n"
        "example: {values: {who: world}}\n"
    )
    catalogue = Catalogue(tmp_path)
    assert expand(catalogue.find("hello"), {"who": "a b"}).command == "echo 'a b'"
    assert catalogue.origin(catalogue.find("hello")) == "site"
    assert catalogue.patterns()[0].name == "hello"
    (tmp_path / "blast.yaml").write_text("title: Ours\nsummary: x\nfields: {}\nspec: {command: ours}\n")
    assert catalogue.find("blast").title == "Ours"
    (tmp_path / "bad.yaml").write_text(
        "title: Bad\nsummary: x\nfields: {who: {title: W}}\nspec: {command: '${{ hwo }}'}\n"
    )
    (tmp_path / "worse.yaml").write_text("title: [")
    (tmp_path / "wrong.yaml").write_text(
        "title: W\nsummary: x\nfields: {n: {kind: integer, title: N}}\nspec: {command: x}\nexample: {values: {n: x}}\n"
    )
    troubles = dict(catalogue.troubles())
    assert "hwo" in troubles["bad.yaml"]
    assert "not YAML" in troubles["worse.yaml"]
    assert "values.n" in troubles["wrong.yaml"]
    assert catalogue.find("hello")
    with pytest.raises(NotFound, match="hello"):
        catalogue.find("hallo")
    with pytest.raises(Rejected):
        read_pattern(tmp_path / "bad.yaml")
