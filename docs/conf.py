"""How Sphinx builds these pages: `nox -s docs`, or `sphinx-build -W docs build/docs`."""

import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import gru_native

HERE = Path(__file__).parent
ROOT = HERE.parent

project = "gru_native"
author = "the gru_native authors"
copyright = author
release = version = gru_native.__version__

templates_path = ["_templates"]
extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
]
exclude_patterns = []
nitpicky = False
suppress_warnings = [
    "myst.header",  # tables that programs write begin with smaller headings
    "duplicate_declaration.cpp",  # every header opens the namespace
]

# --- Python: every name that stands in a page of reference/ has a page of its own
autosummary_generate = True
autodoc_typehints = "none"  # numpydoc's sections say it in words
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
missing = [name for name in ("torch", "onnx", "keras", "ray") if find_spec(name) is None]
if missing:
    print(f"{', '.join(missing)}: not installed, so the reference of the frameworks is left out")
    exclude_patterns.append("reference/frameworks.md")

# --- C++: Doxygen reads the headers, Breathe puts what it found into reference/cpp.md
if shutil.which("doxygen"):
    extensions.append("breathe")
    breathe_projects = {"gru_native": str(ROOT / "build/doxygen/xml")}
    breathe_default_project = "gru_native"
    subprocess.run(["doxygen", str(HERE / "Doxyfile")], cwd=ROOT, check=True)
else:
    print("Doxygen is not installed: the reference of the C++ interface is left out")
    exclude_patterns.append("reference/cpp/*")

if exclude_patterns:
    suppress_warnings += ["toc.excluded", "toc.not_readable"]

# --- HTML
html_theme = "furo"
html_title = f"gru_native {release}"
html_copy_source = False
