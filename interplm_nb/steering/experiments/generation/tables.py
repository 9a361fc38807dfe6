"""Tables of judged sequences: shares by condition, with intervals and what shuffling leaves."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from interplm_nb.steering.experiments.rates import more_often, over, wilson
from interplm_nb.steering.judges import (
    ProbeJudge,
    commonest_letter,
    relatives,
    surprise,
)
from interplm_nb.plm.protocol import PLM
from interplm_nb.proteins import Proteins
from interplm_nb.readers import mmseqs
from interplm_nb.steering.rules import Rule

BROKEN = 0.3
"""A sequence whose commonest letter has a larger share has broken down."""

SEQUENCES: dict[str, Any] = {
    "kind": pl.String,
    "condition": pl.String,
    "strength": pl.Float64,
    "which": pl.Int64,
    "seed": pl.Int64,
    "sequence": pl.String,
    "start": pl.Int64,
    "end": pl.Int64,
    "probe_score": pl.Float64,
    "probe_found": pl.Boolean,
    "surprise": pl.Float64,
    "relative": pl.String,
    "identity": pl.Float64,
    "letter": pl.String,
    "letter_share": pl.Float64,
}
"""Columns of `judged`: start and end of the rule's first match, null without one; surprise in nats
per residue; relative and identity of the nearest natural protein."""

RATES: dict[str, Any] = {
    "n": pl.Int64,
    "found": pl.Int64,
    "rate": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "seeds_low": pl.Float64,
    "seeds_high": pl.Float64,
    "shuffled": pl.Float64,
    "shuffled_most": pl.Float64,
    "probe_rate": pl.Float64,
    "probe_low": pl.Float64,
    "probe_high": pl.Float64,
    "perplexity": pl.Float64,
    "with_relative": pl.Float64,
    "identity": pl.Float64,
    "letter": pl.String,
    "letter_share": pl.Float64,
    "broken": pl.Float64,
    "p_value": pl.Float64,
}
"""Columns of `rates`. rate: sequences where the rule finds something, with its Wilson interval
(other draws) and, with several seeds, Student's t over them; shuffled, shuffled_most: mean and
largest share after shuffling the letters; identity: median of the relatives; letter: the commonest
of all residues; broken: sequences whose commonest letter has over 30 %; p_value: Fisher's exact
test, one-sided, beside the unsteered sequences."""


def judged(
    about: pl.DataFrame,
    plm: PLM | None,
    rule: Rule,
    probe: ProbeJudge | None,
    natural: Proteins | None,
) -> pl.DataFrame:
    """One row per sequence, with the columns of `SEQUENCES`.

    `about` has the columns that describe the draw, up to `sequence`. What is not given (`plm` for
    the surprise) judges nothing: its columns are null.
    """
    sequences = about["sequence"].to_list()
    first = [next(iter(rule.find(sequence)), (None, None)) for sequence in sequences]
    letters = [commonest_letter(sequence) for sequence in sequences]
    columns: dict[str, Any] = {
        "start": [place[0] for place in first],
        "end": [place[1] for place in first],
        "letter": [letter for letter, _ in letters],
        "letter_share": [share for _, share in letters],
    }
    if plm is not None:
        columns["surprise"] = surprise(plm, sequences)
    if probe is not None:
        columns["probe_score"] = probe.scores(sequences)
        columns["probe_found"] = columns["probe_score"] > probe.threshold
    table = about.with_columns(
        pl.Series(name, values, SEQUENCES[name]) for name, values in columns.items()
    )
    if natural is not None and mmseqs.is_installed():
        near = relatives(sequences, natural).select(
            pl.col("sequence").alias("number"), "relative", "identity"
        )
        table = (
            table.with_row_index("number")
            .join(near, on="number", how="left", maintain_order="left")
            .drop("number")
        )
    missing = [name for name in SEQUENCES if name not in table.columns]
    return table.with_columns(
        pl.lit(None, SEQUENCES[name]).alias(name) for name in missing
    ).select(pl.col(name).cast(kind) for name, kind in SEQUENCES.items())


def rates(
    sequences: pl.DataFrame,
    by: Sequence[str],
    rule: Rule,
    n_shuffles: int,
    seed: int,
    searched: bool,
) -> pl.DataFrame:
    """The shares of each group of sequences: the columns `by`, then those of `RATES`.

    `searched`: whether relatives were searched for; otherwise their columns are null.
    """
    plain = sequences.filter(pl.col("kind") == "unsteered")
    unsteered = int(plain["start"].is_not_null().sum()), plain.height
    rows = []
    for key, group in sequences.group_by(by, maintain_order=True):
        row = dict(zip(by, key, strict=True)) | _rates(group, rule, n_shuffles, seed, searched)
        p = more_often(row["found"], row["n"], *unsteered) if plain.height else None
        rows.append(row | {"p_value": None if row.get("kind") == "unsteered" else p})
    return pl.DataFrame(rows, schema={name: SEQUENCES[name] for name in by} | RATES)


def _rates(
    group: pl.DataFrame, rule: Rule, n_shuffles: int, seed: int, searched: bool
) -> dict[str, Any]:
    n, found = group.height, int(group["start"].is_not_null().sum())
    by_seed = group.group_by("seed").agg(pl.col("start").is_not_null().mean())["start"].to_list()
    seeds = over(by_seed) or (None, None)
    shuffled = rule.shuffled(group["sequence"].to_list(), n_shuffles, seed)
    letters = "".join(group["sequence"])
    letter, share = commonest_letter(letters)
    ends: Mapping[str, Any] = dict(zip(("low", "high"), wilson(found, n), strict=True))
    row = {
        "n": n,
        "found": found,
        "rate": found / n,
        **ends,
        "seeds_low": seeds[0],
        "seeds_high": seeds[1],
        "shuffled": float(shuffled.mean()),
        "shuffled_most": float(shuffled.max()),
        "letter": letter,
        "letter_share": share,
        "broken": float((group["letter_share"] > BROKEN).mean()),
    }
    if group["surprise"].null_count() < n:
        lengths = group["sequence"].str.len_chars().to_numpy()
        row["perplexity"] = float(np.exp(np.average(group["surprise"].to_numpy(), weights=lengths)))
    if group["probe_found"].null_count() < n:
        called = int(group["probe_found"].sum())
        low, high = wilson(called, n)
        row |= {"probe_rate": called / n, "probe_low": low, "probe_high": high}
    if searched:
        row["with_relative"] = float(group["relative"].is_not_null().mean())
        row["identity"] = group["identity"].median()
    return row
