"""Embeddings of a PLM on disk, one folder per layer, from one run in little memory."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from torch import Tensor

from interplm_nb.embeddings import Embeddings, EmbeddingsWriter
from interplm_nb.joined_layers import JoinedLayers
from interplm_nb.plm.protocol import PLM
from interplm_nb.progress import progress_bar
from interplm_nb.proteins import Proteins
from interplm_nb.shards import Stored, item_size

SHARD_BYTES = 2**26
"""Default size of a shard: the most that an interrupted run recomputes, per layer."""


def embed_to(
    plm: PLM,
    proteins: Proteins,
    layers: Sequence[int],
    folder_of: Callable[[int], Path],
    *,
    tokens_per_batch: int | None = None,
    shard_rows: int | None = None,
    stored: Stored = "float32",
    long: Literal["refuse", "window"] = "refuse",
    progress: bool = True,
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
    tokens_per_batch, long
        As `embed`.
    shard_rows
        Rows per shard (default: `SHARD_BYTES` of the widest layer, but at least the tokens of a
        batch, so that no batch of a recurrent model is cut short).
    stored
        "float32" or "bfloat16".
    progress
        Show a progress bar.

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
    """
    row_bytes = item_size(stored) * max(plm.widths[k] for k in layers)
    shard_rows = shard_rows or max(
        SHARD_BYTES // row_bytes, tokens_per_batch or plm.tokens_per_batch
    )
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
    with _bar(plm, proteins, progress) as bar:
        _write(writers, plm, tokens_per_batch, long, bar)
    return {k: done[k] if k in done else writers[k].finish() for k in dict.fromkeys(layers)}


def scales_of(
    plm: PLM,
    proteins: Proteins,
    layers: Sequence[int],
    *,
    tokens_per_batch: int | None = None,
    long: Literal["refuse", "window"] = "refuse",
) -> JoinedLayers:
    """These layers joined, each with the scale that gives it variance 1 on `proteins`, which are
    held in memory: a sample of the proteins that an SAE is trained on."""
    found = plm.embed(proteins, layers, tokens_per_batch, False, long=long)
    parts = [_arrays(batch.layers) for batch in found]
    return JoinedLayers.measured({n: np.concatenate([p[n] for p in parts]) for n in layers})


def join_to(
    plm: PLM,
    proteins: Proteins,
    joined: JoinedLayers,
    folder: Path,
    *,
    tokens_per_batch: int | None = None,
    stored: Stored = "float32",
    long: Literal["refuse", "window"] = "refuse",
    progress: bool = True,
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
    layer = joined.layers[-1]
    found = _existing(folder, plm, proteins, layer, stored, joined)
    if found is not None:
        return found
    about = _about(plm, layer) | {"d_in": joined.d_in, "joined": joined.record()}
    rows = SHARD_BYTES // (item_size(stored) * joined.d_in)
    shard_rows = max(rows, tokens_per_batch or plm.tokens_per_batch)
    writer = EmbeddingsWriter(folder, proteins, about, shard_rows, stored)
    with _bar(plm, proteins, progress) as bar:
        _write({layer: writer}, plm, tokens_per_batch, long, bar, joined)
    return writer.finish()


def _bar(plm: PLM, proteins: Proteins, progress: bool) -> Any:
    return progress_bar(
        total=proteins.n_residues,
        desc=f"embedding with {plm.name}",
        unit=" residues",
        unit_scale=True,
        disable=not progress,
    )


def _arrays(found: Mapping[int, Tensor]) -> dict[int, np.ndarray]:
    return {layer: values.float().cpu().numpy() for layer, values in found.items()}


def _write(
    writers: Mapping[int, EmbeddingsWriter],
    plm: PLM,
    tokens_per_batch: int | None,
    long: Literal["refuse", "window"],
    bar: Any,
    joined: JoinedLayers | None = None,
) -> None:
    """Compute and write the shards that a layer lacks, or the one writer of `joined` layers; `bar`
    counts residues."""
    for shard, first, part in _shards(writers.values()):
        lacking = {k: w for k, w in writers.items() if shard in w.missing}
        layers = sorted(lacking) if joined is None else joined.layers
        for rows, found in (
            plm.embed(part, layers, tokens_per_batch, False, long=long) if lacking else ()
        ):
            values = _arrays(found)
            for layer, writer in lacking.items():
                writer.write(rows + first, values[layer] if joined is None else joined(values))
            bar.update(len(rows))
        bar.update(0 if lacking else part.n_residues)


def _shards(writers: Iterable[EmbeddingsWriter]) -> Iterable[tuple[int, int, Proteins]]:
    """(shard, its first row, its proteins), equal for every layer."""
    for writer in list(writers)[:1]:
        for shard in range(len(writer.bounds) - 1):
            yield shard, int(writer.bounds[shard]), writer.shard_proteins(shard)


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
