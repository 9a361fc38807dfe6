"""A run's PLM and SAE, loaded once: from new sequences to the features of the run."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import interplm_nb
from interplm_nb.activations import FeatureActivations
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.sequence_shards import SequenceShards
from interplm_nb.progress import progress_bar
from interplm_nb.proteins import Proteins
from interplm_nb.scale.complete import complete_elsewhere
from interplm_nb.scale.shard_task import Update

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from interplm_nb.plm.protocol import PLM
    from interplm_nb.sae.about import SAEAbout
    from interplm_nb.sae.model import SAE
    from interplm_nb.scale.address import Scale

SHARDS = Path(".annotate")
"""Where workers put what they read, below the working directory, until all of it is there."""


class Encoder:
    """A run's PLM, SAE and maxima.

    Keeping one PLM object lets a recurrent PLM resume from what it has read. Works offline if the
    PLM's weights are on this computer; otherwise they are downloaded (`plm.fetching.to_fetch` lists
    them beforehand).

    Parameters
    ----------
    run
        A run with its stage 'activations'.
    source
        Which of the run's SAEs to use.
    device
        "auto", "cpu", "cuda", "cuda:1" or "mps".

    Raises
    ------
    PipelineError
        For a run without a PLM (embeddings from arrays), or whose PLM is not the one that the
        source was trained on.
    """

    def __init__(self, run: Run, source: str = "sae", device: str = "auto") -> None:
        self.run = run
        self.source, self.device = source, device
        self.max_residues = run.max_residues()
        self.maxima = run.maxima(source).train
        self.sae = run.sae(source, device)
        if self.sae.about is None:
            raise PipelineError(
                f"source {source!r} of {run.folder} does not say which PLM and layer its SAE "
                "belongs to; run stage 'train' again"
            )
        self.plm = _plm(run, source, self.sae.about, device)
        self.layer = self.sae.about.layer

    @cached_property
    def about(self) -> dict[str, Any]:
        """What encodes: profile, source, PLM and its revision, layer, SAE, package version."""
        return {
            "profile": self.run.profile,
            "source": self.source,
            "plm": self.plm.name,
            "plm_revision": self.plm.revision,
            "layer": self.layer,
            "sae": self.sae.weight_hash,
            "package": interplm_nb.__version__,
        }

    def activations(
        self, proteins: Proteins, progress: bool = False, scale: "Scale" = ""
    ) -> FeatureActivations:
        """Every feature on every residue in unit "max"; a feature that is dead on train is 0.

        Values of `encode_proteins`, shard by shard (`SequenceShards`), divided by the maxima on
        train. `scale`: who reads the shards, as in `plm.store.embed_to`. ValueError for a protein
        longer than `max_residues`.
        """
        shards = SequenceShards(self, proteins, SHARDS)
        complete_elsewhere(shards, scale, progress)
        with reading_bar(self.plm, proteins, progress) as bar:
            parts = list(shards.values(bar.update))
        shards.discard()
        values = FeatureActivations.from_csr(_stacked(parts), proteins, about=self.about)
        return values.relative_to(self.maxima)


def reading_bar(plm: "PLM", proteins: Proteins, progress: bool = True) -> Any:
    """A progress bar of the residues that a PLM reads."""
    return progress_bar(
        total=proteins.n_residues,
        desc=f"embedding with {plm.name}",
        unit=" residues",
        unit_scale=True,
        disable=not progress,
    )


def encode_proteins(plm: "PLM", sae: "SAE", proteins: Proteins, update: Update) -> "csr_array":
    """float32 [n_residues, n_features]: the SAE's features of the PLM's embeddings.

    All proteins go to the PLM in one call. Everything is in memory: about 8 bytes per active
    feature and residue.
    """
    from scipy.sparse import csr_array, vstack

    from interplm_nb.sae.encoded import encoded

    assert sae.about is not None  # the caller has chosen the PLM by it
    rows, parts = [], []
    for batch in plm.embed(proteins, sae.about.layers, progress=False):
        rows.append(batch.rows)
        parts += [block for _, block in encoded(sae, sae.about.read(batch.layers))]
        update(len(batch.rows))
    return csr_array(csr_array(vstack(parts))[np.argsort(np.concatenate(rows))])


def _stacked(parts: "list[csr_array]") -> "csr_array":
    from scipy.sparse import csr_array, vstack

    return parts[0] if len(parts) == 1 else csr_array(vstack(parts, format="csr"))


def _plm(run: Run, source: str, about: "SAEAbout", device: str) -> "PLM":
    plm = run.plm(device)
    if plm.name != about.plm or about.plm_revision not in ("", plm.revision):
        raise PipelineError(
            f"source {source!r} of {run.folder} was trained on {about.plm} "
            f"({about.plm_revision[:19]}), not on {plm.name} ({plm.revision[:19]}); "
            "use a source of the run's own PLM, such as 'sae'"
        )
    return plm
