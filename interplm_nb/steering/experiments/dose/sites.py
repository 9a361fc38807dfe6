"""Where a feature is changed, and which letters are its target: both known before the change."""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from interplm_nb.activations import FeatureActivations
from interplm_nb.features.logos import AMINO_ACIDS, UNIFORM, amino_acid_of, composition
from interplm_nb.steering.experiments.dose.settings import DoseSettings
from interplm_nb.steering.steered_layer import SteeredLayer

STRONG = 0.5
"""A protein's maximum counts for a target above this share of the feature's own."""
LEAST_PROTEINS = 5
"""Fewer proteins give no interval worth the name."""


class Site(NamedTuple):
    """A protein, and the residue of the feature's maximum in it, from 1."""

    accession: str
    position: int


def peaks(
    activations: FeatureActivations, feature: int, accessions: Iterable[str], above: float = 0.0
) -> list[Site]:
    """The residue of the maximum, the first of equals, of each of these proteins on which the
    feature is above a value; in the order of the axis."""
    proteins = activations.proteins
    rows, values = activations.feature(feature)
    wanted = np.zeros(len(proteins), bool)
    wanted[[proteins.index(a) for a in accessions]] = True
    protein = np.searchsorted(proteins.offsets, rows, side="right") - 1
    on = wanted[protein] & (values > above)
    rows, values, protein = rows[on], values[on], protein[on]
    order = np.lexsort((rows, -values, protein))
    first = order[np.unique(protein[order], return_index=True)[1]]
    names = proteins.accessions
    return [
        Site(names[p], int(row - proteins.offsets[p]) + 1)
        for p, row in zip(protein[first].tolist(), rows[first].tolist(), strict=True)
    ]


def drawn_sites(
    activations: FeatureActivations,
    feature: int,
    accessions: Collection[str],
    settings: DoseSettings,
    next_residue: bool,
) -> list[Site]:
    """Proteins drawn by seed among those on which a feature fires and that can be run.

    A masked model reads the whole protein, so proteins up to `longest` residues are drawn. What a
    next-residue model reads ends with the last prediction, so there it is the edited residue that
    must leave room within `longest`, and `reach` residues must follow it.
    """
    lengths = dict(
        zip(activations.proteins.accessions, activations.proteins.lengths.tolist(), strict=True)
    )

    def runs(site: Site) -> bool:
        """Whether the site leaves room for what is read and predicted."""
        length = lengths[site.accession]
        if not next_residue:
            return length <= settings.longest
        room = site.position + settings.furthest <= settings.longest
        return room and site.position + settings.reach <= length

    found = [site for site in peaks(activations, feature, accessions) if runs(site)]
    rng = np.random.default_rng([settings.seed, feature])
    n = min(len(found), settings.n_proteins)
    return [found[i] for i in sorted(rng.choice(len(found), n, replace=False).tolist())]


def target_letters(
    activations: FeatureActivations,
    features: Iterable[int],
    accessions: Collection[str],
    settings: DoseSettings,
    next_residue: bool,
) -> dict[int, str]:
    """The letters around each feature's maxima that say most, on proteins that are not tested.

    Of the residues within `reach` of a protein's maximum (behind it, for a next-residue model), in
    proteins whose maximum is above `STRONG` of the feature's largest among them: the `n_letters`
    letters with the highest p log(p / b), with p their share there and b their share of all
    residues of these proteins. A feature without such a protein has no target and is absent.
    """
    proteins = activations.proteins
    background = composition(proteins.select(set(accessions)))
    kind = amino_acid_of(proteins.letters)
    found = {}
    for feature in features:
        largest = largest_value(activations, feature, accessions)
        sites = peaks(activations, feature, accessions, STRONG * largest) if largest else []
        counts = np.zeros(20)
        for site in sites:
            rows = proteins.rows(site.accession)
            at = rows.start + site.position - 1
            first = at + 1 if next_residue else max(rows.start, at - settings.reach)
            near = kind[first : min(rows.stop, at + settings.reach + 1)]
            counts += np.bincount(near[near >= 0], minlength=20)
        if counts.any():
            found[feature] = most_telling(counts, settings.n_letters, background)
    return found


def largest_value(
    activations: FeatureActivations, feature: int, accessions: Iterable[str]
) -> float:
    """The largest value of a feature on these proteins; 0 where it never fires."""
    rows, values = activations.feature(feature)
    on = np.isin(rows, activations.proteins.rows_of(accessions))
    return float(values[on].max(initial=0))


def most_telling(counts: np.ndarray, n: int, background: np.ndarray = UNIFORM) -> str:
    """The n letters with the highest p log(p / b), in the order of the alphabet.

    >>> most_telling(np.array([0, 8, 0, 0, 0, 0, 6] + 13 * [1]), 2)
    'CH'
    """
    p = counts / counts.sum()
    tells = p * np.log(np.maximum(p, 1e-12) / np.maximum(background, 1e-12))
    return "".join(sorted(AMINO_ACIDS[i] for i in np.argsort(-tells, kind="stable")[:n]))


def random_alive(
    at: SteeredLayer, n: int, seed: int = 0, without: Collection[int] = ()
) -> list[int]:
    """Features drawn at random among those that are alive, to be tested beside those of a claim."""
    alive = np.setdiff1d(np.flatnonzero(at.maxima > 0), list(without))
    if len(alive) < n:
        raise ValueError(
            f"{n} random features are wanted, and only {len(alive)} are alive; take fewer"
        )
    return sorted(np.random.default_rng(seed).choice(alive, n, replace=False).tolist())


def check_targets(targets: Mapping[int, str]) -> None:
    """Raise ValueError for a target that is no set of amino acids, or all of them."""
    for feature, letters in targets.items():
        if not letters or set(letters) - set(AMINO_ACIDS) or len(set(letters)) != len(letters):
            raise ValueError(
                f"the target of feature {feature} must be different letters of {AMINO_ACIDS}; got "
                f"{letters!r}"
            )
        if len(letters) == len(AMINO_ACIDS):
            raise ValueError(
                f"the target of feature {feature} holds all amino acids, so nothing could change"
            )
