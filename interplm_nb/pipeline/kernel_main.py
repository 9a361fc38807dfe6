"""Starts the kernel of the runner: `python -m interplm_nb.pipeline.kernel_main -f connection_file`."""

import sys

if __name__ == "__main__":
    # `-m` puts the working folder, which is the run's, before everything: a file there must not stand in for a module.
    del sys.path[0]
    # Imported before IPython is there, tqdm.auto settles for text, which the runner can show while a cell works.
    import tqdm.auto  # noqa: F401
    from ipykernel import kernelapp

    kernelapp.launch_new_instance()
