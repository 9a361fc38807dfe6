"""From sequences to pooled features, as a step of a scikit-learn pipeline."""

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
from scipy.sparse import csr_array, vstack
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from interplm_nb.concepts.by_protein.pool import Pool, PooledFeatures, pool
from interplm_nb.pipeline.encoder import Encoder
from interplm_nb.pipeline.run import Run
from interplm_nb.proteins import Proteins
from interplm_nb.questions.annotate import read_sequences
from interplm_nb.shards import shard_bounds

RESIDUES = 50_000
"""Residues that go to the PLM in one call."""


class SequenceFeatures(TransformerMixin, BaseEstimator):
    """Transform protein sequences to the pooled features of a run's SAE.

    Nothing is learned from the sequences: `fit` loads the run's PLM, SAE and maxima. Values are in
    unit "max", so that a `LabelClassifier` fitted on the run's own pooled features takes those of
    `pooled`. A copy through pickle loads the models again at its first use.

    Parameters
    ----------
    run
        A run or its folder, with its stage 'activations'.
    source
        Which of the run's SAEs.
    how
        "max", "mean" or "share", as `pool`.
    above
        A share counts residues strictly above this.
    device
        "auto", "cpu", "cuda", "cuda:1" or "mps".

    Attributes
    ----------
    n_features_out_ : int
        Columns of the result.

    Examples
    --------
    >>> import interplm_nb as ipn
    >>> features = ipn.SequenceFeatures("runs/demo", how="mean", device="cpu")
    >>> features.fit_transform(["MKTAYIAKQRQISF", "GGSAVLKE"]).shape
    (2, 64)
    >>> features.get_feature_names_out()[:2].tolist()
    ['sae_0', 'sae_1']
    """

    def __init__(
        self,
        run: Run | Path | str = "runs/demo",
        source: str = "sae",
        how: Pool = "max",
        above: float = 0.0,
        device: str = "auto",
    ) -> None:
        self.run = run
        self.source = source
        self.how: Pool = how
        self.above = above
        self.device = device

    def fit(self, X: Iterable[str], y: Any = None) -> Self:
        """Load the models. `X`: sequences; they are checked, and nothing is learned from them.

        PipelineError for a run that cannot encode sequences, InputError for `X` without any.
        """
        self._encoder_ = self._loaded()
        self._proteins(X)
        self.n_features_out_ = len(self._encoder_.maxima)
        return self

    def transform(self, X: Iterable[str]) -> csr_array:
        """float32 csr [n_sequences, n_features], in the order of `X`.

        InputError for what is not a sequence, or longer than the PLM reads.
        """
        return csr_array(self.pooled(X).values)

    def pooled(self, X: Iterable[str] | Proteins) -> PooledFeatures:
        """The same with its names; accessions are those of `Proteins`, else numbers from 0."""
        check_is_fitted(self)
        encoder = self._encoder()
        proteins = X if isinstance(X, Proteins) else self._proteins(X)
        # Sequences of similar length share batches of the PLM, and each batch is short-lived.
        order = np.argsort(proteins.lengths, kind="stable")
        ordered = Proteins(proteins.table[order])
        ends = np.searchsorted(ordered.offsets, shard_bounds(ordered.offsets, RESIDUES))
        parts = [
            pool(encoder.activations(part), self.how, above=self.above)
            for part in (
                Proteins(ordered.table[first:last]) for first, last in pairwise(ends.tolist())
            )
        ]
        values = csr_array(vstack([part.values for part in parts], format="csr"))
        found = parts[0]
        return PooledFeatures(
            proteins,
            found.features,
            values[np.argsort(order)],
            found.how,
            found.unit,
            found.above,
            found.about,
        )

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the columns: the source and the feature's number."""
        check_is_fitted(self)
        return np.array([f"{self.source}_{i}" for i in range(self.n_features_out_)], object)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "n_features_out_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.no_validation = True
        assert tags.transformer_tags is not None
        tags.transformer_tags.preserves_dtype = []  # strings have none to preserve
        return tags

    def __getstate__(self) -> dict[str, Any]:
        state: Any = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_encoder_"}

    def _encoder(self) -> Encoder:
        if not hasattr(self, "_encoder_"):
            self._encoder_ = self._loaded()
        return self._encoder_

    def _loaded(self) -> Encoder:
        run = self.run if isinstance(self.run, Run) else Run.open(self.run)
        return Encoder(run, self.source, self.device)

    def _proteins(self, X: Iterable[str]) -> Proteins:
        if isinstance(X, str):
            raise TypeError("X must be sequences, not one string; pass a list of it")
        sequences = {str(i): str(sequence) for i, sequence in enumerate(X)}
        return read_sequences(sequences, self._encoder().max_residues, strict=True)[0]
