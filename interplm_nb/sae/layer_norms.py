"""How the features of a crosscoder are spread over the layers that it reconstructs."""

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from interplm_nb.sae.model import SAE

NORMS = {"feature": pl.UInt32, "layer": pl.Int64, "norm": pl.Float64, "share": pl.Float64}
"""Columns of `layer_norms`."""

SHARED = 0.1
"""A feature is in a layer where this share of its atom, or more, is: ||d_l||^2 / ||d||^2."""


def layer_norms(sae: "SAE") -> pl.DataFrame:
    """The norm of each feature's decoder in each layer, a row per feature and layer.

    An atom d of a crosscoder runs over all layers that it reconstructs, each divided by its scale,
    and has norm 1 over all of them together. norm: ||d_l||_2, over the values of layer l. share:
    ||d_l||^2 / ||d||^2, which adds up to 1 over the layers; 0 for a silenced feature. ValueError
    for an SAE of one layer.
    """
    if sae.about is None or sae.about.joined is None or sae.transcodes:
        raise ValueError(
            "norms by layer are of a crosscoder, which reconstructs several layers; train one with "
            "-p embed.joined=[1,2]"
        )
    atoms = sae.W_dec.detach().double().cpu().numpy()
    parts = sae.about.joined.parts(atoms)
    norms = np.stack([np.linalg.norm(part, axis=1) for part in parts.values()], axis=1)
    squares = norms**2
    total = squares.sum(axis=1, keepdims=True)
    shares = np.divide(squares, total, out=np.zeros_like(squares), where=total > 0)
    features = np.arange(sae.d_sae)
    return pl.DataFrame(
        {
            "feature": features.repeat(len(parts)),
            "layer": np.tile(list(parts), sae.d_sae),
            "norm": norms.ravel(),
            "share": shares.ravel(),
        },
        schema=NORMS,
    )


def layers_per_feature(norms: pl.DataFrame) -> pl.DataFrame:
    """feature; layers: in how many layers it is (share of at least `SHARED`); effective: how many
    it would be in were its shares equal, 1 / sum_l share_l^2; main: the layer of the largest norm.

    `norms` as `layer_norms` gives it. Silenced features are left out.
    """
    own = norms.filter(pl.col("share").sum().over("feature") > 0)
    return own.group_by("feature", maintain_order=True).agg(
        layers=(pl.col("share") >= SHARED).sum().cast(pl.Int64),
        effective=1 / (pl.col("share") ** 2).sum(),
        main=pl.col("layer").sort_by("norm").last(),
    )
