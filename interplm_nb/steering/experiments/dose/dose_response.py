"""Dose and response: how a target's odds change with a feature, beside what controls do there.

For each feature, its target letters and the residues to change are fixed before anything is
changed. The feature is set to multiples of its maximum at those residues, and matched features,
random directions and the atom without the feature take steps of the same length. An effect is
claimed where the feature's own is beyond that of its controls, after Benjamini and Hochberg over
all features asked about, and is repeated on a second dictionary.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from interplm_nb.activations import FeatureActivations
from interplm_nb.features.families import BY_CHANCE, cosine, matches, random_dictionary
from interplm_nb.progress import progress_bar
from interplm_nb.steering.experiments.dose.measure import (
    ALONE,
    DIRECTION,
    FEATURE,
    MATCHED,
    Dose,
    distances,
    doses,
    measure,
    opened_at,
)
from interplm_nb.steering.experiments.dose.settings import DoseSettings
from interplm_nb.steering.experiments.dose.sites import (
    LEAST_PROTEINS,
    Site,
    check_targets,
    drawn_sites,
    target_letters,
)
from interplm_nb.steering.experiments.dose.summary import (
    BY_PROTEIN,
    DOSES,
    LOCALITY,
    Read,
    by_protein_of,
    doses_of,
    locality_of,
    spread,
)
from interplm_nb.steering.experiments.predictions import Opened, ahead
from interplm_nb.steering.steered_layer import SteeredLayer

FEATURES: dict[str, Any] = {
    "feature": pl.Int64,
    "concept": pl.String,
    "letters": pl.String,
    "n_proteins": pl.Int64,
    "n_clusters": pl.Int64,
    "effect": pl.Float64,
    "effect_low": pl.Float64,
    "effect_high": pl.Float64,
    "matched_effect": pl.Float64,
    "beyond": pl.Float64,
    "beyond_low": pl.Float64,
    "beyond_high": pl.Float64,
    "p": pl.Float64,
    "q": pl.Float64,
    "direction_effect": pl.Float64,
    "p_direction": pl.Float64,
    "atom_alone_effect": pl.Float64,
    "on_target": pl.Float64,
    "matched_on_target": pl.Float64,
    "kl_far": pl.Float64,
    "matched_kl_far": pl.Float64,
    "match": pl.Int64,
    "similarity": pl.Float64,
    "match_by_chance": pl.Float64,
    "match_effect": pl.Float64,
    "match_matched_effect": pl.Float64,
    "match_p": pl.Float64,
    "holds": pl.Boolean,
}
"""Columns of `DoseResult.features`, at the tested strength; a feature that was left out has nulls.
beyond: effect less the mean of its matched features, with its 95 % interval over homology clusters.
p: (1 + matched features whose effect is as far in the direction of the change) / (1 + matched
features); q after Benjamini and Hochberg over all features. on_target: the share of the KL within
reach that is the target against the other letters. match: the feature of the second dictionary,
with what it does to the same residues of the same proteins; holds: q and match_p are at most
alpha, the match is not by chance, and both effects have one sign (null without a second
dictionary)."""

LEFT_OUT: dict[str, Any] = {"feature": pl.Int64, "concept": pl.String, "why": pl.String}
"""Columns of `DoseResult.left_out`."""


class Split(NamedTuple):
    """Which proteins give targets, which are changed, and who is related."""

    train: Sequence[str]
    """Accessions that targets are found on."""
    test: Sequence[str]
    """Accessions whose predictions are changed."""
    cluster_of: Mapping[str, int] | None = None
    """Homology cluster of each test protein; None: each is its own."""


@dataclass(frozen=True)
class DoseResult:
    """What `dose_response` found."""

    settings: DoseSettings
    plm: str
    features: pl.DataFrame
    """Columns of `FEATURES`."""
    doses: pl.DataFrame
    """Columns of `DOSES`."""
    locality: pl.DataFrame
    """Columns of `LOCALITY`."""
    by_protein: pl.DataFrame
    """Columns of `BY_PROTEIN`."""
    left_out: pl.DataFrame
    """Columns of `LEFT_OUT`."""

    @property
    def sentence(self) -> str:
        """The result in a sentence, with its controls."""
        tested = self.features.drop_nulls("q")
        if tested.is_empty():
            return f"No feature could be tested: {self.left_out['why'][0]}."
        named = tested.filter(pl.col("concept") != "")
        parts = [
            f"{t.filter(pl.col('q') <= self.settings.alpha).height} of {t.height} {words}"
            for t, words in (
                (named, "features with a concept"),
                (tested.filter(pl.col("concept") == ""), "random features"),
            )
            if t.height
        ]
        claimed = tested.filter(pl.col("q") <= self.settings.alpha)
        again = ""
        if claimed["holds"].null_count() < claimed.height:
            again = (
                f"; {int(claimed['holds'].sum())} of these {claimed.height} hold on a second "
                "dictionary"
            )
        return (
            f"At {self.settings.tested:g} times the maximum, {' and '.join(parts)} move the odds "
            f"of their target letters beyond matched features (q at most "
            f"{self.settings.alpha:g}; with {self.settings.n_controls} controls p is at least "
            f"{1 / (1 + self.settings.n_controls):.3f}){again}."
        )

    def tables(self) -> Mapping[str, pl.DataFrame]:
        """Every table, by name."""
        return {
            "features": self.features,
            "doses": self.doses,
            "locality": self.locality,
            "by_protein": self.by_protein,
            "left_out": self.left_out,
        }


def dose_response(
    at: SteeredLayer,
    activations: FeatureActivations,
    split: Split,
    features: Mapping[int, str],
    settings: DoseSettings | None = None,
    targets: Mapping[int, str] | None = None,
    second: SteeredLayer | None = None,
) -> DoseResult:
    """Change features at the residues of their maxima, and compare with matched changes.

    Parameters
    ----------
    at
        The layer, its PLM and SAE.
    activations
        Of this SAE, in unit "raw", on the proteins of `split`.
    features
        Features to ask about, with the concept of each; "" for one drawn at random.
    targets
        Letters whose odds are followed, of some features; the others' are found on train
        (`sites.target_letters`).
    second
        The same layer with an SAE of another seed, to repeat the effects on.

    Raises
    ------
    ValueError
        For no feature, one that is dead, a target that is no set of amino acids, activations in
        another unit, and a second dictionary of another layer.
    """
    settings = settings or DoseSettings.model_validate({})
    targets = dict(targets or {})
    _check(at, activations, features, second)
    check_targets(targets)
    next_residue = bool(ahead(at.plm))
    ruled = [feature for feature in features if feature not in targets]
    targets |= target_letters(activations, ruled, split.train, settings, next_residue)
    found = _matched(at, second, list(features), settings.seed) if second else None
    reads: list[tuple[Read, Read | None]] = []
    left_out = []
    for feature in progress_bar(features, desc="features"):
        sites = drawn_sites(activations, feature, split.test, settings, next_residue)
        why = _why_left_out(feature in targets, len(sites))
        if why:
            left_out.append({"feature": feature, "concept": features[feature], "why": why})
            continue
        proteins = [
            opened_at(at, activations.proteins.sequence(site.accession), site, settings)
            for site in sites
        ]
        scene, letters = (proteins, split, settings), targets[feature]
        own = _read(at, feature, doses(at, feature, settings), letters, sites, scene)
        again = None
        if second and found is not None and feature in found:
            again = _repeated(second, int(found[feature]["match"]), letters, sites, scene)
        reads.append((own, again))
    where = distances(settings, next_residue)
    rows_of = [_feature_row(own, again, features, found, settings) for own, again in reads]
    return DoseResult(
        settings,
        at.plm.name,
        _with_q(rows_of, left_out, settings),
        _joined([doses_of(own, settings) for own, _ in reads], DOSES),
        _joined([locality_of(own, where, settings) for own, _ in reads], LOCALITY),
        _joined([by_protein_of(own, settings) for own, _ in reads], BY_PROTEIN),
        pl.DataFrame(left_out, schema=LEFT_OUT),
    )


def _check(
    at: SteeredLayer,
    activations: FeatureActivations,
    features: Mapping[int, str],
    second: SteeredLayer | None,
) -> None:
    if not features:
        raise ValueError("no feature was given; give at least one to change")
    for feature in features:
        at.check_feature(feature)
    if activations.unit != "raw":
        raise ValueError(
            f"activations must be in unit 'raw', as the SAE encodes them; got {activations.unit!r}"
        )
    if second and (second.plm.revision != at.plm.revision or second.layer != at.layer):
        raise ValueError(
            f"an effect is repeated in the same layer: the second dictionary is of layer "
            f"{second.layer} of {second.plm.name}, the first of layer {at.layer} of {at.plm.name}"
        )


def _why_left_out(has_target: bool, n_sites: int) -> str:
    if not has_target:
        return "it never fires on train, so no target could be found"
    if n_sites < LEAST_PROTEINS:
        return (
            f"it fires on {n_sites} test proteins that can be run, and {LEAST_PROTEINS} are needed"
        )
    return ""


def _matched(
    at: SteeredLayer, second: SteeredLayer, features: list[int], seed: int
) -> dict[int, dict[str, Any]]:
    """Rows of `families.matches` by decoder cosine, of the features asked about.

    All features that are alive are matched one to one, so that none of the second dictionary
    repeats two of the first.
    """
    alive, others = (np.flatnonzero(one.maxima > 0) for one in (at, second))
    own, other = (
        one.sae.W_dec.detach().float().cpu().numpy()[living]
        for one, living in ((at, alive), (second, others))
    )
    null = cosine(own, random_dictionary(other, seed))
    table = matches(cosine(own, other), null, alive, others)
    rows = table.filter(pl.col("feature").is_in(features)).iter_rows(named=True)
    return {row["feature"]: row for row in rows}


def _read(
    at: SteeredLayer,
    feature: int,
    rows: Sequence[Dose],
    letters: str,
    sites: Sequence[Site],
    scene: tuple[Sequence[Opened], Split, DoseSettings],
) -> Read:
    proteins, split, settings = scene
    measured = [
        measure(at, feature, rows, letters, protein, site, settings)
        for protein, site in zip(proteins, sites, strict=True)
    ]
    cluster_of = split.cluster_of or {site.accession: i for i, site in enumerate(sites)}
    return Read.of(feature, letters, rows, sites, cluster_of, measured)


def _repeated(
    second: SteeredLayer,
    match: int,
    letters: str,
    sites: Sequence[Site],
    scene: tuple[Sequence[Opened], Split, DoseSettings],
) -> Read:
    """What the match in a second dictionary does to the same sites, at the tested strength."""
    rows = [
        row
        for row in doses(second, match, scene[2])
        if row.strength == scene[2].tested and row.kind in (FEATURE, MATCHED)
    ]
    return _read(second, match, rows, letters, sites, scene)


def _feature_row(
    own: Read,
    again: Read | None,
    features: Mapping[int, str],
    found: Mapping[int, Mapping[str, Any]] | None,
    settings: DoseSettings,
) -> dict[str, Any]:
    """`FEATURES` of one feature, without q and holds."""
    at = {kind: own.chosen(kind, settings.tested) for kind in (FEATURE, MATCHED, DIRECTION, ALONE)}
    effect = {kind: own.values.effect[rows] for kind, rows in at.items()}
    up = _raises(own, settings)
    mean = spread(effect[FEATURE][0], own.cluster, settings)
    beyond = spread(effect[FEATURE][0] - effect[MATCHED].mean(axis=0), own.cluster, settings)
    row = {
        "feature": own.feature,
        "concept": features[own.feature],
        "letters": own.letters,
        "n_proteins": len(own.sites),
        "n_clusters": int(own.cluster.max()) + 1,
        "effect": mean.mean,
        "effect_low": mean.low,
        "effect_high": mean.high,
        "matched_effect": float(effect[MATCHED].mean()),
        "beyond": beyond.mean,
        "beyond_low": beyond.low,
        "beyond_high": beyond.high,
        "p": _p(effect[FEATURE], effect[MATCHED], up),
        "direction_effect": float(effect[DIRECTION].mean()),
        "p_direction": _p(effect[FEATURE], effect[DIRECTION], up),
        "atom_alone_effect": float(effect[ALONE].mean()),
        "on_target": _on_target(own, at[FEATURE]),
        "matched_on_target": _on_target(own, at[MATCHED]),
        "kl_far": _mean_far(own, at[FEATURE]),
        "matched_kl_far": _mean_far(own, at[MATCHED]),
    }
    if again is None or found is None:
        return row
    one, others = (
        again.values.effect[again.chosen(kind, settings.tested)] for kind in (FEATURE, MATCHED)
    )
    match = found[own.feature]
    return row | {
        "match": again.feature,
        "similarity": match["similarity"],
        "match_by_chance": match["by_chance"],
        "match_effect": float(one.mean()),
        "match_matched_effect": float(others.mean()),
        "match_p": _p(one, others, up),
    }


def _raises(read: Read, settings: DoseSettings) -> bool:
    """Whether the tested change is towards more of the feature."""
    step = read.values.step[read.chosen(FEATURE, settings.tested)]
    return settings.tested > 0 if np.isnan(step).all() else bool(np.nanmean(step) > 0)


def _p(own: np.ndarray, controls: np.ndarray, up: bool) -> float:
    """Of effects [1, proteins] and [controls, proteins], by their means over proteins."""
    sign = 1 if up else -1
    as_far = sign * controls.mean(axis=1) >= sign * own.mean()
    return float((1 + as_far.sum()) / (1 + len(controls)))


def _on_target(read: Read, rows: np.ndarray) -> float | None:
    total = read.values.kl[rows].sum()
    return float(read.values.kl_of_target[rows].sum() / total) if total > 0 else None


def _mean_far(read: Read, rows: np.ndarray) -> float | None:
    far = read.values.kl_far[rows]
    return float(np.nanmean(far)) if np.isfinite(far).any() else None


def _with_q(
    rows: Sequence[Mapping[str, Any]], left_out: Sequence[Mapping[str, Any]], settings: DoseSettings
) -> pl.DataFrame:
    """Columns of `FEATURES`."""
    from scipy.stats import false_discovery_control

    every = [*rows, *({k: one[k] for k in ("feature", "concept")} for one in left_out)]
    table = pl.DataFrame(every, schema={k: FEATURES[k] for k in FEATURES if k not in _LAST})
    p = table["p"].drop_nulls().to_numpy()
    q = [*(false_discovery_control(p) if len(p) else []), *[None] * (table.height - len(p))]
    alpha = settings.alpha
    holds = (
        (pl.col("q") <= alpha)
        & (pl.col("match_p") <= alpha)
        & (pl.col("match_by_chance") <= BY_CHANCE)
        & (pl.col("effect").sign() == pl.col("match_effect").sign())
    )
    return (
        table.with_columns(pl.Series("q", q, pl.Float64))
        .with_columns(pl.when(pl.col("match").is_not_null()).then(holds).alias("holds"))
        .select(FEATURES.keys())
    )


_LAST = ("q", "holds")


def _joined(parts: Sequence[pl.DataFrame], schema: Mapping[str, Any]) -> pl.DataFrame:
    return pl.concat([pl.DataFrame(schema=schema), *parts])
