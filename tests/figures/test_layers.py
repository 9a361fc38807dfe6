"""Tables of layers say which is best, what test does not tell apart, and what one layer lacks."""

import polars as pl
import pytest

from interplm_nb.features.fates import STEPS
from interplm_nb.figures import layers as figures
from interplm_nb.figures.tables import Sentence
from interplm_nb.stages.layers import LAYERS


def layers(*intervals: tuple[float, float]) -> pl.DataFrame:
    rows = [
        {"layer": k, "label": f"l{k}", "recipe": "topk", "sparsity": "k8", "concepts_test": 30}
        | {"f1_low": low, "f1_high": high, "mean_f1_per_domain": (low + high) / 2, "best": k == 2}
        for k, (low, high) in enumerate(intervals, 1)
    ]
    return pl.DataFrame(rows, schema=LAYERS)


@pytest.mark.parametrize(
    ("intervals", "said"),
    [
        (((0.1, 0.2), (0.3, 0.4)), "on test no other layer's interval overlaps with its own"),
        (((0.1, 0.3), (0.3, 0.4)), "on test the interval of layer 1 overlaps with its own"),
        (
            ((0.1, 0.5), (0.3, 0.4), (0.35, 0.36), (0.5, 0.6), (0, 0.9)),
            "on test the intervals of layers 1, 3 and 5 overlap with its own",
        ),
    ],
)
def test_the_caption_names_the_best_layer_and_those_that_test_does_not_tell_from_it(
    intervals: tuple[tuple[float, float], ...], said: str
) -> None:
    shown = figures.which_layer(layers(*intervals))
    assert f"Best on the tuning part: layer 2; {said}" in shown.caption
    assert "topk, k8" in shown.caption and "30 concepts on test" in shown.caption
    assert "lowest_seed" not in shown.table.columns, "nothing was measured of it"


def test_no_concept_and_one_layer_are_said(compared) -> None:
    said = figures.which_layer(pl.DataFrame(schema=LAYERS))
    assert isinstance(said, Sentence) and "No concept has enough instances" in repr(said)
    one = figures.which_layer(compared[1].layers)
    assert one.caption.endswith("Best on the tuning part: layer 1.")
    assert compared[1].layers["label"].item() in one.html()
    said = figures.fates(compared[1].steps)
    assert isinstance(said, Sentence) and "compare.layers = [1, 2]" in repr(said)


def test_fates_come_beside_their_nulls() -> None:
    about = {"layer": 1, "next_layer": 2, "n_features": 10, "kept": 0.5, "lost": 0.5}
    rows = [{**dict.fromkeys(STEPS), **about, "next": name} for name in ("SAE", "random SAE")]
    shown = figures.fates(pl.DataFrame(rows, schema=STEPS))
    assert shown.table["next"].to_list() == ["SAE", "random SAE"]
    assert "r of at least 0.5" in shown.caption and "to layer" in repr(shown)
