"""A count that resumes after its process was killed: the same integers as `count.count`."""

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from interplm_nb.annotations import Annotations
from interplm_nb.concepts.count import THRESHOLDS, Counting, Counts, MakeSums, SparseSums
from interplm_nb.concepts.labels import Overlap
from interplm_nb.concepts.scores import ConceptScores
from interplm_nb.concepts.source import Source
from interplm_nb.saving import atomic_path, json_hash, remove

_RECORD = "interplm_nb"


class NamedSource(Source, Protocol):
    """A source that identifies its values."""

    @property
    def fingerprint(self) -> str:
        """A hash that identifies the values: of weights, maxima, PLM, layer."""
        ...


def count_resumed(
    source: NamedSource,
    annotations: Annotations,
    state: Path,
    accessions: Iterable[str] | None = None,
    thresholds: Sequence[float] = THRESHOLDS,
    overlap: Overlap = "keep",
    sums: MakeSums = SparseSums,
    residues: int = 1_000_000,
    seconds: float = 60.0,
) -> ConceptScores:
    """`count.count`, resumable: every `seconds` seconds the sums are saved to the file `state`.

    Counts whole proteins in parts of about `residues` residues. If `state` exists and is of exactly
    this count (values, proteins, annotations, thresholds, overlap), the count resumes from it;
    another or unreadable state is discarded. It is removed at the end: saving the scores is up to
    the caller. The file takes 8 bytes per concept, feature and threshold. Errors are those of
    `count.count`.
    """
    counting = Counting(source, annotations, accessions, thresholds, overlap, sums)
    key = _key(source, annotations, counting.accessions, thresholds, overlap)
    done = _restored(state, key, counting)
    saved = time.monotonic()
    for stop in _stops(
        source.proteins.offsets,
        [source.proteins.index(a) for a in counting.accessions],
        done,
        residues,
    ):
        counting.add(counting.accessions[done:stop])
        done = stop
        if done < len(counting.accessions) and time.monotonic() - saved >= seconds:
            _save(state, key, done, counting.sums.counts())
            saved = time.monotonic()
    scores = counting.scores()
    remove(state)
    return scores


def _key(
    source: NamedSource,
    annotations: Annotations,
    accessions: list[str],
    thresholds: Sequence[float],
    overlap: str,
) -> str:
    chosen = hashlib.sha256("\n".join(accessions).encode()).hexdigest()
    counted = [
        source.fingerprint,
        source.proteins.sequence_hash,
        source.n_features,
        annotations.fingerprint,
        chosen,
    ]
    return json_hash([*counted, list(map(float, thresholds)), overlap])


def _stops(offsets: np.ndarray, places: list[int], done: int, residues: int) -> Iterator[int]:
    """Ends of the parts, as numbers of proteins: a part ends with the protein that fills it."""
    held = 0
    for i in range(done, len(places)):
        held += int(offsets[places[i] + 1] - offsets[places[i]])
        if held >= residues or i + 1 == len(places):
            yield i + 1
            held = 0


def _save(
    state: Path, key: str, done: int, counts: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> None:
    record = json.dumps({"type": "ConceptCounting", "version": 1, "count": key, "proteins": done})
    with atomic_path(state) as draft:
        save_file(Counts(*counts)._asdict(), draft, metadata={_RECORD: record})


def _restored(state: Path, key: str, counting: Counting) -> int:
    """Restore the sums and return how many proteins are counted; 0 without a state."""
    if not state.exists():
        return 0
    try:
        with safe_open(state, "numpy") as file:
            record: dict[str, Any] = json.loads((file.metadata() or {}).get(_RECORD, "{}"))
            if (record.get("type"), record.get("version"), record.get("count")) != (
                "ConceptCounting",
                1,
                key,
            ):
                return 0
            counting.sums.restore(Counts(*(file.get_tensor(name) for name in Counts._fields)))
    except (
        SafetensorError,
        OSError,
        ValueError,
    ):  # unreadable: nothing is counted yet
        return 0
    return int(record["proteins"])
