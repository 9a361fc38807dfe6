"""Views of a run in a notebook."""
