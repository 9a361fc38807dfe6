"""Pictures with a white ground, where the page is dark."""

DARK_PAGE = '[data-jp-theme-light="false"]'
"""CSS: the body of a page in a dark theme, in JupyterLab, Notebook, Voila and nbconvert."""

TURNED = "invert(.93) hue-rotate(180deg)"
"""CSS filter: lightness is turned round and hues stay.

White becomes the ground of JupyterLab's dark theme, and what stands out from white stands out from
that about as much or more.
"""
