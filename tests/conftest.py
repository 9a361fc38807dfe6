import os

# One thread a process: the tests' tensors are small, and threads that wait for one another make a busy machine many times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from hypothesis import settings

# On a shared machine a first example may take long (imports, caches): a time limit per example would make results depend on the load.
settings.register_profile("project", deadline=None, max_examples=30, derandomize=True)
settings.load_profile("project")
