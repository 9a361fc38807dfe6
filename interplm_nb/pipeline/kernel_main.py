"""Starts the runner's kernel: `python -m interplm_nb.pipeline.kernel_main -f connection_file`."""

import sys

if __name__ == "__main__":
    # `-m` puts the working folder, the run's, first on the path: a file there must not shadow a
    # module.
    del sys.path[0]
    # Imported before IPython, tqdm.auto draws text, which the runner can show while a cell runs.
    import tqdm.auto  # noqa: F401
    from ipykernel import kernelapp

    kernelapp.launch_new_instance()
