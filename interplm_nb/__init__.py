"""interplm-nb: open up protein language models in Jupyter."""

__version__ = "0.1.0"
