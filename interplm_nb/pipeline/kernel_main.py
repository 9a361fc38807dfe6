"""Starts the runner's kernel: `python -P -m interplm_nb.pipeline.kernel_main -f FILE`."""

if __name__ == "__main__":
    # Imported before IPython, tqdm.auto draws text, which the runner can show while a cell runs.
    import tqdm.auto  # noqa: F401
    from ipykernel import kernelapp

    kernelapp.launch_new_instance()
