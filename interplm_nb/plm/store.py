"""Embeddings of a PLM on disk, one folder per layer, from one run in little memory."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import numpy as np

from interplm_nb.embeddings import Embeddings, EmbeddingsWriter
from interplm_nb.joined_layers import JoinedLayers
from interplm_nb.plm.embed_shards import EmbedSettings, EmbedShards, Long, arrays, check_settings
from interplm_nb.plm.protocol import PLM
from interplm_nb.progress import progress_bar
from interplm_nb.proteins import Proteins
from interplm_nb.scale.address import workers_at
from interplm_nb.shards import Stored, item_size

if TYPE_CHECKING:
    from interplm_nb.scale.address import Scale

SHARD_BYTES = 2**26
"""Default size of a shard: the most that an interrupted run recomputes, per layer."""


def embed_to(
    plm: PLM,
    proteins: Proteins,
    layers: Sequence[int],
    folder_of: Callable[[int], Path],
    *,
    scale: "Scale" = "",
    **settings: Unpack[EmbedSettings],
) -> dict[int, Embeddings]:
    """Embed proteins at `layers` into the folders `folder_of(layer)`.

    Each shard is computed from batches of its own proteins, so that an interrupted run resumes at
    the next shard and ends with the same bytes. A folder that already holds these embeddings stays
    as it is; another is replaced once the new one is complete.

    Parameters
    ----------
    plm, proteins, layers
        The model, the residue axis, and the layers to write.
    folder_of
        Folder of each layer.
    scale
        Who computes the shards: empty for this process, "local:2" for two processes,
        "tcp://HOST:PORT" for a Dask scheduler, or a connected `distributed.Client`. The result has
        the same bytes.
    settings
        See `EmbedSettings`.

    Returns
    -------
    dict[int, Embeddings]
        The opened embeddings of each layer.

    Examples
    --------
    >>> import interplm_nb as ipn
    >>> plm = ipn.load_plm("esm2-mini", "cpu")
    >>> proteins = ipn.Proteins.from_sequences({"P1": "MKTAYIAK", "P2": "GGSAVLKE"})
    >>> found = ipn.embed(plm, proteins, [3], lambda layer: Path(f"layer_{layer}"))
    >>> found[3][0:4].shape == (4, plm.widths[3])
    True

    The same in a process of its own; "local:4" embeds in four:

    >>> again = ipn.embed(plm, proteins, [3], lambda layer: Path(f"there_{layer}"), scale="local:1")
    >>> np.array_equal(again[3][:], found[3][:])
    True
    """
    check_settings(settings)
    stored = settings.get("stored", "float32")
    width = max(plm.widths[k] for k in layers)
    shard_rows = settings.get("shard_rows") or _shard_rows(plm, width, settings)
    done = {
        k: e
        for k in dict.fromkeys(layers)
        if (e := _existing(folder_of(k), plm, proteins, k, stored)) is not None
    }
    writers = {
        k: EmbeddingsWriter(folder_of(k), proteins, _about(plm, k), shard_rows, stored)
        for k in dict.fromkeys(layers)
        if k not in done
    }
    if writers:
        _complete(EmbedShards(plm, writers, **settings), proteins, scale, settings)
    return {k: done[k] if k in done else writers[k].finish() for k in dict.fromkeys(layers)}


def scales_of(
    plm: PLM,
    proteins: Proteins,
    layers: Sequence[int],
    *,
    tokens_per_batch: int | None = None,
    long: Long = "refuse",
) -> JoinedLayers:
    """These layers joined, each with the scale that gives it variance 1 on `proteins`, which are
    held in memory: a sample of the proteins that an SAE is trained on."""
    found = plm.embed(proteins, layers, tokens_per_batch, False, long=long)
    parts = [arrays(batch.layers) for batch in found]
    return JoinedLayers.measured({n: np.concatenate([p[n] for p in parts]) for n in layers})


def join_to(
    plm: PLM,
    proteins: Proteins,
    joined: JoinedLayers,
    folder: Path,
    *,
    scale: "Scale" = "",
    **settings: Unpack[EmbedSettings],
) -> Embeddings:
    """Embed proteins at several layers, scaled and side by side, as a crosscoder reads them.

    As `embed_to`, in one folder; `joined` says which layers, and what each is divided by
    (`scales_of`).

    Examples
    --------
    >>> import interplm_nb as ipn
    >>> plm = ipn.load_plm("esm2-mini", "cpu")
    >>> proteins = ipn.Proteins.from_sequences({"P1": "MKTAYIAK", "P2": "GGSAVLKE"})
    >>> joined = scales_of(plm, proteins, [1, 2, 3])
    >>> embeddings = join_to(plm, proteins, joined, Path("joined"))
    >>> embeddings[0:4].shape == (4, 3 * plm.widths[1]), embeddings.joined == joined
    (True, True)
    """
    check_settings(settings)
    layer, stored = joined.layers[-1], settings.get("stored", "float32")
    found = _existing(folder, plm, proteins, layer, stored, joined)
    if found is not None:
        return found
    about = _about(plm, layer) | {"d_in": joined.d_in, "joined": joined.record()}
    rows = settings.get("shard_rows") or _shard_rows(plm, joined.d_in, settings)
    writer = EmbeddingsWriter(folder, proteins, about, rows, stored)
    _complete(EmbedShards(plm, {layer: writer}, joined, **settings), proteins, scale, settings)
    return writer.finish()


def _shard_rows(plm: PLM, width: int, settings: EmbedSettings) -> int:
    row_bytes = item_size(settings.get("stored", "float32")) * width
    tokens = settings.get("tokens_per_batch") or plm.tokens_per_batch
    return max(SHARD_BYTES // row_bytes, tokens)


def _complete(
    task: EmbedShards, proteins: Proteins, scale: "Scale", settings: EmbedSettings
) -> None:
    with (
        workers_at(scale) as workers,
        progress_bar(
            total=proteins.n_residues,
            desc=f"{task.label}{workers.where}",
            unit=" residues",
            unit_scale=True,
            disable=not settings.get("progress", True),
        ) as bar,
    ):
        there = set(range(task.n_shards)) - set(task.missing())
        bar.update(sum(map(task.residues, there)))
        workers.complete(task, bar.update)


def _about(plm: PLM, layer: int) -> dict[str, object]:
    return {
        "plm": plm.name,
        "plm_revision": plm.revision,
        "layer": layer,
        "d_in": plm.widths[layer],
        "computed_in": str(plm.dtype),
    }


def _existing(
    path: Path,
    plm: PLM,
    proteins: Proteins,
    layer: int,
    stored: Stored,
    joined: JoinedLayers | None = None,
) -> Embeddings | None:
    if not (path / "about.json").exists():
        return None
    found = Embeddings.open(path)
    try:
        found.check(proteins, plm, layer)
    except ValueError:  # of another model or other proteins: overwritten
        return None
    same = (found.about.get("computed_in"), found.stored, found.joined) == (
        str(plm.dtype),
        stored,
        joined,
    )
    return found if same else None
