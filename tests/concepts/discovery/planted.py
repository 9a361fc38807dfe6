"""A small world with a motif, a feature that fires on it, and labels that may be taken away."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from interplm_nb.activations import FeatureActivations
from interplm_nb.annotations import Annotations
from interplm_nb.proteins import Proteins

LETTERS = np.array(list("ADEFGHIKLMNPQRSTVY"))
MOTIF = "WCWCGWCWGC"
CONCEPTS = {"Domain_Motif": "Domain", "Domain_any": "Domain", "Region_Other": "Region"}


@dataclass(frozen=True)
class World:
    """proteins P000...; the motif of every second one at `places` (position of its first residue);
    three in five are train, then validation, test.
    """

    proteins: Proteins
    places: dict[str, int]
    source: FeatureActivations
    splits: pl.DataFrame

    def annotations(self, without: tuple[str, ...] = (), shift: int = 0) -> Annotations:
        """Motif and any of its category on each motif; a region, which no feature marks, on each
        protein.
        """
        rows = []
        for i, (accession, place) in enumerate(self.places.items()):
            if accession in without:
                continue
            for concept in ("Domain_Motif", "Domain_any"):
                rows.append(
                    (
                        accession,
                        concept,
                        "Domain",
                        "instance",
                        place + shift,
                        place + shift + len(MOTIF) - 1,
                        i,
                    )
                )
        rows += [
            (accession, "Region_Other", "Region", "instance", 1, 3, i)
            for i, accession in enumerate(self.proteins.accessions)
        ]
        schema = ["accession", "concept", "category", "level", "start", "end", "instance"]
        return Annotations(pl.DataFrame(rows, schema=schema, orient="row"), self.proteins)

    def of(self, split: str) -> list[str]:
        """Accessions of a split."""
        return self.splits.filter(split=split)["accession"].to_list()


def world(n: int = 60, seed: int = 0, blind: float = 0.0) -> World:
    """Feature 0 fires on motifs, 0.6 to 1; feature 1 on single residues of all proteins, 0 to 0.5;
    feature 2 never. blind: share of firing sites on the motif's scale where there is no motif.
    """
    rng = np.random.default_rng(seed)
    sequences, places, fires = {}, {}, {}
    for i in range(n):
        accession, length = f"P{i:03d}", int(rng.integers(45, 80))
        letters = "".join(rng.choice(LETTERS, length))
        place = int(rng.integers(5, length - 15))
        if i % 2 == 0:
            letters = letters[: place - 1] + MOTIF + letters[place - 1 + len(MOTIF) :]
            places[accession] = place
        sequences[accession] = letters
        if i % 2 == 0 or rng.random() < blind:
            fires[accession] = place
    proteins = Proteins.from_sequences(sequences)
    values = np.zeros((proteins.n_residues, 3), np.float32)
    values[:, 1] = np.where(
        rng.random(proteins.n_residues) < 0.2, rng.random(proteins.n_residues) / 2, 0
    )
    for accession, place in fires.items():
        first = proteins.rows(accession).start + place - 1
        values[first : first + len(MOTIF), 0] = rng.uniform(0.6, 1, len(MOTIF))
    split = [
        "train",
        "train",
        "train",
        "train",
        "train",
        "train",
        "validation",
        "validation",
        "test",
        "test",
    ]
    table = {
        "accession": proteins.accessions,
        "cluster": np.arange(n) // 2,
        "split": [split[i % 10] for i in range(n)],
    }
    return World(
        proteins,
        places,
        FeatureActivations.from_dense(values, proteins, "max"),
        pl.DataFrame(table),
    )
