"""Sphinx configuration."""

from sklearn_ser import __version__

project = "sklearn-ser"
author = "The sklearn-ser developers"
release = version = __version__
extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc"]
autosummary_generate = True
numpydoc_show_class_members = False
exclude_patterns = ["_build"]
html_title = f"sklearn-ser {release}"
