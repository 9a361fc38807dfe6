"""From embeddings to the sparse store of feature activations: every residue is encoded once, and
everything later reads the store."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from interplm_nb.activations import MAX_L0, ActivationsWriter, FeatureActivations
from interplm_nb.embeddings import Embeddings
from interplm_nb.progress import progress_bar
from interplm_nb.proteins import Proteins
from interplm_nb.sae.encode_shards import EncodeShards
from interplm_nb.sae.model import SAE
from interplm_nb.scale.complete import complete_elsewhere

if TYPE_CHECKING:
    from interplm_nb.scale.address import Scale


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
    scale: "Scale" = "",
) -> FeatureActivations:
    """Encode all residues of `proteins` and write their activations to `folder`.

    Parameters
    ----------
    embeddings
        Of `proteins`, from the SAE's own PLM, layer, hook and width (ValueError otherwise, naming
        both). For an imported SAE that does not know its PLM's weights, only the name is checked.
    max_l0
        More active features per residue than this are refused while they are being written.
    scale
        Who encodes, as in `plm.store.embed_to`: empty for this process, "local:2" for two, or a
        cluster. The store has the same bytes. What a cluster has encoded is kept next to `folder`
        until the store is whole, so that another call resumes.

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

    The same in a process of its own; "local:4" encodes in four:

    >>> again = ipn.encode(sae, found[3], proteins, Path("again"), scale="local:1")
    >>> (again.of("P2") != values.of("P2")).nnz
    0
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
    shards = EncodeShards(sae, embeddings, proteins, folder, max_l0)
    complete_elsewhere(shards, scale, progress)
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
        for first, block in shards.blocks():
            writer.write(first, block)
            bar.update(len(block.indptr) - 1)
        writer.finish()
    shards.discard()
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
