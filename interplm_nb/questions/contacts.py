"""The contacts that a run's model knows, and what its SAE keeps of them."""

from collections.abc import Callable, Collection, Mapping

import polars as pl

from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.readers.residue_coordinates import ResidueCoordinates
from interplm_nb.readers.structures import Structure


def contacts_of_run(
    run: Run,
    structures: Mapping[str, Callable[[], Structure]],
    features: Collection[int] = (),
    source: str = "sae",
    device: str = "auto",
) -> pl.DataFrame:
    """Precision of contacts in structures: the layer as it is, reconstructed, without features.

    Parameters
    ----------
    run
        A run of a model that predicts masked residues, with its SAE.
    structures
        By accession, a function that returns the structure; of proteins of the run.
    features, source
        Features of the source's SAE to leave out, one at a time.
    device
        Where the model runs.

    Returns
    -------
    pl.DataFrame
        Columns of `sae.evaluation.contacts.CONTACTS`.

    Raises
    ------
    PipelineError
        Where no structure can be used, or the run's embeddings came from arrays.
    ValueError
        For a model without such contacts: said before anything is loaded.
    """
    from interplm_nb.plm.contacts import check_contacts
    from interplm_nb.sae.evaluation.contacts import contact_table

    model = run.model()
    if model is not None and model.record is not None:
        check_contacts(model.record)
    coordinates = ResidueCoordinates.of(run.proteins(), structures)
    if not coordinates.accessions:
        raise PipelineError(
            f"none of the chosen proteins of {run.folder} has a structure that can be used; fetch "
            f"them: interplm-nb data structures {run.folder}"
        )
    return contact_table(run.plm(device), coordinates, run.sae(source), features)


def without_attention(run: Run) -> str:
    """Why the model of a run has no contacts from attention; "" where it has."""
    from interplm_nb.plm.contacts import no_attention_contacts

    model = run.model()
    if model is None or model.record is None:
        return ""
    return no_attention_contacts(model.record)
