"""Tables of layers side by side: which one to open, and what happens to features between them."""

from typing import Any

import polars as pl

from interplm_nb.concepts.intervals import COVERS
from interplm_nb.features.fates import ALIKE
from interplm_nb.figures.tables import Sentence, Table

_LAYERS = {
    "layer": "layer",
    "label": "SAE",
    "l0": "L0",
    "f1_tuning": "F1 (tuning)",
    "mean_f1_per_domain": "F1 (test)",
    "f1_low": f"{COVERS}: from",
    "f1_high": "to",
    "lowest_seed": "lowest of the seeds",
    "highest_seed": "highest",
    "random_f1": "F1 of the random SAE",
    "neurons_f1": "of the neurons",
    "concepts_found": "concepts found",
    "random_found": "by the random SAE",
    "fidelity_measure": "measure of fidelity",
    "loss_recovered": "loss recovered",
    "loss_recovered_low": "loss recovered: 95 % over proteins from",
    "loss_recovered_high": "loss recovered: to",
    "random_loss_recovered": "of the random SAE",
    "silent": "silent features",
    "recur": "recur in another seed",
    "recur_rotated": "by chance (rotated)",
}
_STEPS = {
    "layer": "from layer",
    "next_layer": "to layer",
    "next": "its",
    "n_features": "features",
    "born": "born there",
    "beyond_chance": "matched beyond chance",
    "similarity": "median r of matches",
    "ambiguity": "median ambiguity",
}


def which_layer(table: pl.DataFrame) -> Table | Sentence:
    """Which layer to open: `layers` of stage `compare`."""
    if table.is_empty():
        return Sentence(
            "No concept has enough instances to choose an SAE, and with it a layer, by."
        )
    shown = [name for name in _LAYERS if not table[name].is_null().all()]
    scored, saes = table["concepts_test"][0], table.select("recipe", "sparsity").unique().rows()
    what = "; ".join(f"{recipe}, {sparsity}" for recipe, sparsity in sorted(saes))
    caption = f"the chosen SAE of each layer ({what}); {scored} concepts on test. {_best(table)}"
    return Table(table.select(shown), caption, _LAYERS)


def _best(table: pl.DataFrame) -> str:
    """The layer that is best on the tuning part, and those that test does not tell from it."""
    best = table.filter("best").row(0, named=True)
    words = f"Best on the tuning part: layer {best['layer']}"
    if table.height == 1 or best["f1_low"] is None:
        return f"{words}."
    near = table.filter(
        ~pl.col("best"), pl.col("f1_low") <= best["f1_high"], pl.col("f1_high") >= best["f1_low"]
    )["layer"].to_list()
    if not near:
        return f"{words}; on test no other layer's interval overlaps with its own."
    return f"{words}; on test {_listed(near)} with its own, so that F1 alone decides little."


def _listed(layers: list[Any]) -> str:
    names = [str(layer) for layer in layers]
    if len(names) == 1:
        return f"the interval of layer {names[0]} overlaps"
    return f"the intervals of layers {', '.join(names[:-1])} and {names[-1]} overlap"


def fates(steps: pl.DataFrame) -> Table | Sentence:
    """What happens to features from layer to layer, with the nulls: `steps` of stage
    `compare`."""
    if steps.is_empty():
        return Sentence(
            "This comparison is of one layer, so no feature is followed; name several: "
            "compare.layers = [1, 2]."
        )
    columns = [*list(_STEPS)[:4], "kept", "split", "merged", "lost", *list(_STEPS)[4:]]
    return Table(
        steps.select(columns),
        f"share of a layer's features by their fate in the next; alike: r of at least {ALIKE}",
        _STEPS,
    )
