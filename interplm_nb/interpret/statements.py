"""What a description without a language model can state, each as a number of a protein.

A statement is made from the training half. Its value on a protein that was not seen is what a
regression predicts the feature's maximum from.
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from interplm_nb.features.log_odds import along
from interplm_nb.features.motifs import Motif, pattern
from interplm_nb.features.statistics import NEAR_END
from interplm_nb.interpret.known import Known, Sees


class Statement(Protocol):
    """One thing that a description states."""

    needs: ClassVar[Sees]
    """What somebody must see of a protein to use it."""

    @property
    def short(self) -> str:
        """Its part of the summary."""
        ...

    @property
    def long(self) -> str:
        """A sentence with its support."""
        ...

    def values(self, known: Known, proteins: np.ndarray) -> np.ndarray:
        """float64 [n]: its value on these proteins, int64 [n] on the axis; NaN where it cannot be
        known."""
        ...


@dataclass(frozen=True)
class Concept(Statement):
    """The feature fires on residues that carry a concept. Value: log(1 + such residues)."""

    name: str
    threshold: float
    n_right: int
    n_active: int
    n_carried: int
    n_proteins: int
    needs: ClassVar[Sees] = "annotations"

    @property
    def f1(self) -> float:
        """By residues, on the training half: 2 TP / (active + carried)."""
        return 2 * self.n_right / (self.n_active + self.n_carried)

    @property
    def short(self) -> str:
        """The concept's name after "on"."""
        return f"on {self.name}"

    @property
    def long(self) -> str:
        """The concept, with residues and proteins that support it, and F1."""
        return (
            f"{self.name}: of {self.n_active} residues above {self.threshold:g}, {self.n_right} "
            f"carry it, in {self.n_proteins} proteins; {self.n_carried} carry it in all "
            f"(F1 {self.f1:.2f})."
        )

    def values(self, known: Known, proteins: np.ndarray) -> np.ndarray:
        """float64 [n]: log(1 + residues of each protein that carry the concept)."""
        column = known.labels.concepts["concept"].to_list().index(self.name)
        return np.log1p(known.residues_of[proteins][:, [column]].toarray()[:, 0])


@dataclass(frozen=True)
class Word(Statement):
    """The names of proteins in which it fires hold a word. Value: 1 where a name holds it."""

    word: str
    n_strong: int
    strong: int
    n_silent: int
    silent: int
    q: float
    needs: ClassVar[Sees] = "names"

    @property
    def short(self) -> str:
        """The word, as one of the names of proteins."""
        return f'in proteins named "{self.word}"'

    @property
    def long(self) -> str:
        """The word, with how many strong and silent proteins hold it, and Fisher's q."""
        return (
            f'"{self.word}" is in the names of {self.n_strong} of {self.strong} proteins in which '
            f"it is strong and of {self.n_silent} of {self.silent} in which it is silent "
            f"(Fisher, q {self.q:.2g})."
        )

    def values(self, known: Known, proteins: np.ndarray) -> np.ndarray:
        """float64 [n]: 1 where a protein's name holds the word, 0 elsewhere."""
        column = known.vocabulary.index(self.word)
        return known.words_of[proteins][:, [column]].toarray()[:, 0].astype(np.float64)


@dataclass(frozen=True, eq=False)
class Pattern(Statement):
    """The residues around maxima follow a motif. Value: its best log odds in the protein."""

    found: Motif
    odds: np.ndarray
    """Of the motif, `features.log_odds`."""
    needs: ClassVar[Sees] = "sequence"

    @property
    def short(self) -> str:
        """The motif as a pattern; a weak one has none."""
        text = pattern(self.found).text
        return f"at the motif {text}" if text else "at residues with a weak motif"

    @property
    def long(self) -> str:
        """The motif's bits over its sites, beside those at random places."""
        found = self.found
        return (
            f"Motif {pattern(found).text or 'that no pattern states'}: "
            f"{found.information.sum():.1f} bits over {found.n_sites} maxima; at random places of "
            f"the same proteins {found.by_chance:.1f} (p {found.p:.2g})."
        )

    def values(self, known: Known, proteins: np.ndarray) -> np.ndarray:
        """float64 [n], bits: the motif's highest log odds in each protein."""
        return np.array([along(self.odds, s).max() for s in _sequences(known, proteins)])


@dataclass(frozen=True)
class Letters(Statement):
    """Its maxima lie on certain amino acids. Value: their share of the protein."""

    letters: str
    n: int
    of: int
    by_chance: float
    needs: ClassVar[Sees] = "sequence"

    @property
    def short(self) -> str:
        """Such as "on G or P"."""
        return f"on {' or '.join(self.letters)}"

    @property
    def long(self) -> str:
        """How many maxima are on these letters, beside the share by chance."""
        return (
            f"{self.n} of {self.of} maxima are on {' or '.join(self.letters)}; by chance "
            f"{self.by_chance:.0%}."
        )

    def values(self, known: Known, proteins: np.ndarray) -> np.ndarray:
        """float64 [n]: the share of each protein's residues that are these letters."""
        sequences = _sequences(known, proteins)
        return np.array([sum(map(s.count, self.letters)) / len(s) for s in sequences])


@dataclass(frozen=True, eq=False)
class Position(Statement):
    """Its maxima lie near an end of proteins. Value: the motif's best log odds near that end."""

    at_start: bool
    n: int
    of: int
    by_chance: float
    odds: np.ndarray
    """Of the motif around its maxima."""
    needs: ClassVar[Sees] = "sequence"

    @property
    def short(self) -> str:
        """Which end of proteins."""
        return f"near the {'start' if self.at_start else 'end'} of proteins"

    @property
    def long(self) -> str:
        """How many maxima lie near this end, beside the share by chance."""
        return (
            f"{self.n} of {self.of} maxima lie on the {'first' if self.at_start else 'last'} "
            f"{NEAR_END} residues; by chance {self.by_chance:.0%}."
        )

    def values(self, known: Known, proteins: np.ndarray) -> np.ndarray:
        """float64 [n], bits: the motif's highest log odds on `NEAR_END` residues of this end."""
        here = slice(None, NEAR_END) if self.at_start else slice(-NEAR_END, None)
        return np.array([along(self.odds, s)[here].max() for s in _sequences(known, proteins)])


@dataclass(frozen=True)
class Period(Statement):
    """It fires at a period. Value: the share of residues that recur after one period."""

    period: int
    strength: float
    n_proteins: int
    needs: ClassVar[Sees] = "sequence"

    @property
    def short(self) -> str:
        """Such as "every 7 residues"."""
        return f"every {self.period} residues"

    @property
    def long(self) -> str:
        """The period, with its strength and the proteins that it was found in."""
        return (
            f"Onsets follow one another every {self.period} residues (strength "
            f"{self.strength:.2f} of 1, {self.n_proteins} proteins)."
        )

    def values(self, known: Known, proteins: np.ndarray) -> np.ndarray:
        """float64 [n]: the share of residues that are the same letter one period later."""
        letters = [np.frombuffer(s.encode(), np.uint8) for s in _sequences(known, proteins)]
        p = self.period
        return np.array([np.mean(s[p:] == s[:-p]) if len(s) > p else 0.0 for s in letters])


IN_STRUCTURES = {
    "Accessibility_Buried": "on buried residues",
    "Accessibility_Intermediate": "on half buried residues",
    "Accessibility_Exposed": "on exposed residues",
    "Secondary structure_Helix": "on helices",
    "Secondary structure_Strand": "on strands",
    "Secondary structure_Coil": "on coils",
    "Contact_Short range": "on residues whose contacts are of short range",
    "Contact_Medium range": "on residues with a contact of medium range",
    "Contact_Long range": "on residues with a contact of long range",
    "Packing_Dense": "where residues are densely packed",
    "Interface_Other chain": "at an interface",
    "Model confidence_Very high": "where a model is very confident",
    "Model confidence_Confident": "where a model is confident",
    "Model confidence_Low": "where a model's confidence is low",
    "Model confidence_Very low": "where a model's confidence is very low",
}
"""What is said of maxima on each of `readers.structure_labels.CONCEPTS`."""


@dataclass(frozen=True, eq=False)
class Structure(Statement):
    """Its maxima lie on residues that structures label alike. Value: the motif's best log odds on
    such residues; the lowest of all where a protein has none; NaN without a structure."""

    label: str
    n: int
    of: int
    by_chance: float
    odds: np.ndarray
    """Of the motif around its maxima."""
    needs: ClassVar[Sees] = "names"

    @property
    def short(self) -> str:
        """What `IN_STRUCTURES` says of maxima there."""
        return IN_STRUCTURES[self.label]

    @property
    def long(self) -> str:
        """How many maxima carry the label, beside the share by chance."""
        return (
            f"{self.n} of {self.of} maxima in proteins with a structure lie {self.short}; by "
            f"chance {self.by_chance:.0%}."
        )

    def values(self, known: Known, proteins: np.ndarray) -> np.ndarray:
        """float64 [n], bits: the motif's highest log odds on residues with the label.

        Its lowest of all in a protein without such residues; NaN without a structure.
        """
        carried, found = known.on_structures[self.label], np.full(len(proteins), np.nan)
        for i in np.flatnonzero(known.has_structure[proteins]).tolist():
            own = slice(*known.proteins.offsets[proteins[i] : proteins[i] + 2].tolist())
            fits = along(self.odds, known.proteins.sequences[proteins[i]])
            found[i] = fits[carried[own]].max() if carried[own].any() else fits.min()
        return found


def _sequences(known: Known, proteins: np.ndarray) -> list[str]:
    return [known.proteins.sequences[i] for i in proteins]
