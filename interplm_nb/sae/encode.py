"""From embeddings to the sparse store of feature activations: every residue is encoded once, and
everything later reads the store."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from scipy import sparse

from interplm_nb.activations import MAX_L0, ActivationsWriter, FeatureActivations
from interplm_nb.embeddings import Embeddings
from interplm_nb.progress import progress_bar
from interplm_nb.proteins import Proteins
from interplm_nb.sae.model import SAE

_CELLS = 16 * 2**20
"""Pre-activations held at once (64 MB)."""


class _Weights(NamedTuple):
    name: str
    revision: str


def encode_to(
    sae: SAE,
    embeddings: Embeddings,
    proteins: Proteins,
    folder: Path,
    max_l0: float = MAX_L0,
    progress: bool = True,
) -> FeatureActivations:
    """Encode all residues of `proteins` and write their activations to `folder`.

    Parameters
    ----------
    embeddings
        Of `proteins`, from the SAE's own PLM, layer, hook and width (ValueError otherwise, naming
        both). For an imported SAE that does not know its PLM's weights, only the name is checked.
    max_l0
        More active features per residue than this are refused while they are being written.

    Returns
    -------
    FeatureActivations
        The store, opened.

    Examples
    --------
    Embed two proteins with the embedded model, train a small SAE on them, and encode them:

    >>> import interplm_nb as ipn
    >>> plm = ipn.load_plm("esm2-mini", "cpu")
    >>> proteins = ipn.Proteins.from_sequences({"P1": "MKTAYIAK" * 8, "P2": "GGSAVLKE" * 8})
    >>> configs = [ipn.SAEConfig.recipe("topk", 256, k=8, layer=3)]
    >>> (sae,) = ipn.train(plm, proteins, configs, Path("saes"), steps=2, batch_size=64).values()
    >>> found = ipn.embed(plm, proteins, [3], lambda layer: Path(f"layer_{layer}"))
    >>> values = ipn.encode(sae, found[3], proteins, Path("activations"))
    >>> values.n_features, values.proteins.n_residues
    (256, 128)
    """
    check_company(sae, embeddings, proteins)
    about = {
        "unit": sae.unit,
        "plm": embeddings.plm,
        "plm_revision": embeddings.plm_revision,
        "layer": embeddings.layer,
        "sae": sae.weight_hash,
        "recipe": sae.about.recipe if sae.about else None,
    }
    with (
        ActivationsWriter(folder, proteins, sae.d_sae, about, max_l0) as writer,
        progress_bar(
            total=proteins.n_residues,
            unit=" residues",
            unit_scale=True,
            desc="encode",
            disable=not progress,
        ) as bar,
    ):
        for first, x in embeddings.blocks():
            for start, block in encoded(sae, x):
                writer.write(first + start, block)
                bar.update(len(block.indptr) - 1)
        writer.finish()
    return FeatureActivations.open(folder, proteins)


def check_company(sae: SAE, embeddings: Embeddings, proteins: Proteins) -> None:
    """Refuse embeddings of other proteins, or of another PLM, layer, hook or width than the SAE's
    (ValueError, naming both)."""
    about = sae.about
    if about is None:
        embeddings.check(proteins)
    else:
        embeddings.check(
            proteins,
            _Weights(about.plm, about.plm_revision) if about.plm_revision else about.plm,
            about.layer,
        )
    sae.check_place(embeddings.d_in, str(embeddings.path), embeddings.joined)


def encoded(sae: SAE, x: np.ndarray) -> Iterator[tuple[int, sparse.csr_array]]:
    """Activations of x as csr blocks, each with the row of x at which it begins.

    Parameters
    ----------
    x
        float32 [n, d_in].

    Examples
    --------
    >>> from interplm_nb.sae.random_sae import random_sae
    >>> sae = random_sae(d_in=4, d_sae=8, k=2, b_dec=torch.zeros(4), seed=0)
    >>> [(start, f.shape, f.nnz) for start, f in encoded(sae, np.ones((3, 4), np.float32))]
    [(0, (3, 8), 6)]
    """
    rows = max(1, _CELLS // sae.d_sae)
    for start in range(0, len(x), rows):
        part = x[start : start + rows]
        code = sae.encode_sparse(torch.tensor(part, device=sae.device))
        offsets = np.searchsorted(code.rows, np.arange(len(part) + 1))
        yield (
            start,
            sparse.csr_array(
                (code.values, code.features, offsets.astype(np.int32)), shape=(len(part), sae.d_sae)
            ),
        )
