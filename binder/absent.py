"""What a cell of this small Binder says where a lesson needs something that it leaves out.

postBuild copies this file to where IPython runs it at the start of every kernel.
"""

import os
import re

from interplm_nb.pipeline.errors import PipelineError

LEFT_OUT = {
    *("esm", "h5py", "huggingface_hub", "papermill", "pymmseqs", "sklearn", "torch", "umap"),
    *("voila", "zstandard"),
}
"""Modules of the package's requirements that `environment.yml` beside this file does not have."""

FULL = "binder-full"
"""The branch whose Binder has PyTorch: `make binder-full`."""


def where(environ):
    """The address of the Binder that has everything; "" where this is no Binder of a repository.

    BinderHub names its own address, and the repository as "v2/gh/owner/name/ref".
    """
    host = environ.get("BINDER_LAUNCH_HOST", "")
    parts = environ.get("BINDER_REQUEST", "").split("/")
    if not host or len(parts) < 5:
        return ""
    return f"{host.rstrip('/')}/{'/'.join(parts[:4])}/{FULL}?urlpath=lab/tree/notebooks"


def sentence(what, environ):
    """Why the cell stopped, and where the lesson runs."""
    said = f"This lesson needs {what}, which this small Binder leaves out so that it starts fast. "
    if address := where(environ):
        return f"{said}It runs on the larger Binder: {address}"
    return f"{said}It runs where interplm-nb is installed whole: pip install interplm-nb"


def lacking(error):
    """The module, or the kind of run, that a lesson stopped for; "" for any other error."""
    if isinstance(error, ModuleNotFoundError):
        module = (error.name or "").partition(".")[0]
        return module if module in LEFT_OUT else ""
    found = re.match(r"this lesson needs (a run with [^;]+);", str(error))
    return found[1] if found else ""


def say(shell, kind, error, traceback, tb_offset=None):
    """Show the sentence alone; for any other error what is usual."""
    if what := lacking(error):
        error._render_traceback_ = lambda: [sentence(what, os.environ)]
    shell.showtraceback((kind, error, traceback), tb_offset=tb_offset)


if "get_ipython" in globals():
    get_ipython().set_custom_exc(  # noqa: F821 (IPython's own)
        (ModuleNotFoundError, PipelineError), say
    )
