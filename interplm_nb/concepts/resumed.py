"""A count that a killed process leaves half done, and another goes on with: the same integers as `count.count`."""

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
    """A source that says which values it holds."""

    @property
    def fingerprint(self) -> str:
        """A hash that differs where the values do: of weights, maxima, PLM, layer."""
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
    """`count.count`, in parts of whole proteins of about `residues` residues, with the sums so far kept in the file `state` every `seconds` seconds.

    Where `state` is there, of exactly this count (values, proteins, annotations, thresholds, overlap), it is gone on with; a state of another
    count, or one that cannot be read, is begun anew. Removed at the end: the scores are then the caller's to save. The file takes 8 bytes per
    concept, feature and threshold. Errors: those of `count.count`.
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
    """Ends of the parts, as numbers of chosen proteins: each part holds `residues` residues, and what its last protein is longer."""
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
    """How many of the proteins are counted, the sums restored; 0 where there is no state of this count."""
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
    ):  # no state that can be read: nothing is counted yet
        return 0
    return int(record["proteins"])
