"""A run's PLM and SAE, loaded once: from new sequences to the features of the run."""

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

import interplm_nb
from interplm_nb.activations import FeatureActivations
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.proteins import Proteins

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from interplm_nb.plm.protocol import PLM
    from interplm_nb.sae.about import SAEAbout
    from interplm_nb.sae.model import SAE


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
        self.source = source
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

    def activations(self, proteins: Proteins, progress: bool = False) -> FeatureActivations:
        """Every feature on every residue in unit "max"; a feature that is dead on train is 0.

        Values of `encode_proteins`, divided by the maxima on train. ValueError for a protein longer
        than `max_residues`.
        """
        values = encode_proteins(self.plm, self.sae, proteins, progress)
        return FeatureActivations.from_csr(values, proteins, about=self.about).relative_to(
            self.maxima
        )


def encode_proteins(plm: "PLM", sae: "SAE", proteins: Proteins, progress: bool) -> "csr_array":
    """float32 [n_residues, n_features]: the SAE's features of the PLM's embeddings.

    All proteins go to the PLM in one call. Everything is in memory: about 8 bytes per active
    feature and residue.
    """
    from scipy.sparse import csr_array, vstack

    from interplm_nb.sae.encoded import encoded

    assert sae.about is not None  # the caller has chosen the PLM by it
    rows, parts = [], []
    for batch in plm.embed(proteins, sae.about.layers, progress=progress):
        rows.append(batch.rows)
        parts += [block for _, block in encoded(sae, sae.about.read(batch.layers))]
    return csr_array(csr_array(vstack(parts))[np.argsort(np.concatenate(rows))])


def _plm(run: Run, source: str, about: "SAEAbout", device: str) -> "PLM":
    plm = run.plm(device)
    if plm.name != about.plm or about.plm_revision not in ("", plm.revision):
        raise PipelineError(
            f"source {source!r} of {run.folder} was trained on {about.plm} "
            f"({about.plm_revision[:19]}), not on {plm.name} ({plm.revision[:19]}); "
            "use a source of the run's own PLM, such as 'sae'"
        )
    return plm
