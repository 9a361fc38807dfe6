"""What is known of proteins without a feature's activations: sequences, names, annotations,
structures."""

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Literal

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from interplm_nb.annotations import Annotations
from interplm_nb.concepts.labels import Labels
from interplm_nb.concepts.same_residues import same_residues
from interplm_nb.features.logos import AMINO_ACIDS
from interplm_nb.features.motifs import FLANK, LetterAxis
from interplm_nb.plain_text import plain_cell
from interplm_nb.proteins import Proteins
from interplm_nb.readers.structure_labels import StructureLabels

Sees = Literal["sequence", "names", "annotations"]
"""What somebody sees of a protein: its sequence; its names too (protein, gene, organism and other
text of its entry); its annotated residues too."""
SEES: tuple[Sees, ...] = ("sequence", "names", "annotations")

_NOT_SHOWN = ("accession", "sequence", "entry_name")
_LONGEST = 300
_WORD = re.compile(r"[a-z][a-z0-9-]{2,}")


class Known:
    """The proteins of a run, with the words of their names and the concepts that they carry.

    `structures`: labels that structures give to the residues of some of the proteins.

    Examples
    --------
    >>> table = {"accession": "P1", "sequence": "MKV", "protein_name": "Zinc finger protein"}
    >>> proteins = Proteins(pl.DataFrame([table]))
    >>> known = Known(proteins, Annotations.empty(proteins))
    >>> known.vocabulary
    ['finger', 'protein', 'zinc']
    >>> known.shown("P1", "names")
    {'length': 3, 'protein_name': 'Zinc finger protein'}
    """

    def __init__(
        self,
        proteins: Proteins,
        annotations: Annotations,
        structures: StructureLabels | None = None,
    ) -> None:
        if annotations.proteins.sequence_hash != proteins.sequence_hash:
            raise ValueError("the annotations are on other proteins than those given")
        if structures and structures.annotations.proteins.sequence_hash != proteins.sequence_hash:
            raise ValueError("the labels of structures are on other proteins than those given")
        self.proteins = proteins
        self.annotations = annotations
        self.structures = structures
        text = proteins.table.select(pl.col(pl.String).exclude(_NOT_SHOWN))
        self._names = [name for name in text.columns if text[name].null_count() < text.height]
        self._rows = text.select(self._names).rows()

    @cached_property
    def labels(self) -> Labels:
        """The concepts on the residue axis; of concepts on the same residues, one."""
        repeated = same_residues(self.annotations, self.annotations.concepts)
        kept = self.annotations.only(set(self.annotations.concepts) - set(repeated))
        return Labels.of(kept, self.proteins.accessions, "keep")

    @cached_property
    def residues_of(self) -> csr_array:
        """int64 [n_proteins, n_concepts]: residues of each protein that carry each concept."""
        carried = self.labels.carried.tocoo()
        protein = np.searchsorted(self.proteins.offsets, carried.coords[0], side="right") - 1
        pairs = (np.ones(len(protein), np.int64), (protein, carried.coords[1]))
        return csr_array(pairs, shape=(len(self.proteins), self.labels.n_concepts))

    @cached_property
    def axis(self) -> LetterAxis:
        """The letters, for motifs."""
        return LetterAxis(self.proteins, FLANK)

    @cached_property
    def has_structure(self) -> np.ndarray:
        """bool [n_proteins]: whether a structure labels the protein's residues."""
        labelled = np.zeros(len(self.proteins), bool)
        labelled[self.places(self.structures.accessions if self.structures else [])] = True
        return labelled

    @cached_property
    def on_structures(self) -> Mapping[str, np.ndarray]:
        """bool [n_residues], by label of structures: the residues that carry it."""
        if self.structures is None:
            return {}
        labels = self.structures.annotations
        return {name: labels.mask(name) for name in labels.concepts}

    @cached_property
    def letters_of(self) -> np.ndarray:
        """int64 [n_proteins, 20]: how often each protein has each amino acid."""
        counts = [[s.count(letter) for letter in AMINO_ACIDS] for s in self.proteins.sequences]
        return np.array(counts, np.int64).reshape(-1, len(AMINO_ACIDS))

    @cached_property
    def _worded(self) -> tuple[list[str], csr_array]:
        found = [self._words_of(row) for row in self._rows]
        vocabulary = sorted(set().union(*found)) if found else []
        place = {word: i for i, word in enumerate(vocabulary)}
        pairs = np.array(
            [(i, place[word]) for i, words in enumerate(found) for word in sorted(words)], np.int64
        ).reshape(-1, 2)
        shape = (len(self.proteins), len(vocabulary))
        return vocabulary, csr_array((np.ones(len(pairs), bool), tuple(pairs.T)), shape=shape)

    def _words_of(self, row: tuple[str | None, ...]) -> set[str]:
        """The words of a protein's name: of `protein_name`, or of all text if absent."""
        if "protein_name" in self._names:
            row = (row[self._names.index("protein_name")],)
        return {word for text in row for word in _WORD.findall((text or "").lower())}

    @property
    def vocabulary(self) -> list[str]:
        """Words of three letters or more in the proteins' names, sorted."""
        return self._worded[0]

    @property
    def words_of(self) -> csr_array:
        """bool [n_proteins, n_words]: whether a protein's name holds a word."""
        return self._worded[1]

    def shown(self, accession: str, sees: Sees) -> dict[str, object]:
        """What is shown of a protein: its length; with "sequence" its letters, else its names, and
        with "annotations" its segments too.

        Text comes from databases. It is shortened, its control characters are written out, and
        whoever shows it quotes it. No accession or entry name is shown.
        """
        i = self.proteins.index(accession)
        found: dict[str, object] = {"length": int(self.proteins.lengths[i])}
        if sees == "sequence":
            return found | {"sequence": self.proteins.sequences[i]}
        row = zip(self._names, self._rows[i], strict=True)
        found |= {name: plain_cell(text)[:_LONGEST] for name, text in row if text}
        if sees == "annotations":
            segments = self._segments.get((accession,))
            found["annotations"] = (
                [] if segments is None else [plain_cell(s) for s in segments["text"]]
            )
        return found

    @cached_property
    def _segments(self) -> dict[tuple[object, ...], pl.DataFrame]:
        text = pl.format("{} {}-{}", "concept", "start", "end").alias("text")
        table = self.annotations.table.select("accession", text)
        return table.partition_by("accession", as_dict=True, maintain_order=True)

    def places(self, accessions: Sequence[str]) -> np.ndarray:
        """int64: the index of each protein on the axis."""
        return np.array([self.proteins.index(a) for a in accessions], np.int64)
