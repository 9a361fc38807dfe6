"""Random labels on a few proteins in families, for tests of what is scored and what is found."""

import numpy as np
import polars as pl
from hypothesis import strategies as st

from interplm_nb.annotations import Annotations
from interplm_nb.proteins import Proteins

PROTEINS = Proteins.from_sequences({f"P{i}": "M" * 12 for i in range(9)})
NAMES = ("Domain_Kinase", "Domain_SH3", "Domain_any", "Region_any", "Site", "amino_acid_W")


@st.composite
def some_labels(draw: st.DrawFn) -> Annotations:
    """Segments of six concepts, drawn from few places, so that concepts often agree."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    lengths = {name: int(rng.choice([1, 1, 4])) for name in NAMES}
    rows, same = [], rng.integers(0, 2)
    for name in NAMES:
        draws = np.random.default_rng(7) if same and name.startswith("Domain") else rng
        for instance in range(int(draws.integers(1, 12))):
            accession, start = PROTEINS.accessions[draws.integers(9)], int(draws.integers(1, 9))
            end = start + (3 if same and name.startswith("Domain") else lengths[name]) - 1
            level = "residue" if name == "Site" else "instance"
            rows.append((accession, name, name.split("_")[0], level, start, end, instance))
    if same:  # almost the same: one residue more
        rows.append(("P0", "Domain_any", "Domain", "instance", 12, 12, 99))
    schema = ["accession", "concept", "category", "level", "start", "end", "instance"]
    return Annotations(pl.DataFrame(rows, schema=schema, orient="row"), PROTEINS)


def residues(annotations: Annotations, concept: str) -> set[tuple[str, int]]:
    """Accession and position of each residue, one by one."""
    return {
        (row["accession"], position)
        for row in annotations.table.iter_rows(named=True)
        if row["concept"] == concept
        for position in range(row["start"], row["end"] + 1)
    }
