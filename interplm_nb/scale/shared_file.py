"""What a task needs on every worker, in a file that all of them see: arrays and weights never go
through the scheduler."""

import hashlib
import pickle
import time
from pathlib import Path
from typing import Any, NamedTuple, Self

from interplm_nb.saving import atomic_path

SECONDS = 10.0
"""How long a worker waits for a file that another machine has just written."""


class SharedFile(NamedTuple):
    """A pickled object in a file. The sum travels with the task, so that nobody else's file is ever
    unpickled.

    Examples
    --------
    >>> shared = SharedFile.write({"layers": [1, 2]}, Path("inputs.pickle"))
    >>> shared.read()
    {'layers': [1, 2]}
    """

    path: str
    """Absolute: the same for every worker."""
    sha256: str

    @classmethod
    def write(cls, value: object, path: Path) -> Self:
        """Write the file, atomically."""
        data = pickle.dumps(value)
        with atomic_path(path) as draft:
            draft.write_bytes(data)
        return cls(str(path.resolve()), hashlib.sha256(data).hexdigest())

    def read(self) -> Any:
        """The object. ValueError for another file than was written, FileNotFoundError where this
        machine does not see it, after some seconds, as a network's file system takes its time."""
        path, end = Path(self.path), time.monotonic() + SECONDS
        while not path.is_file() and time.monotonic() < end:
            time.sleep(0.2)
        if not path.is_file():
            raise FileNotFoundError(
                f"{path}: a worker sees no such file; its folder must have the same path on all "
                "machines"
            )
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise ValueError(
                f"{path}: another process has replaced this file; run the command again, once"
            )
        return pickle.loads(data)
