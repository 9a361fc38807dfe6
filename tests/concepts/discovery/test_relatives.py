"""The nearest relative with a label, by MMseqs2 itself on a made family, and by hand on made
hits.
"""

import numpy as np
import polars as pl
import pytest

from interplm_nb.annotations import Annotations
from interplm_nb.concepts.discovery import relatives
from interplm_nb.concepts.discovery.relatives import RELATIVES, nearest_relatives
from interplm_nb.proteins import Proteins

RNG = np.random.default_rng(1)
LETTERS = np.array(list("ACDEFGHIKLMNPQRSTVWY"))


def mutated(parent: np.ndarray, share: float) -> np.ndarray:
    return np.where(RNG.random(len(parent)) < share, RNG.choice(LETTERS, len(parent)), parent)


ANCESTOR = RNG.choice(LETTERS, 150)
SEQUENCES = {
    "query": ANCESTOR,
    "near": mutated(ANCESTOR, 0.2),
    "far": mutated(ANCESTOR, 0.5),
    "lone": RNG.choice(LETTERS, 150),
}
PROTEINS = Proteins.from_sequences({name: "".join(letters) for name, letters in SEQUENCES.items()})


def labelled(*labels: tuple[str, str]) -> Annotations:
    schema = ["accession", "concept", "category", "level", "start", "end", "instance"]
    rows = [
        (accession, concept, "x", "instance", 1, 5, i)
        for i, (accession, concept) in enumerate(labels)
    ]
    return Annotations(pl.DataFrame(rows, schema=schema, orient="row"), PROTEINS)


def test_the_nearest_labelled_relative_is_found_and_not_the_protein_itself() -> None:
    annotations = labelled(("query", "A"), ("near", "A"), ("far", "A"), ("far", "B"), ("far", "C"))
    found = nearest_relatives(annotations, ["A", "B"], ["query", "lone"]).filter(
        pl.col("e_value") < 1e-3
    )
    assert found.schema == pl.Schema(RELATIVES)
    assert found.select("accession", "concept", "relative").rows() == [
        ("query", "A", "near"),
        ("query", "B", "far"),
    ]
    assert found["e_value"].is_sorted() and 0.6 < found["identity"][0] < 0.95


def test_equal_e_values_go_by_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    hits = pl.DataFrame(
        {
            "query": [0, 0, 0],
            "target": [0, 1, 2],
            "identity": [1.0, 0.4, 0.6],
            "e_value": [0.0, 0.0, 0.0],
        }
    )
    hits = hits.with_columns(pl.col("query", "target").cast(pl.UInt32))
    monkeypatch.setattr(relatives, "alignments", lambda *args: hits)
    found = nearest_relatives(
        labelled(("query", "A"), ("near", "A"), ("far", "A")), ["A"], ["query"]
    )
    assert found["relative"].to_list() == ["far"]
