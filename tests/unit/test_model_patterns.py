"""Patterns choose what they say."""

from __future__ import annotations

import fnmatch
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_interface.model.patterns import expand, matches
from cluster_interface.service.sweeping import may_reach

PARTS = st.text(alphabet="ab.*?[", min_size=1, max_size=4)


@pytest.mark.parametrize(
    ("pattern", "path", "chosen"),
    [
        ("a.txt", "a.txt", True),
        ("a.txt", "b/a.txt", False),
        ("*.txt", "a.txt", True),
        ("*.txt", ".txt", True),
        ("*.txt", "b/a.txt", False),
        ("**/*.txt", "a.txt", True),
        ("**/*.txt", "b/c/a.txt", True),
        ("results", "results/a/b", True),
        ("results", "results2", False),
        ("results/", "results/a/b", True),
        ("results/", "results", False),
        ("run*/", "run1/a/b", True),
        ("run*/", "run1", False),
        ("results/*", "results/a", True),
        ("results/*", "results/a/b", False),
        ("results/**", "results/a/b", True),
        ("a/**/b", "a/b", True),
        ("a/**/b", "a/x/y/b", True),
        ("a/**/b", "a/x/y", False),
        ("**", "x/y/z", True),
        ("**/**/x", "x", True),
        ("p?.png", "p1.png", True),
        ("p?.png", "p/.png", False),
        ("p[0-3].png", "p2.png", True),
        ("p[!0-3].png", "p2.png", False),
        ("*", "line\nbreak", True),
    ],
)
def test_patterns_mean_what_the_docstring_says(pattern, path, chosen):
    """Each kind of pattern chooses what it should, and nothing else."""
    assert matches(pattern, path) is chosen


def test_what_matches_nothing_is_told():
    """Patterns without a file are returned, in their order; files come once, in theirs."""
    assert expand(["b", "a", "c/d"], ["z", "a", "c/", "[ab]", "y"]) == (["b", "a", "c/d"], ["z", "y"])


def test_a_hostile_pattern_is_quick():
    """Many stars and many double stars do not make matching explode."""
    program = (
        "from cluster_interface.model.patterns import matches\n"
        "assert not matches('*a' * 60 + 'b', 'a' * 250)\n"
        "assert not matches('/'.join(['**', '*'] * 40) + '/b', '/'.join(['a'] * 200))\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)  # one that explodes takes for ever


@given(st.lists(PARTS, min_size=1, max_size=3), st.lists(PARTS, min_size=1, max_size=3))
def test_without_double_stars_components_match_one_by_one(pattern, path):
    """A pattern with signs and without ** matches a path of as many components, each by itself."""
    if "**" in pattern or not any(sign in "/".join(pattern) for sign in "*?["):
        return
    expected = len(pattern) == len(path) and all(map(fnmatch.fnmatchcase, path, pattern))
    assert matches("/".join(pattern), "/".join(path)) is expected


PART = st.sampled_from(["a", "b", "ab", "*", "a*", "?", "[ab]", "**"])
NAME = st.sampled_from(["a", "b", "ab", "abc"])


@given(
    pattern=st.lists(PART, min_size=1, max_size=4),
    end=st.sampled_from(["", "/"]),
    path=st.lists(NAME, min_size=2, max_size=5),
)
def test_a_sweep_looks_into_every_directory_above_what_its_pattern_chooses(pattern, end, path):
    """Nothing that a pattern chooses lies below a directory that is passed by."""
    text = "/".join(pattern) + end
    if matches(text, "/".join(path)):
        for depth in range(1, len(path)):
            assert may_reach(text, "/".join(path[:depth]) + "/")


@pytest.mark.parametrize(
    ("pattern", "directory"),
    [("data/*.txt", "other/"), ("data/*.txt", "data/deep/"), ("data/a", "data/b/"), ("in/a/**", "in/b/"), ("*", "in/")],
)
def test_a_sweep_passes_by_what_its_pattern_cannot_choose(pattern, directory):
    """So that a large directory beside what is meant costs nothing."""
    assert not may_reach(pattern, directory)
