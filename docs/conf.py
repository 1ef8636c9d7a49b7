"""Configuration of the documentation."""

from importlib import metadata

project = "mm-beyond"
author = "the mm-beyond authors"
copyright = "the mm-beyond authors"
release = metadata.version("mm-beyond")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_preserve_defaults = True
napoleon_use_rtype = False

html_theme = "furo"
html_title = "mm-beyond"


def escape_bars(app, what, name, obj, options, lines):
    """A bar in a docstring is a norm, |p|^2, not the start of a substitution."""
    lines[:] = [line if "``" in line else line.replace("|", "\\|") for line in lines]


def setup(app):
    app.connect("autodoc-process-docstring", escape_bars)
