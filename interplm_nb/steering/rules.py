"""Rules that find a concept in letters alone, to judge generated sequences without a model."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from interplm_nb.readers.motif_files import pattern_regex

Places = list[tuple[int, int]]
"""First and last residue of each match, from 1."""

_KYTE_DOOLITTLE = (
    "A1.8 R-4.5 N-3.5 D-3.5 C2.5 Q-3.5 E-3.5 G-0.4 H-3.2 I4.5 "
    "L3.8 K-3.9 M1.9 F2.8 P-1.6 S-0.8 T-0.7 W-0.9 Y-1.3 V4.2"
)
HYDROPATHY = {cell[0]: float(cell[1:]) for cell in _KYTE_DOOLITTLE.split()}
"""Kyte & Doolittle (1982), J. Mol. Biol. 157:105. Other letters are 0."""

MEMBRANE_WINDOW, MEMBRANE_MEAN = 19, 1.6
"""Kyte & Doolittle (1982): segments of 19 residues whose mean is above 1.6 span membranes."""
CORE_WINDOW, CORE_MEAN, CORE_ENDS = 8, 2.0, 30
"""A signal peptide's hydrophobic core, and by which residue it has ended."""


@dataclass(frozen=True)
class Rule:
    """A rule on letters.

    Examples
    --------
    >>> pattern("zinc finger", "C.{2,4}C.{12}H.{3,5}H").find("MCAACKKKKKKKKKKKKHKKKH")
    [(2, 22)]
    """

    name: str
    words: str
    """What it finds, and its source."""
    find: Callable[[str], Places]

    def count(self, sequences: Sequence[str]) -> int:
        """How many sequences it finds something in."""
        return sum(bool(self.find(sequence)) for sequence in sequences)

    def shuffled(self, sequences: Sequence[str], n: int, seed: int) -> np.ndarray:
        """float64 [n]: the share of sequences with a match after their letters are shuffled.

        What remains comes from the letters alone, not from their order.
        """
        rng = np.random.default_rng([seed, 1])
        codes = [np.frombuffer(sequence.encode("ascii"), np.uint8) for sequence in sequences]
        counts = [
            self.count([rng.permutation(one).tobytes().decode("ascii") for one in codes])
            for _ in range(n)
        ]
        return np.array(counts, np.float64) / max(len(sequences), 1)


def pattern(name: str, text: str) -> Rule:
    """A rule from a PROSITE pattern ("C-x(2,4)-C") or a regular expression ("C.{2,4}C").

    Raises ValueError for a text that is neither.
    """
    expressions = [_compiled(text)]
    return Rule(name, text, lambda sequence: _matches(expressions, sequence))


def membrane_segment() -> Rule:
    """Segments that span a membrane by Kyte and Doolittle's rule."""
    return Rule(
        "membrane segment",
        f"{MEMBRANE_WINDOW} residues with a mean hydropathy above {MEMBRANE_MEAN} (Kyte & "
        "Doolittle 1982)",
        lambda sequence: _windows(sequence, MEMBRANE_WINDOW, MEMBRANE_MEAN),
    )


def signal_sequence() -> Rule:
    """The three parts of a signal peptide: positive start, hydrophobic core, cleavage site."""
    return Rule(
        "signal sequence",
        f"K or R in residues 2 to 12; from there, by residue {CORE_ENDS}, {CORE_WINDOW} residues "
        f"with a mean hydropathy above {CORE_MEAN}; 3 to 9 residues behind it a small residue at "
        "-3 and -1 (after von Heijne 1986, Nucleic Acids Res. 14:4683)",
        _signals,
    )


PROSITE_HTH = {
    "PS00356": "[LIVM]-x-[DE]-[LIVM]-A-x(2)-[STAGV]-x-V-[GSTP]-x(2)-[STAG]-[LIVMA]-x(2)-[LIVMFYAN]-"
    "[LIVMC]",
    "PS00894": "R-{G}-x(2)-[LIVM]-x(3)-[LIVM]-x(16,17)-[STA]-x(2)-T-[LIVMA]-[RH]-[KRNAQ]-D-[LIVMF]",
    "PS00042": "[LIVM]-[STAG]-[RHNW]-x(2)-[LIM]-[GA]-x-[LIVMFYAS]-[LIVSC]-[GA]-x-[STACN]-x(2)-"
    "[MST]-x(1,2)-[GSTN]-R-x-[LIVMF]-x(2)-[LIVMF]",
}
"""PROSITE's patterns of helix-turn-helix families: LacI, DeoR, Crp."""


def helix_turn_helix() -> Rule:
    """PROSITE's patterns of three helix-turn-helix families; most families have none."""
    expressions = [pattern_regex(text) for text in PROSITE_HTH.values()]
    return Rule(
        "helix-turn-helix pattern",
        f"PROSITE {', '.join(PROSITE_HTH)} (LacI, DeoR, Crp)",
        lambda sequence: _matches(expressions, sequence),
    )


C2H2 = "C.{2,4}C.{12}H.{3,5}H"
"""The classical zinc finger: two cysteines, twelve residues, two histidines."""

RULES: dict[str, Callable[[], Rule]] = {
    "Zinc finger": lambda: pattern("C2H2 zinc finger", C2H2),
    "DNA binding": helix_turn_helix,
    "Transmembrane": membrane_segment,
    "Signal peptide": signal_sequence,
}
"""By the start of a concept's name."""


def rule_of(concept: str) -> Rule | None:
    """The rule for a concept, if there is one."""
    return next((make() for start, make in RULES.items() if concept.startswith(start)), None)


def _compiled(text: str) -> re.Pattern[str]:
    try:
        return pattern_regex(text)
    except ValueError as error:
        if "-" in re.sub(r"\[[^\]]*\]", "", text):
            raise
        try:
            return re.compile(text)
        except re.error as wrong:
            raise ValueError(
                f"{text!r} is neither a PROSITE pattern ({error}) nor a regular expression "
                f"({wrong})"
            ) from None


def _matches(expressions: Sequence[re.Pattern[str]], sequence: str) -> Places:
    found = [match for one in expressions for match in one.finditer(sequence) if match[0]]
    return sorted((match.start() + 1, match.end()) for match in found)


def _windows(sequence: str, width: int, least: float) -> Places:
    """Stretches of windows whose mean hydropathy is above `least`."""
    above = np.flatnonzero(_means(sequence, width) > least)
    places: Places = []
    for start in above.tolist():
        if places and start < places[-1][1]:
            places[-1] = (places[-1][0], start + width)
        else:
            places.append((start + 1, start + width))
    return places


def _means(sequence: str, width: int) -> np.ndarray:
    values = np.array([HYDROPATHY.get(letter, 0.0) for letter in sequence])
    if len(values) < width:
        return np.empty(0)
    return np.convolve(values, np.ones(width), "valid") / width


def _signals(sequence: str) -> Places:
    """The first cleavable signal sequence, from residue 1 to the residue at -1."""
    charged = next((i for i in range(1, min(12, len(sequence))) if sequence[i] in "KR"), None)
    if charged is None:
        return []
    cores = np.flatnonzero(_means(sequence, CORE_WINDOW) > CORE_MEAN)
    for end in _ends(cores[cores > charged]):
        for last in range(end + 3, min(end + 10, len(sequence) + 1)):
            if sequence[last - 1] in "AGSCT" and sequence[last - 3] in "AGSCTVLI":
                return [(1, last)]
    return []


def _ends(cores: np.ndarray) -> Iterator[int]:
    """The last residue, from 1, of each window that ends in time."""
    yield from (end for end in (cores + CORE_WINDOW).tolist() if end <= CORE_ENDS)
