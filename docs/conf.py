"""How the documentation is built: python -m sphinx -W -b html docs docs/_build."""

import sys
from pathlib import Path

import ntkflow

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "ntkflow"
author = "the ntkflow maintainers"
copyright = "2026, the ntkflow maintainers"
version = release = ntkflow.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "matplotlib.sphinxext.plot_directive",
    "catalogue",
    "docstrings",
    "command_help",
]
exclude_patterns = ["_build", "_ext"]
default_role = "py:obj"  # `name` in a docstring links where it can

myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings give the shape, which no annotation can
autodoc_preserve_defaults = True
autodoc_default_options = {"no-value": True}
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
python_maximum_signature_line_length = 88
add_module_names = False

plot_include_source = False
plot_html_show_source_link = False
plot_html_show_formats = False
plot_formats = [("svg", 100)]

html_theme = "furo"
html_title = f"ntkflow {version}"
html_copy_source = False
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["ntkflow.css"]
pygments_style = "friendly"
pygments_dark_style = "github-dark"
