"""Words for a loss recovered that is not defined, with the costs that say why."""

import polars as pl

from interplm_nb.sae.evaluation.measures import COLUMNS, LEAST_COST


def by_source(table: pl.DataFrame) -> list[str]:
    """One sentence per row of `TrainStage.fidelity` whose loss recovered is null.

    Examples
    --------
    >>> from textwrap import wrap
    >>> row = {"source": "sae", "measure": "strict", "loss_recovered": None}
    >>> costs = {"ce_original": 2.5, "ce_sae": 2.501, "ce_zero": 2.504}
    >>> (sentence,) = by_source(pl.DataFrame({**row, **costs}))
    >>> print("\\n".join(wrap(sentence, 96)))
    sae, strict: loss recovered is not defined (zeros cost 0.0040 nats per residue, under 0.01; the
    SAE costs 0.0010)
    """
    return [
        f"{row['source']}, {row['measure']}: loss recovered is "
        + _because(row["ce_zero"] - row["ce_original"], [row["ce_sae"] - row["ce_original"]])
        for row in table.filter(pl.col("loss_recovered").is_null()).iter_rows(named=True)
    ]


def by_layer(table: pl.DataFrame) -> list[str]:
    """One sentence per layer and measure of `CompareStage.comparison` that was measured and whose
    loss recovered is null: all SAEs of a layer have the same cost of zeros."""
    found = []
    for (layer,), part in table.sort("layer").group_by("layer", maintain_order=True):
        for measure, end in COLUMNS.items():
            rows = part.filter(
                pl.col(f"ce_zero_{end}").is_not_null(), pl.col(f"loss_recovered_{end}").is_null()
            )
            if rows.height:
                original, with_sae, zero = (
                    rows[f"ce_{name}_{end}"] for name in ("original", "sae", "zero")
                )
                because = _because((zero - original)[0], (with_sae - original).to_list())
                found.append(f"layer {layer}, {measure}: loss recovered is {because}")
    return found


def _because(zeros: float, saes: list[float]) -> str:
    ends = sorted({f"{min(saes):.4f}", f"{max(saes):.4f}"}, key=float)
    costs = f"the SAE costs {ends[0]}" if len(saes) == 1 else f"SAEs cost {' to '.join(ends)}"
    return f"not defined (zeros cost {zeros:.4f} nats per residue, under {LEAST_COST}; {costs})"
