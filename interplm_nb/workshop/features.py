"""Lesson 2: how few features are on, what makes one fire, and how many have a name."""

from functools import cache

import numpy as np
import polars as pl

from interplm_nb.pipeline.run import Run
from interplm_nb.workshop.exercise import Exercise

PROTEIN = "P00044"
FEATURE = 645
STRONGEST = 50
FLANK = 6


def strongest(run: Run, feature: int, n: int = STRONGEST) -> pl.DataFrame:
    """The residues on which a feature is strongest, the first first.

    Columns: accession, position, letter, activation (share of the feature's maximum), around (the
    six residues before and after it, with the residue itself between dots).

    Examples
    --------
    >>> strongest(Run.shipped(), 211, 1)["around"].item()
    'GTPGVG.K.TLTVRE'
    """
    rows, values = run.activations().relative_to(run.maxima().train).feature(feature)
    order = np.argsort(-values, kind="stable")[:n]
    proteins, found = run.proteins(), []
    for row, value in zip(rows[order], values[order], strict=True):
        residue = proteins.residue(int(row))
        sequence, at = proteins.sequence(residue.accession), residue.position - 1
        before, after = sequence[max(0, at - FLANK) : at], sequence[at + 1 : at + 1 + FLANK]
        letter = sequence[at]
        place = (residue.accession, residue.position, letter, float(value))
        found.append((*place, f"{before}.{letter}.{after}"))
    names = ["accession", "position", "letter", "activation", "around"]
    return pl.DataFrame(found, schema=names, orient="row")


@cache
def _density(of: str) -> float:
    run = Run.shipped()
    csr = run.activations().of(PROTEIN)
    residues, features = len(run.proteins().sequence(PROTEIN)), run.activations().n_features
    used = np.unique(csr.indices).size
    return {"all": csr.nnz / (residues * features), "protein": used / features}[of]


@cache
def _cysteine(n: int) -> float:
    letters = strongest(Run.shipped(), FEATURE, n)["letter"].to_list()
    return letters.count("C") / len(letters)


def _found() -> pl.DataFrame:
    return Run.shipped().table("concepts", "found").filter(source="sae", convention="strict")


def _n_features() -> int:
    return Run.shipped().activations().n_features


EXERCISES = {
    "density": Exercise(
        lambda: _density("all"),
        "Count the numbers that are not 0, and divide by how many numbers the table has: rows "
        "times columns.",
        "All the rest is 0: that is what sparse means.",
        (
            (
                lambda: _density("protein"),
                "You counted the features that are on anywhere in the protein. Count numbers: each "
                "residue times each feature.",
            ),
        ),
    ),
    "cysteine": Exercise(
        lambda: _cysteine(STRONGEST),
        '`table["letter"] == "C"` is True for each cysteine; the mean of True and False is a '
        "share.",
        "Among all residues it is about one in a hundred.",
        (
            (
                lambda: _cysteine(10**6),
                "You took all residues on which the feature is on, the weak ones too.",
            ),
        ),
    ),
    "named": Exercise(
        lambda: _found()["feature"].n_unique() / _n_features(),
        "Which column has the features, and does it name any of them more than once?",
        "For all the others nobody has a name, at this limit and with these annotations.",
        (
            (
                lambda: _found()["concept"].n_unique() / _n_features(),
                "You counted concepts. The question is about features.",
            ),
            (
                lambda: _found().height / _n_features(),
                "Some features stand in several rows, because they match several concepts. Count "
                "each once.",
            ),
        ),
    ),
}
