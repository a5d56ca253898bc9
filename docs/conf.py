"""How `make docs` builds the site: offline, and with every warning an error.

Why Sphinx: it is well kept, builds offline and reads docstrings; Material for MkDocs,
the other candidate, is in maintenance only.
"""

import re
from pathlib import Path

import msann_keras

project = "msann_keras"
author = "the msann_keras authors"
release = version = msann_keras.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = "msann_keras"
html_show_copyright = False
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["site.css"]

# A word in backticks links to what it names, if it names anything public.
default_role = "py:obj"
add_module_names = False
python_maximum_signature_line_length = 70
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True}
napoleon_use_ivar = True
napoleon_use_rtype = False
napoleon_custom_sections = [("Call arguments", "params_style")]

#: What a page may not do: load anything from elsewhere.
ELSEWHERE = re.compile(
    r"""<(?:img|script|iframe)\b[^>]*\bsrc=["'](?:https?:)?//"""
    r"""|<link\b[^>]*\brel=["']?(?:stylesheet|preload)[^>]*\bhref=["'](?:https?:)?//"""
    r"""|url\(["']?(?:https?:)?//"""
)


def setup(app):
    """Read docstrings as they are meant, and see that the site needs no network."""
    app.connect("autodoc-skip-member", _skip_fields)
    app.connect("autodoc-process-docstring", _escape_bars)
    app.connect("build-finished", _refuse_what_loads)


def _skip_fields(app, what, name, member, skip, options):
    """A field of a named tuple says only its number."""
    return True if type(member).__name__ == "_tuplegetter" else None


def _escape_bars(app, what, name, member, options, lines):
    """|M_l| is a number of weights, and not what reStructuredText makes of bars."""
    lines[:] = [
        line if line.lstrip().startswith((">>>", "...")) else line.replace("|", r"\|")
        for line in lines
    ]


def _refuse_what_loads(app, failure):
    for file in [] if failure else Path(app.outdir).rglob("*"):
        if file.suffix not in (".html", ".css"):
            continue
        found = ELSEWHERE.search(file.read_text(encoding="utf-8"))
        if found:
            raise ValueError(f"{file} loads from elsewhere: {found[0]!r}")
