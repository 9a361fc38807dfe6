"""What all SAEs of one layer are measured with: the residues that each measurement may see, the
PLM, the concepts."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from interplm_nb.annotations import Annotations
from interplm_nb.embeddings import Embeddings
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.parameters import CompareParameters
from interplm_nb.proteins import Proteins
from interplm_nb.readers.homology import SPLITS
from interplm_nb.sae.evaluation.measures import COLUMNS, FIGURES
from interplm_nb.sae.feature_use import FeatureSums
from interplm_nb.saving import remove
from interplm_nb.stages.training import for_fidelity

if TYPE_CHECKING:
    from interplm_nb.concepts.scored_concepts import ScoredConcepts
    from interplm_nb.concepts.source import Source
    from interplm_nb.plm.protocol import PLM
    from interplm_nb.sae.model import SAE

_log = logging.getLogger(__name__)
_QUALITY_RESIDUES = 65_536
_SEED = 0
"""Seed of what is drawn here: tuning clusters, proteins for maxima, residues for quality."""


@dataclass(frozen=True)
class Parts:
    """Accessions: `maxima` of train; `tuning`, whole homology clusters of validation; `test`;
    `fidelity`, some of validation."""

    maxima: list[str]
    tuning: list[str]
    test: list[str]
    fidelity: list[str]


@dataclass(frozen=True)
class Yardstick:
    """What the SAEs of one layer are measured on: embeddings of `proteins` (the run's, or the ones
    needed), their annotations, and who sees what."""

    layer: int
    proteins: Proteins
    embeddings: Embeddings
    annotations: Annotations
    parts: Parts
    plm: "PLM"
    faithful: Proteins
    """Proteins on which fidelity is measured."""
    min_instances: int
    """Of concepts on the tuning part; `scored` are those of test."""
    scored: "ScoredConcepts"
    test_clusters: pl.DataFrame

    def rows(self, part: str) -> np.ndarray:
        """int64: rows of a part's residues."""
        return self.proteins.rows_of(getattr(self.parts, part))

    def of_sae(self, sae: "SAE") -> tuple[dict[str, Any], np.ndarray]:
        """Every figure of an SAE, and its maxima on train (float32 [d_sae])."""
        from interplm_nb.sae.on_demand import on_demand

        sae = sae.to(self.plm.device)
        found = on_demand(sae, self.embeddings, self.proteins)
        sums = FeatureSums.of(found, self.parts.maxima)
        use = asdict(sums.use())
        figures = {
            **self._quality(sae),
            **{name: use[name] for name in ("silent", "rare", "effective")},
            **self._fidelity(sae),
            **self.concepts(found.relative_to(sums.maximum)),
        }
        return figures, sums.maximum

    def of_neurons(self) -> dict[str, Any]:
        """The figures of the PLM's own dimensions, scaled by their range on train: only concepts,
        because they reconstruct everything."""
        from interplm_nb.concepts.controls.dense import DenseSource, fit_range

        neurons = DenseSource(
            self.embeddings, self.proteins, *fit_range(self.embeddings, self.rows("maxima"))
        )
        return self.concepts(neurons)

    def random_sae(self, d_sae: int, k: int, seed: int) -> "SAE":
        """The untrained control, centred on the mean of the residues for maxima."""
        from interplm_nb.sae.random_sae import mean_embedding, random_sae

        return random_sae(
            self.embeddings.d_in,
            d_sae,
            k,
            mean_embedding(self.embeddings, self.rows("maxima")),
            seed,
        )

    def _quality(self, sae: "SAE") -> dict[str, Any]:
        from interplm_nb.sae.evaluation.quality import quality

        # Where the layer is not stored, no other validation residues are embedded.
        rows = self.rows("tuning")
        if len(rows) > _QUALITY_RESIDUES:
            rows = np.sort(
                np.random.default_rng(_SEED).choice(rows, _QUALITY_RESIDUES, replace=False)
            )
        measured = asdict(
            quality(
                sae, (self.embeddings[part] for part in np.array_split(rows, -(-len(rows) // 8192)))
            )
        )
        return {"quality_residues": measured.pop("n_residues"), **measured}

    def _fidelity(self, sae: "SAE") -> dict[str, Any]:
        """The figures of every measure that exists for the layer, what each protein adds to them,
        and which one is the headline; for a model without fidelity None, and no figures."""
        from interplm_nb.sae.evaluation.fidelity import fidelities

        measured = fidelities(sae, self.plm, self.faithful, self.layer, progress=False)
        return {
            "fidelity_measure": measured[0].measure if measured else None,
            **{
                f"{name}_{COLUMNS[f.measure]}": getattr(f, name)
                for f in measured
                for name in FIGURES
            },
            **{f"sums_{COLUMNS[f.measure]}": asdict(f.sums) for f in measured},
        }

    def concepts(self, source: "Source") -> dict[str, Any]:
        """Best F1 on the tuning part, and the test figures of what was chosen there."""
        from interplm_nb.concepts.best_pairs import strict
        from interplm_nb.concepts.count import count
        from interplm_nb.concepts.intervals import by_cluster, interval
        from interplm_nb.concepts.support import with_support
        from interplm_nb.concepts.tuning import tuned

        tuning, test = (
            count(source, self.annotations, accessions)
            for accessions in (self.parts.tuning, self.parts.test)
        )
        best, chosen = tuned(tuning, self.min_instances), strict(tuning, test, self.scored)
        found = with_support(source, self.annotations, chosen.candidates, self.test_clusters)
        mean = None
        if chosen.pairs.height:
            counts = by_cluster(source, self.annotations, chosen.pairs, self.test_clusters)
            mean = interval(counts)
        return {
            "concepts_tuning": best.concepts.height,
            "f1_tuning": best.mean_f1,
            "concepts_above_tuning": best.n_found,
            "concepts_test": chosen.pairs.height,
            "mean_f1_per_domain": chosen.mean_f1_per_domain,
            "f1_low": mean.low if mean else None,
            "f1_high": mean.high if mean else None,
            "mean_f1": chosen.mean_f1,
            "concepts_found": found.filter("supported")["concept"].n_unique(),
        }


@dataclass(frozen=True)
class Held:
    """What a run holds that the SAEs of a layer are measured with; `embeddings` are None where the
    layer is not stored."""

    proteins: Proteins
    annotations: Annotations
    splits: pl.DataFrame
    parts: Parts
    plm: "PLM"
    layer: int
    embeddings: Embeddings | None


def parts_of(proteins: Proteins, splits: pl.DataFrame, params: CompareParameters) -> Parts:
    """Who sees what: train, validation and test (as in `Run.splits`) stay apart, and the tuning
    part consists of whole homology clusters. PipelineError where one of the three is empty."""
    of = {split: own["accession"].to_list() for (split,), own in splits.group_by("split")}
    if empty := [split for split in SPLITS if split not in of]:
        raise PipelineError(
            f"no protein is in {' or '.join(empty)}, and stage 'compare' measures on all of "
            f"{', '.join(SPLITS)}; run stage 'proteins' again with more proteins or other shares"
        )
    validation = splits.filter(pl.col("split") == "validation")
    clusters = validation["cluster"].unique().sort().to_numpy()
    n = max(1, round(params.tuning_share * len(clusters)))
    drawn = np.random.default_rng([_SEED, 1]).permutation(clusters)[:n]
    tuning = validation.filter(pl.col("cluster").is_in(drawn.tolist()))["accession"].to_list()
    faithful = for_fidelity(of["validation"], params.fidelity_proteins)
    return Parts(
        _enough(proteins, of["train"], params.maxima_residues), tuning, of["test"], faithful
    )


def _enough(proteins: Proteins, train: list[str], residues: int) -> list[str]:
    """Train proteins drawn at random until they have `residues` together; all for 0."""
    order = np.random.default_rng([_SEED, 2]).permutation(len(train)).tolist()
    total, chosen = 0, []
    for i in order if residues else ():
        if total >= residues:
            break
        chosen.append(train[i])
        total += len(proteins.sequence(train[i]))
    return chosen if residues else train


@contextmanager
def yardstick(held: Held, params: CompareParameters, work: Path) -> Iterator[Yardstick]:
    """The yardstick of a layer.

    A layer that is not stored is embedded for it in `work`, on the proteins that are needed, and
    removed afterwards.
    """
    from interplm_nb.concepts.scored_concepts import scored_concepts
    from interplm_nb.plm.store import embed_to

    parts, proteins, embeddings = held.parts, held.proteins, held.embeddings
    test_clusters = held.splits.filter(pl.col("split") == "test")
    tuning = held.splits.filter(pl.col("accession").is_in(parts.tuning))
    scored = scored_concepts(
        held.annotations,
        pl.concat([tuning, test_clusters]),
        params.min_instances,
        params.min_clusters,
    )
    folder = work / f"layer_{held.layer:02d}"
    if embeddings is None:
        needed = {*parts.maxima, *parts.tuning, *parts.test}
        proteins = proteins.select(a for a in proteins.accessions if a in needed)
        _log.info(
            "layer %d is not stored; embedding %d proteins to measure SAEs on",
            held.layer,
            len(proteins),
        )
        embeddings = embed_to(held.plm, proteins, [held.layer], lambda _: folder)[held.layer]
    yield Yardstick(
        held.layer,
        proteins,
        embeddings,
        held.annotations.of(proteins),
        parts,
        held.plm,
        held.proteins.select(parts.fidelity),
        params.min_instances,
        scored,
        test_clusters,
    )
    if held.embeddings is None:
        remove(folder)
