from hypothesis import settings

# On a shared machine a first example may take long (imports, caches): a time limit per example would make results depend on the load.
settings.register_profile("project", deadline=None, max_examples=30, derandomize=True)
settings.load_profile("project")
