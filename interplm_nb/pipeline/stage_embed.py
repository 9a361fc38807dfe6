"""Stage `embed`: one vector per residue, from the protein language model and from its control with shuffled weights."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from interplm_nb.embeddings import Embeddings
from interplm_nb.pipeline import manifest
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.parameters import EmbedParameters
from interplm_nb.pipeline.run import Run
from interplm_nb.proteins import Proteins

_SAMPLE = 20_000


@dataclass(frozen=True)
class EmbedStage:
    """What stage `embed` made.

    `spread`: model, mean_norm, variance (of the vectors, summed over dimensions), same_residue (share of it that the amino acid alone explains).
    """

    proteins: Proteins
    embeddings: Embeddings
    shuffled: Embeddings
    spread: pl.DataFrame
    device: str


def embed(run: Run, params: EmbedParameters) -> EmbedStage:
    """Embed every residue with the PLM and with its shuffled copy; goes on with the next shard after a kill."""
    from interplm_nb.plm import esm2
    from interplm_nb.plm.store import embed_to

    manifest.begin(run, params)
    proteins = run.proteins()
    plm = esm2.load(params.plm, params.device, params.dtype)
    if params.layer > plm.n_layers:
        raise PipelineError(
            f"embed.layer = {params.layer}: {plm.name} has layers 0 (embedding) to {plm.n_layers}"
        )
    for model, control in ((plm, False), (plm.shuffled(params.shuffled_seed), True)):
        folder = run.embeddings_folder(params.layer, control)
        embed_to(
            model,
            proteins,
            [params.layer],
            lambda _, folder=folder: folder,
            tokens_per_batch=params.tokens_per_batch or None,
        )
    return _result(run, params, proteins, str(plm.device))


def _result(run: Run, params: EmbedParameters, proteins: Proteins, device: str) -> EmbedStage:
    both = [run.embeddings(params.layer, control) for control in (False, True)]
    rows = np.sort(
        np.random.default_rng(0).choice(
            proteins.n_residues, min(_SAMPLE, proteins.n_residues), replace=False
        )
    )
    spread = pl.DataFrame(
        [{"model": e.plm, **_spread(e[rows], proteins.letters[rows])} for e in both]
    )
    run.write_table("embed", "spread", spread)
    about = {
        "plm": both[0].plm,
        "plm_revision": both[0].plm_revision,
        "weights": params.plm,
        "dtype": params.dtype,
    }
    run.write_summary(
        "embed",
        **about,
        layer=params.layer,
        d_in=both[0].d_in,
        residues=proteins.n_residues,
        device=device,
    )
    return EmbedStage(proteins, both[0], both[1], spread, device)


def _spread(x: np.ndarray, letters: np.ndarray) -> dict[str, float]:
    """How long the vectors are, how much they vary, and how much of that the amino acid alone explains."""
    x = x.astype(np.float64)
    total = float(((x - x.mean(axis=0)) ** 2).sum())
    between = sum(
        float((letters == a).sum() * ((x[letters == a].mean(axis=0) - x.mean(axis=0)) ** 2).sum())
        for a in np.unique(letters)
    )
    return {
        "mean_norm": float(np.linalg.norm(x, axis=1).mean()),
        "variance": total / len(x),
        "same_residue": between / total if total else 0.0,
    }
