"""How Sphinx builds the site; `make docs` runs it over the pages that scripts/build_docs.py lays
out."""

from pathlib import Path

import interplm_nb

project = "interplm-nb"
author = "The interplm-nb authors"
copyright = author
version = release = interplm_nb.__version__
language = "en"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_copybutton",
]
exclude_patterns = ["_*"]
suppress_warnings = ["myst.header"]  # the glossary's entries are headings of the third level

# Pages. Lessons come with their outputs; nothing is executed here.
myst_heading_anchors = 4
nb_execution_mode = "off"
nb_merge_streams = True
nb_ipywidgets_js = {}  # they would come from the network
myst_enable_extensions = []
copybutton_exclude = ".linenos, .gp, .go"
copybutton_prompt_text = ">>> |\\.\\.\\. "
copybutton_prompt_is_regexp = True

# The API.
templates_path = [str(Path(__file__).parent / "_templates")]  # pages lie elsewhere
default_role = "code"  # docstrings quote names as Markdown does
autodoc_typehints = "signature"
python_use_unqualified_type_names = True
autodoc_member_order = "bysource"
autosummary_generate = True
numpydoc_show_class_members = False
numpydoc_use_plots = False

html_theme = "pydata_sphinx_theme"
html_title = f"{project} {version}"
html_favicon = str(Path(__file__).parent / "_static" / "icon.svg")
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": html_title},
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {"start": []}
html_context = {"default_mode": "auto"}
