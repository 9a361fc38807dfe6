"""How a worker's C library keeps memory between tensors."""

from collections.abc import Iterator
from contextlib import contextmanager

KEPT = {"MALLOC_TOP_PAD_": str(2**28), "MALLOC_MMAP_THRESHOLD_": str(2**28)}
"""Variables of glibc: up to 256 MiB that are freed stay with the process. Dask starts its workers
with MALLOC_TRIM_THRESHOLD_, which gives memory back after every tensor; to get its pages anew took
a fourth of the time of an embedding (9.1 against 12.2 s for 80,000 residues at the ESM-2 8M
shape)."""


@contextmanager
def workers_keep_memory() -> Iterator[None]:
    """Workers that a nanny of this process starts in the block keep what they free."""
    import distributed  # noqa: F401  (its settings exist once it is imported)
    from dask import config

    with config.set({"distributed.nanny.pre-spawn-environ": KEPT}):
        yield
