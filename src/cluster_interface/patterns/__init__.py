"""The common kinds of job, each one file of data: a form, the job spec it fills in, and an example that runs.

A site adds its own as files in `patterns.directory`; no code is needed. See docs/how-to/add-a-pattern.md.
"""

from cluster_interface.patterns.catalogue import Catalogue, read_pattern
from cluster_interface.patterns.expanding import expand
from cluster_interface.patterns.schema import form_schema

__all__ = ["Catalogue", "expand", "form_schema", "read_pattern"]
