"""Names that packages no longer have."""

from __future__ import annotations

import pytest
from packaging.requirements import Requirement

from cluster_interface.inspection import inspect
from cluster_interface.inspection.python.removed import removed


@pytest.mark.parametrize(
    ("source", "packages"),
    [
        ("import numpy as np\nx = np.int(3)\n", {"numpy<1.24"}),
        ("import numpy\nx = numpy.NaN + numpy.float(3)\n", {"numpy<1.24"}),
        ("from numpy import float_\n", {"numpy<2"}),
        ("import numpy as np\nx = np.int64(3)\n", {"numpy"}),
        ("try:\n    from numpy import float_\nexcept ImportError:\n    from numpy import float64\n", {"numpy"}),
        ("import numpy as np\ntry:\n    real = np.float_\nexcept AttributeError:\n    real = float\n", {"numpy"}),
        ("import numpy as np\ntry:\n    print(np.float_(3))\nfinally:\n    end()\n", {"numpy<2"}),
        ("np = object()\nx = np.int\n", set()),
        ("import scipy.integrate as si\nsi.simps(y)\n", {"scipy<1.14"}),
        ("import scipy.integrate\nscipy.integrate.trapz(y)\n", {"scipy<1.14"}),
        ("from scipy import integrate\nintegrate.trapz(y)\n", {"scipy<1.14"}),
        ("import matplotlib.pyplot as plt\nplt.register_cmap('x')\n", {"matplotlib<3.9"}),
        ("from sklearn.datasets import load_boston\n", {"scikit-learn<1.2", "numpy<2"}),
        ("import pandas as pd\nd = d.append(e, ignore_index=True)\n", {"pandas<2", "numpy<2"}),
        ("import numpy as np\nd = d.append(e, ignore_index=True)\n", {"numpy"}),
    ],
)
def test_what_is_gone_is_had_from_a_release_that_has_it(source: str, packages: set[str]) -> None:
    """It counts by its full name, however it is imported, and only where nothing is said of versions."""
    found = inspect({"a.py": source}, "a.py").environment.python
    assert found is not None
    assert set(found.packages) == packages


@pytest.mark.parametrize(
    ("stated", "packages"),
    [
        ("scipy", {"scipy<1.14"}),
        ("scipy>=1.5,!=1.6\n-e .", {"scipy!=1.6,<1.14,>=1.5"}),
        ("scipy>=1.14", set()),
        ("scipy~=1.16\n-e .", {"scipy~=1.16"}),
    ],
)
def test_a_list_that_leaves_the_release_open_is_narrowed(stated: str, packages: set[str]) -> None:
    """Who names a package alone has not said that any release will do."""
    files = {"a.py": "from scipy.integrate import simps\n", "requirements.txt": stated}
    found = inspect(files, "a.py").environment.python
    assert found is not None
    assert set(found.packages) == packages


def test_what_is_stated_stays() -> None:
    """Who names a version is believed; nothing is added to it."""
    files = {"a.py": "import pandas as pd\nd.append(e, ignore_index=True)\n", "requirements.txt": "pandas==2.1.0\n"}
    found = inspect(files, "a.py").environment.python
    assert found is not None
    assert (found.packages, found.requirements) == ((), "requirements.txt")


def test_a_release_that_is_older_than_a_python_brings_an_older_python() -> None:
    """There is no scipy 1.8 for Python 3.11."""
    found = inspect({"a.py": "from scipy.linalg import pinv2\n"}, "a.py").environment.python
    assert found is not None
    assert (found.packages, found.version) == (("scipy<1.9",), "3.9")


def test_the_table_names_what_a_bound_can_be_written_of() -> None:
    """Each row makes valid requirements, and its names begin with what brings them."""
    for name, row in removed().items():
        assert Requirement(f"{row.of}<{row.before}").specifier
        assert not row.also or Requirement(row.also).specifier
        assert name.count("(") == name.count(")") <= 1


@pytest.mark.parametrize(
    ("source", "packages"),
    [
        ("from scipy import interp\n", {"scipy<1.12"}),
        ("import pandas as pd\npd.value_counts(x)\n", {"pandas<3.0"}),
        ("import scipy.signal as s\nw = s.tukey(3)\n", {"scipy<1.13"}),
        ("from pandas.util.testing import assert_frame_equal\n", {"pandas<2.0", "numpy<2"}),
        ("from sklearn.metrics import plot_confusion_matrix\n", {"scikit-learn<1.2", "numpy<2"}),
        ("import matplotlib.pyplot as plt\nplt.cm.get_cmap('jet')\n", {"matplotlib<3.11"}),
        ("import numpy\nnumpy.core.abs(x)\n", {"numpy"}),
    ],
)
def test_the_list_of_what_releases_took_away_counts(source: str, packages: set[str]) -> None:
    """A module that is gone stands for what was in it; what still answers by its old name is no such thing."""
    found = inspect({"a.py": source}, "a.py").environment.python
    assert found is not None
    assert set(found.packages) == packages


def test_the_list_names_releases() -> None:
    """Each line of it can become a requirement."""
    assert len(removed()) > 2000
    for name, row in removed().items():
        assert all(part.isidentifier() for part in name.rstrip(")").replace("(", ".").split("."))
        Requirement(f"{row.of}<{row.before}")
