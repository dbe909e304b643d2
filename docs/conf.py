"""How Sphinx builds the site: `make docs` calls it, and a warning is an error."""

import re
import sys
from pathlib import Path

import ninc

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

project = "ninc"
author = "the authors of ninc"
copyright = author
version = release = ninc.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "docstrings",
    "command_line",
]
exclude_patterns = ["extensions"]
source_suffix = {".md": "markdown"}
nitpicky = True
smartquotes = False  # in docstrings a quoted word is a value that users type

# ---- Pages ---------------------------------------------------------------------------------------
myst_heading_anchors = 4
# Commands are copied without the prompt and without what they printed.
copybutton_prompt_text = r"\$ |>>> "
copybutton_prompt_is_regexp = True

# ---- The interface, from docstrings --------------------------------------------------------------
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
# Signatures have the short names that api/types.md explains, not what they stand for.
types_page = Path(__file__).parent / "api" / "types.md"
autodoc_type_aliases = {
    name: name for name in re.findall(r"\.\. py:type:: (\w+)", types_page.read_text())
}
add_module_names = False
toc_object_entries_show_parents = "hide"
maximum_signature_line_length = 90

# ---- Looks ---------------------------------------------------------------------------------------
html_theme = "furo"
html_title = f"ninc {version}"
html_static_path = ["_static"]
html_css_files = ["ninc.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": True, "top_of_page_buttons": []}
pygments_style = "default"
