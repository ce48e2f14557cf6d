"""Sphinx configuration."""

import inspect
import os
import re
import sys
import tomllib
import warnings
from pathlib import Path

from sphinx.util.docutils import SphinxDirective

import sklearn_ser

REPOSITORY = "https://github.com/sklearn-ser/sklearn-ser"
SITE = "https://sklearn-ser.readthedocs.io"
PACKAGE = Path(sklearn_ser.__file__).parent
ROOT = Path(__file__).parents[1]

# Real corpora of pages that also run without: beside the repository, where they are there.
for name in ("emodb", "urdu"):
    folder = Path(__file__).parents[2] / "shared" / "corpora" / name
    if folder.is_dir():
        os.environ.setdefault(f"SKLEARN_SER_{name.upper()}", str(folder))

project = "sklearn-ser"
author = "The sklearn-ser developers"
copyright = "The sklearn-ser developers"
release = version = sklearn_ser.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.linkcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "sphinx_sitemap",
]
exclude_patterns = ["_build", "gallery", "examples"]
templates_path = ["_templates"]
nitpicky = False

autosummary_generate = True
# Signatures as they are written, and types where the docstring names them.
autodoc_typehints = "none"
autodoc_preserve_defaults = True
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

# Inventories of other projects are on the net; where that cannot be reached, names stay plain text.
ONLINE = os.environ.get("READTHEDOCS") == "True" or "SKLEARN_SER_DOCS_ONLINE" in os.environ
intersphinx_mapping = {
    "joblib": ("https://joblib.readthedocs.io/en/latest", None),
    "numpy": ("https://numpy.org/doc/stable", None),
    "pandas": ("https://pandas.pydata.org/docs", None),
    "python": ("https://docs.python.org/3", None),
    "sklearn": ("https://scikit-learn.org/stable", None),
}
if not ONLINE:
    intersphinx_mapping = {}

# How busy the machine is that builds the examples is no part of what they show.
warnings.filterwarnings("ignore", message="A worker stopped while some jobs were given")
# Nor are its folders.
warnings.formatwarning = lambda message, category, *_, **__: f"{category.__name__}: {message}\n"
sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "within_subsection_order": "FileNameSortKey",
    "reference_url": {"sklearn_ser": None},
    "doc_module": ("sklearn_ser",),
    "backreferences_dir": "generated/backreferences",
    "plot_gallery": "True",
    "abort_on_example_error": True,
    "remove_config_comments": True,
    "show_memory": False,
    "matplotlib_animations": False,
}

html_theme = "pydata_sphinx_theme"
html_title = f"sklearn-ser {release}"
html_baseurl = f"{SITE}/en/stable/"
sitemap_url_scheme = "{link}"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_js_files = ["accessible.js"]
html_context = {
    "github_user": "sklearn-ser",
    "github_repo": "sklearn-ser",
    "github_version": "main",
    "doc_path": "docs",
}
html_theme_options = {
    "github_url": REPOSITORY,
    "use_edit_page_button": True,
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "header_links_before_dropdown": 5,
    "switcher": {
        "json_url": f"{SITE}/en/stable/_static/switcher.json",
        "version_match": release,
    },
    "check_switcher": False,
    "navbar_end": ["version-switcher", "theme-switcher", "navbar-icon-links"],
    "secondary_sidebar_items": ["page-toc", "edit-this-page", "sourcelink"],
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
}
suppress_warnings = ["myst.header"]  # of the changelog, which is included below a title
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def linkcode_resolve(domain, info):
    """Return the address of an object's lines in the repository."""
    if domain != "py" or not info["module"]:
        return None
    value = sys.modules.get(info["module"])
    for name in info["fullname"].split("."):
        value = getattr(value, name, None)
    try:
        value = inspect.unwrap(value)
        path = Path(inspect.getsourcefile(value)).resolve().relative_to(PACKAGE)
        lines, first = inspect.getsourcelines(value)
    except (TypeError, OSError, ValueError):
        return None  # what is not ours, or has no lines
    last = first + len(lines) - 1
    return f"{REPOSITORY}/blob/main/sklearn_ser/{path.as_posix()}#L{first}-L{last}"


def _plain_text(app, env, node, text):
    """Leave labels and terms of scikit-learn's documentation, in what is inherited, as text."""
    is_label = node.get("refdomain") == "std" and node.get("reftype") in {"ref", "term"}
    inherited = str(node.get("refdoc")).startswith("generated/")
    return text if is_label and inherited and not ONLINE else None


def _no_empty_headers(app, pagename, templatename, context, doctree):
    """Make cells of empty headers of tables, which screen readers stumble over."""
    if "body" in context:
        empty = r"<th( [^>]*)?>(<p></p>)?</th>"
        context["body"] = re.sub(empty, r"<td\1></td>", context["body"])


class TestedWith(SphinxDirective):
    """A table of the versions that the tests run with, of what pyproject.toml depends on."""

    def run(self):
        """Return the table."""
        files = {name: ROOT / f"constraints{name}.txt" for name in ("-oldest", "")}
        self.env.note_dependency(str(ROOT / "pyproject.toml"))
        tested = {}
        for name, path in files.items():
            self.env.note_dependency(str(path))
            pins = re.findall(r"(?m)^([\w.-]+)==(\S+)", path.read_text(encoding="utf-8"))
            tested[name] = {_normalised(package): version for package, version in pins}
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        extras = project["optional-dependencies"].values()
        needed = [*project["dependencies"], *(each for extra in extras for each in extra)]
        packages = [each.partition(">=")[0] for each in needed if "[" not in each]
        rows = [
            [
                f"``{package}``",
                *(tested[name].get(_normalised(package), "not tested") for name in files),
            ]
            for package in packages
        ]
        lines = [".. list-table::", "   :header-rows: 1", ""]
        for row in [["package", "oldest", "newest"], *rows]:
            lines += [f"   {'-' if i else '* -'} {cell}" for i, cell in enumerate(row)]
        text = "\n".join(lines).replace("\n   - ", "\n     - ")
        return self.parse_text_to_nodes(text)


def _normalised(package):
    return re.sub(r"[-_.]+", "-", package).lower()


def setup(app):
    """Connect what pages need beside the extensions."""
    app.add_directive("tested-with", TestedWith)
    app.connect("missing-reference", _plain_text)
    app.connect("html-page-context", _no_empty_headers)
