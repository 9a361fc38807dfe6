"""Hashes of a run's files, remembered by size and modification time: gigabytes are read once."""

import contextlib
from pathlib import Path

from interplm_nb.saving import file_hash, read_json, write_json


class FileHashes:
    """sha256 of files; `memory` is a JSON file that remembers them by (size, mtime).

    Losing it only costs time.
    """

    def __init__(self, memory: Path) -> None:
        self._memory = memory
        self._known: dict[str, list] = {}
        with contextlib.suppress(FileNotFoundError, ValueError):  # damaged: forgotten
            self._known = read_json(memory, "FileHashes", 1)["files"]

    def of(self, path: Path) -> str:
        """The hash of one file."""
        state = path.stat()
        name = str(path.resolve())
        known = self._known.get(name)
        if known and known[:2] == [state.st_size, state.st_mtime_ns]:
            return known[2]
        digest = file_hash(path)
        self._known[name] = [state.st_size, state.st_mtime_ns, digest]
        return digest

    def save(self) -> None:
        """Write the memory, without files that are gone."""
        self._known = {name: known for name, known in self._known.items() if Path(name).exists()}
        write_json({"type": "FileHashes", "version": 1, "files": self._known}, self._memory)
