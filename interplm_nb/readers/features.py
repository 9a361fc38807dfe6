"""UniProt features, from any of its formats, into segments of concepts."""

import re
from array import array
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import polars as pl

from interplm_nb.annotations import Annotations
from interplm_nb.proteins import Proteins
from interplm_nb.readers.concepts import (
    BY_KEY,
    FEATURE_TYPES,
    Convention,
    FeatureType,
    level_of,
    older_type_of,
    option_of,
)
from interplm_nb.readers.report import ReadReport

_PLACES = {kind.key: place for place, kind in enumerate(FEATURE_TYPES)}
_NAMES = {
    "kind": pl.Int32,
    "option": pl.Int32,
    "concept": pl.String,
    "category": pl.String,
    "level": pl.String,
}
_UNSURE = {
    ":": "position on an isoform left out",
    "?": "unknown position left out",
    "<": "position before a known end left out (<)",
    ">": "position after a known end left out (>)",
}
_PLAIN = re.compile(r"([0-9]{1,9})(?:\.\.([0-9]{1,9}))?")


class Feature(NamedTuple):
    """One feature as written.

    Its type key, location (`5`, `10..17`, `<1..20`, `?..35`, `P12345-2:3..9`) and qualifiers.
    """

    key: str
    location: str
    note: str = ""
    ligand: str = ""
    ligand_part: str = ""


class SegmentBuilder:
    """Collects features protein by protein in flat arrays, then names the concepts.

    `add` takes features: fuzzy, unknown and isoform-qualified positions are noted and skipped,
    invalid ones rejected. `annotations` makes a concept of each note or ligand that at least
    `min_instances` features share, and adds `any`.
    """

    def __init__(
        self, convention: Convention, min_instances: int, merge_numbered: bool, report: ReadReport
    ) -> None:
        self._convention: Convention = convention
        self._min_instances = min_instances
        self._merge_numbered = merge_numbered
        self._report = report
        self._options: dict[str, int] = {"": 0}
        self._instances = 0
        self._columns = {
            name: array("i") for name in ("protein", "kind", "option", "start", "end", "instance")
        }

    def add(
        self,
        protein: int,
        accession: str,
        length: int,
        features: Iterable[Feature],
        line: int | None = None,
    ) -> None:
        """Take the features of one protein, the `protein`-th of the `Proteins` to come."""
        for feature in features:
            kind = BY_KEY.get(feature.key)
            if kind is None:
                detail, wanted = (
                    f"{feature.key} {feature.location}",
                    f"the feature types are {', '.join(BY_KEY)}",
                )
                self._report.reject("unknown feature type", accession, detail, wanted, line)
            elif kind.naming_in(self._convention) is None:
                self._report.note(
                    f"no concept in the {self._convention} convention: {kind.column}", accession
                )
            else:
                span = self._span(feature, accession, length, line)
                if span is not None:
                    self._place(protein, kind, feature, *span)

    def _span(
        self, feature: Feature, accession: str, length: int, line: int | None
    ) -> tuple[int, int] | None:
        """First and last position, or None if they are uncertain."""
        location = feature.location
        if self._convention == "published":
            location = location.replace("<", "").replace(">", "")
        match = _PLAIN.fullmatch(location)
        shown = f"{feature.key} {feature.location}"
        if match is None:
            reason = next((reason for mark, reason in _UNSURE.items() if mark in location), None)
            if reason is not None:
                self._report.note(reason, accession, shown)
            else:
                self._report.reject(
                    "unreadable position", accession, shown, "write positions as 5 or 10..17", line
                )
            return None
        start = int(match[1])
        end = int(match[2] or start)
        if not 1 <= start <= end <= length:
            reason = "span past the end" if end > length else "span backwards or before 1"
            self._report.reject(
                reason,
                accession,
                shown,
                f"positions run from 1 to {length}, start before end",
                line,
            )
            return None
        return start, end

    def _place(
        self, protein: int, kind: FeatureType, feature: Feature, start: int, end: int
    ) -> None:
        option = option_of(
            kind, feature.note, feature.ligand, self._convention, self._merge_numbered
        )
        self._instances += 1
        kinds = [kind]
        if self._convention == "strict" and kind.key == "BINDING" and feature.ligand:
            older = older_type_of(feature.ligand, feature.ligand_part)
            kinds += [older] if older else []
        spans = [(start, start), (end, end)] if kind.paired and end > start else [(start, end)]
        code = self._options.setdefault(option, len(self._options))
        for one in kinds:
            for first, last in spans:
                row = (protein, _PLACES[one.key], code, first, last, self._instances)
                for column, value in zip(self._columns.values(), row, strict=True):
                    column.append(value)

    def annotations(self, proteins: Proteins) -> Annotations:
        """Name the concepts of all added features."""
        rows = pl.DataFrame(
            {name: np.array(column, np.int32) for name, column in self._columns.items()}
        )
        counts = (
            rows.group_by("kind", "option")
            .agg(pl.col("instance").n_unique().alias("n"))
            .sort("kind", "option")
        )
        options = list(self._options)
        named = [
            row
            for place, code, n in counts.iter_rows()
            for row in self._named(place, code, options[code], n)
        ]
        names = pl.DataFrame(named, schema=_NAMES, orient="row")
        accessions = pl.Series(proteins.accessions, dtype=pl.String).gather(rows["protein"])
        return Annotations(
            rows.with_columns(accessions.alias("accession")).join(names, on=["kind", "option"]),
            proteins,
        )

    def _named(
        self, place: int, code: int, option: str, n: int
    ) -> list[tuple[int, int, str, str, str]]:
        """The 0 to 2 concepts of the `n` features of one type with one option."""
        kind = FEATURE_TYPES[place]
        if kind.naming_in(self._convention) == "single":
            concepts = [kind.category]
        else:
            frequent = bool(option) and n >= self._min_instances
            # In `published`, `any` covers only the frequent notes.
            any_too = frequent or self._convention == "strict"
            concepts = [f"{kind.category}_{option}"] * frequent + [f"{kind.category}_any"] * any_too
            if not frequent:
                self._note_rare(kind, option, n)
        return [
            (place, code, concept, kind.category, level_of(concept, kind, self._convention))
            for concept in concepts
        ]

    def _note_rare(self, kind: FeatureType, option: str, n: int) -> None:
        kept = f"kept in {kind.category}_any alone" if self._convention == "strict" else "left out"
        why = (
            f"note or ligand with fewer than {self._min_instances} instances"
            if option
            else "no note or ligand"
        )
        self._report.note(f"{kind.category}: {why}: {kept}", option or kind.key, n=n)
