"""Stage `embed`: one vector per residue, from the protein language model and from its control with
shuffled weights."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from interplm_nb.embeddings import Embeddings
from interplm_nb.pipeline import manifest
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.model_choice import settled
from interplm_nb.pipeline.nearest_run import RunToRead
from interplm_nb.pipeline.parameters import EmbedParameters
from interplm_nb.pipeline.run import Run
from interplm_nb.proteins import Proteins
from interplm_nb.scale.address import workers_at
from interplm_nb.scale.claims import ForOthers, NotComputedError
from interplm_nb.scale.shard_task import Workers

if TYPE_CHECKING:
    from interplm_nb.plm.protocol import PLM

_SAMPLE = 20_000


@dataclass(frozen=True)
class EmbedStage:
    """What stage `embed` made; `spread`: model, mean_norm, variance, same_residue."""

    proteins: Proteins
    embeddings: Embeddings
    shuffled: Embeddings | None
    """The control; None where embeddings came from arrays, which have no model to shuffle."""
    spread: pl.DataFrame
    device: str


def embed(run: Run, params: EmbedParameters) -> EmbedStage:
    """Embed every residue with the model and with its shuffled copy, or read them from arrays.

    After a kill it resumes with the next shard.
    """
    from interplm_nb.readers.arrays import embeddings_from

    if isinstance(run, RunToRead):
        return _made(run)
    params = settled(run, params)
    assert params.stored != "auto"  # `settled` has chosen
    manifest.begin(run, params)
    proteins = run.proteins()
    if params.arrays:
        path, folder = Path(params.arrays).expanduser(), run.embeddings_folder(params.layer)
        own = embeddings_from(path, proteins, folder, layer=params.layer, stored=params.stored)
        device, dtype, control = "cpu", "float32", None
    else:
        model, shuffled = _copies(params)
        with workers_at(params.scheduler) as workers:
            own, control = (
                _embedded(run, copy, proteins, params, workers, copy is shuffled)
                for copy in (model, shuffled)
            )
        device, dtype = str(model.device), str(model.dtype).split(".")[-1]
    spread = _spreads([e for e in (own, control) if e is not None], proteins)
    run.write_table("embed", "spread", spread)
    joined = {} if own.joined is None else {"joined": own.joined.record()}
    run.write_summary(
        "embed",
        plm=own.plm,
        plm_revision=own.plm_revision,
        dtype=dtype,
        layer=params.layer,
        d_in=own.d_in,
        residues=proteins.n_residues,
        device=device,
        shuffled_seed=params.shuffled_seed,
        **joined,
    )
    return _made(run)


def begin(run: Run, params: EmbedParameters) -> None:
    """List the shards of the model and of its shuffled copy for other processes, which compute them
    (`pipeline.shard_work`). The stage itself then has little left to do."""
    if params.arrays:
        raise PipelineError(
            "embed.arrays: embeddings are read from a file, so there are no shards to share; run "
            "the stage as it is"
        )
    params = settled(run, params)
    manifest.begin(run, params)
    model, shuffled = _copies(params)
    for copy in (model, shuffled):
        with suppress(NotComputedError):
            _embedded(run, copy, run.proteins(), params, ForOthers(), copy is shuffled)


def _copies(params: EmbedParameters) -> tuple["PLM", "PLM"]:
    """The model, and its copy with shuffled weights."""
    from interplm_nb import plm
    from interplm_nb.plm.record import check_layer

    model = plm.load(params.plm, params.device, params.dtype)
    for layer in params.joined or [params.layer]:
        check_layer(model, layer)
    return model, model.shuffled(params.shuffled_seed)


def _embedded(
    run: Run,
    plm: "PLM",
    proteins: Proteins,
    params: EmbedParameters,
    workers: Workers,
    shuffled: bool,
) -> Embeddings:
    """The layer of a model, or the layers that are joined, each scaled by its variance on a sample
    of train."""
    from interplm_nb.plm.embed_shards import EmbedSettings
    from interplm_nb.plm.store import embed_to, join_to, scales_of

    assert params.stored != "auto"  # `settled` has chosen
    tokens = params.tokens_per_batch or None
    long = "window" if run.summary("proteins")["too_long"] == "window" else "refuse"
    settings = EmbedSettings(tokens_per_batch=tokens, stored=params.stored, long=long)
    if params.joined:
        sample = _sampled(proteins.select(run.accessions("train")))
        joined = scales_of(plm, sample, params.joined, tokens_per_batch=tokens, long=long)
        folder = run.joined_folder(params.joined, shuffled)
        return join_to(plm, proteins, joined, folder, scale=workers, **settings)
    return embed_to(
        plm,
        proteins,
        [params.layer],
        lambda layer: run.embeddings_folder(layer, shuffled),
        scale=workers,
        **settings,
    )[params.layer]


def _sampled(proteins: Proteins) -> Proteins:
    """Proteins drawn at random, until they have `_SAMPLE` residues."""
    order = np.random.default_rng(0).permutation(len(proteins))
    n = int(np.searchsorted(np.cumsum(proteins.lengths[order]), _SAMPLE)) + 1
    return proteins.select(proteins.accessions[i] for i in np.sort(order[:n]))


def _made(run: Run) -> EmbedStage:
    """Read what the stage has made."""
    model, summary = run.model(), run.summary("embed")
    layer = None if "joined" in summary else summary["layer"]
    shuffled = run.embeddings(layer, shuffled=True) if model and model.record else None
    spread = run.table("embed", "spread")
    return EmbedStage(run.proteins(), run.embeddings(layer), shuffled, spread, summary["device"])


def _spreads(embeddings: list[Embeddings], proteins: Proteins) -> pl.DataFrame:
    """`_spread` of each model, on the same residues drawn at random."""
    n = min(_SAMPLE, proteins.n_residues)
    rows = np.sort(np.random.default_rng(0).choice(proteins.n_residues, n, replace=False))
    letters = proteins.letters[rows]
    return pl.DataFrame([{"model": e.plm, **_spread(e[rows], letters)} for e in embeddings])


def _spread(x: np.ndarray, letters: np.ndarray) -> dict[str, float]:
    """Mean length of the vectors, their variance, and the share of it that the amino acid
    explains."""
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
