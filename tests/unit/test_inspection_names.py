"""Import names and the distributions that bring them, against what Debian's packages say of themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster_interface.inspection import inspect
from cluster_interface.inspection.python.distributions import table
from cluster_interface.inspection.python.imports import Import
from cluster_interface.inspection.python.names import is_known, look_up
from cluster_interface.inspection.wanted import distribution_of
from cluster_interface.model.proposal import Sureness

PACKAGES = "environment.python.packages"
LINES = (Path(__file__).parent / "inspection_data" / "import_names.tsv").read_text().splitlines()[1:]
USED = {module: names.split() for module, names in (line.split("\t") for line in LINES)}


def answer(module):
    """What is installed for an import without asking; None where it is asked about."""
    item = Import(module, 1)
    found = look_up(item)
    names = table().find(item) or (found.distributions if found.sure else ())
    return distribution_of(names[0]) if names else None


def test_names_that_are_really_used_are_right():
    """Of the modules of the most used packages none is mistaken for another's, and nearly all are known."""
    answers = {module: answer(module) for module in USED}
    wrong = {module: found for module, found in answers.items() if found and found not in USED[module]}
    assert len(USED) > 750
    assert wrong == {}
    assert sum(found is None for found in answers.values()) <= 12


@pytest.mark.parametrize(
    ("module", "distribution"),
    [
        ("trio", "trio"),
        ("azure.keyvault.secrets", "azure-keyvault-secrets"),
        ("pytest_benchmark.plugin", "pytest-benchmark"),
        ("ginga.util.loader", "ginga"),
        ("traitsui.api", "traitsui"),
    ],
)
def test_what_the_table_does_not_know_but_thousands_download_is_likely(module, distribution):
    """Behind the table stands the larger database, and the guess says so."""
    found = inspect({"a.py": f"import {module}"}, "a.py")
    (guess,) = [g for g in found.guesses if g.field == PACKAGES]
    assert (guess.value, guess.sure) == (distribution, Sureness.LIKELY)
    assert guess.rests_on == f"import {module}, line 1 (among the most downloaded of PyPI, or in Debian)"


@pytest.mark.parametrize("module", ["apt", "aptsources", "reportbug"])
def test_what_only_debian_has_is_no_package_of_the_index(module):
    """Who has only taken such a name on PyPI is far behind in his versions, or the distribution is not there at all."""
    assert answer(module) is None


@pytest.mark.parametrize("module", ["tests", "utils", "models", "config", "examples", "google", "azure.nothing"])
def test_names_that_anybody_may_use_are_asked_about(module):
    """What sloppy wheels put beside their package is more likely a file that was forgotten."""
    found = inspect({"a.py": f"import {module}"}, "a.py")
    assert found.environment.python.packages == ()
    assert [g.sure for g in found.guesses if g.field == PACKAGES] == [Sureness.ASK]


def test_an_uncertain_name_is_asked_about_with_its_candidates():
    """Where another distribution may be meant, each is named and none is taken."""
    found = inspect({"a.py": "import tree"}, "a.py")
    assert found.environment.python.packages == ()
    (guess,) = [g for g in found.guesses if g.field == PACKAGES]
    assert (guess.value, guess.sure, "one of dm-tree" in guess.rests_on) == ("dm-tree", Sureness.ASK, True)
    assert any("--with dm-tree" in warning for warning in found.warnings)


def test_no_distribution_is_proposed_that_is_not_well_known():
    """Whatever the code calls its modules: what is installed is in the table or among the most downloaded."""
    known = {distribution_of(name) for names in table().providers.values() for name in names}
    source = "".join(f"import {module}\n" for module in [*USED, "numpyy", "requestss", "pandsa", "sci_kit_learn"])
    for requirement in inspect({"a.py": source}, "a.py").environment.python.packages:
        assert distribution_of(requirement) in known or is_known(requirement)
    assert not {"numpyy", "requestss", "pandsa"} & set(map(answer, ["numpyy", "requestss", "pandsa"]))


@pytest.mark.parametrize(("name", "local"), [("numpy", False), ("torch", False), ("helpers", True)])
def test_a_directory_named_like_a_well_known_package_is_not_it(name: str, local: bool) -> None:
    """Examples of numpy lie in a directory `numpy`; Python takes a directory that is no package last."""
    found = inspect({f"{name}/a.py": f"import {name}.b\n", f"{name}/b.py": ""}, f"{name}/a.py")
    assert (f"{name}/b.py" in found.inputs) is local
    assert found.environment.python is not None
    assert (name in found.environment.python.packages) is not local
