"""A bill of materials is what CycloneDX says it is, by the schema of its makers, whatever an image is made of."""

import json

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from cluster_interface.images import bom
from cluster_interface.model.plan import Lock

STATUS = """Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9+deb12u10

Package: g++
Status: install ok installed
Architecture: amd64
Version: 4:12.2.0-3

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0
"""
CONDA = """version: 6
packages:
- conda: https://conda.anaconda.org/conda-forge/linux-64/gdal-3.9.1-py312h7c4b0c5_1.conda
- conda: https://conda.anaconda.org/conda-forge/linux-64/gdal-3.9.1-py312h7c4b0c5_1.conda
- conda: https://conda.anaconda.org/conda-forge/noarch/tzdata-2024a-h0c530f3_0.tar.bz2
"""
HASH = "a" * 64
PLAIN = {"base": "b" * 64, "image": "i" * 64, "python": "3.11", "suite": "bookworm"}
LOCKS = {
    "base": Lock(**PLAIN),
    "python": Lock(
        **PLAIN, requirements=f"torch==2.4.0+cpu \\\n    --hash=sha256:{HASH} \\\n    --hash=sha256:{HASH}\n"
    ),
    "conda": Lock(**PLAIN, conda=CONDA),
    "r": Lock(**PLAIN, r=(f"above 1.0-2 https://cran.example.org/src/contrib/above_1.0-2.tar.gz {'0' * 32}",)),
    "imported": Lock(**{**PLAIN, "suite": None}),
}
LOCKS["setup"] = Lock(**{**PLAIN, "suite": None}, setup="true", under=LOCKS["python"])


@pytest.mark.parametrize("kind", LOCKS)
def test_a_bill_fits_its_schema(tmp_path, kind):
    """With packages of Debian, an index, conda and R, a version of any form, and each of them once."""
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").write_text(STATUS)
    bill = bom.bill(LOCKS[kind], tmp_path, "1.0")
    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill))
    assert problem is None, problem
    refs = [component["bom-ref"] for component in bill["components"]]
    assert len(refs) == len(set(refs))
    names = {component["name"] for component in bill["components"]}
    assert {"libc6", "g++"} <= names
    assert "gone" not in names
    assert bill == bom.bill(LOCKS[kind], tmp_path, "1.0")
