"""Sphinx: Markdown in, HTML out; the reference tables are written from the code itself."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from generated import write_all  # noqa: E402 - beside this file

from cluster_interface import __version__  # noqa: E402

write_all(HERE.parent / "build" / "reference")

project = "cluster-interface"
author = "The cluster-interface developers"
copyright = author  # noqa: A001 - Sphinx's own name
release = version = __version__
extensions = ["myst_parser"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
exclude_patterns = ["images/*"]
html_theme = "furo"
html_title = f"cluster-interface {release}"
html_copy_source = False
