"""A run's features for the views: the list of all, and everything about the selected one."""

import logging
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import polars as pl
import traitlets as t

from interplm_nb.features.examples import proteins_of
from interplm_nb.features.statistics import MARKED_NEAR_ENDS, NEAR_END
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.model_note import model_note
from interplm_nb.pipeline.notes import MOST_LETTERS, NOTES, Note, latest
from interplm_nb.pipeline.run import Run
from interplm_nb.widgets import assets
from interplm_nb.widgets.bundle import N_PROTEINS, bundle
from interplm_nb.widgets.common_features import firing, in_common, packed_firing
from interplm_nb.widgets.feature_list import feature_list, named_notes
from interplm_nb.widgets.feature_page import FeaturePages
from interplm_nb.widgets.listing import concept_pairs, listing
from interplm_nb.widgets.lists import Lists
from interplm_nb.widgets.packing import KEPT, WAITED_FOR, pack
from interplm_nb.widgets.selection import Selection
from interplm_nb.widgets.structure.loaders import Structures, loaders

log = logging.getLogger(__name__)

WITH_STRUCTURE = 20
"""The strongest proteins with a structure that a bundle always holds, up to half of it."""

CELLS = 2**28
"""Proteins x features above which common features are not looked for: a byte each."""

KEPT_FIRING = 10**6
"""Bytes of `firing` above which a page without a kernel does without it."""

ASKING = ["feature", "pinned", "accessions"]
"""Fields of the selection that a bundle depends on."""

UNREADABLE = (PipelineError, ValueError, LookupError, OSError)
"""Errors for a feature, a structure or a sequence that cannot be read."""


class FeatureData(anywidget.AnyWidget):
    """One source of a run behind a `Selection`: what views draw.

    It has no view. Whenever the selection's feature changes, it sends one bundle of that
    feature to the browser (`bundle.bundle`); whenever its protein changes, the protein's structure,
    if there is one. `keep` stores bundles and structures for pages without a kernel.

    Parameters
    ----------
    run
        A `Run` or its folder.
    source
        What to look at: sae, random_sae, ...
    selection
        The selection to follow; default: a new one.
    structures
        Where structures are (`loaders.Structures`); default: the embedded and the cached ones.
    n_proteins
        Proteins whose residues a bundle holds, at most.
    feature
        The first feature of a new selection; default: of the pairs that are found, that of the
        best on validation whose concept is more than "any kind".

    Raises
    ------
    PipelineError
        The run has no activations or scores, or the source no stored activations.
    TraitError
        The selection has a feature that the source lacks.
    ValueError
        The selection is of another source.

    Examples
    --------
    >>> from interplm_nb.pipeline.run import Run
    >>> data = FeatureData(Run.shipped(), feature=12)
    >>> data.selection.brush = [0.5, 1.0]
    >>> data.selection.residues().columns
    ['accession', 'position', 'letter', 'activation']
    >>> data.features.height == data.about["n_features"]
    True
    """

    _esm = assets.esm("feature_data")

    selection = anywidget.WidgetTrait().tag(sync=True)
    about = t.Dict(
        help="run, source, PLM, notes, the run that names features if it is another, number of "
        "features, colours of categories, what is near an end and when it is marked"
    ).tag(sync=True)
    lists = anywidget.WidgetTrait().tag(sync=True)
    firing = t.Bytes(
        help="which features fire in which protein, packed; sent when proteins are chosen"
    ).tag(sync=True)
    bundle = t.Bytes(help="the selected feature, packed").tag(sync=True)
    structure = t.Bytes(help="the selected protein's structure, packed; empty: none").tag(sync=True)
    kept = t.Dict(help="bundles by feature, for pages without a kernel").tag(sync=True)
    kept_structures = t.Dict(help="structures by accession, for pages without a kernel").tag(
        sync=True
    )
    notes = t.Dict(
        help="people's notes by feature: the columns `NOTE` that are not empty; `unsaved` where "
        "this session alone holds it"
    ).tag(sync=True)
    problem = t.Unicode("", help="why the last request failed, for a person").tag(sync=True)

    def __init__(
        self,
        run: Run | Path | str,
        source: str = "sae",
        selection: Selection | None = None,
        structures: Structures = None,
        n_proteins: int = N_PROTEINS,
        feature: int | None = None,
    ) -> None:
        self.pages = FeaturePages(
            _holding(run if isinstance(run, Run) else Run.open(run), source), source
        )
        self.structures = loaders(structures, self.pages.proteins)
        self.n_proteins = n_proteins
        self._unnoted = feature_list(self.pages)
        self._unsaved: dict[int, Note] = {}
        """Notes that the run refuses; this session alone holds them."""
        notes, no_notes = self._read_notes()
        self.features = self._noted(notes)
        """`feature_list`; where there are notes, with `named_notes`."""
        self.concept_pairs = concept_pairs(self.pages)
        if selection is None:
            selection = Selection(
                source=source, feature=self._first() if feature is None else feature
            )
        self._check_selection(selection)
        self._problems = {"feature": "", "structure": ""}
        self._in_structure: dict[str, frozenset[int]] = {}
        self.current: tuple[dict[str, Any], dict[str, np.ndarray]] = (
            {"proteins": [], "on_structure": None},
            {},
        )
        """Record and arrays of the bundle that was sent last (`bundle.bundle`)."""
        self._answered: tuple[object, ...] = ()
        """What that bundle answers; empty where the last request failed."""
        super().__init__(
            selection=selection,
            about=self._about() | {"no_notes": no_notes},
            notes=self._by_feature(notes),
            lists=Lists.shared(self._unnoted, self.concept_pairs, self.pages.proteins),
        )
        self.on_msg(self._told)
        if selection.data is None:
            selection.data = self
        selection.observe(self._asked, ASKING)
        selection.observe(self._protein_asked, "accession")
        selection.observe(self._proteins_chosen, "accessions")
        self._proteins_chosen()
        self.refresh()

    def refresh(self) -> None:
        """Send the selected feature and structure again."""
        self._answered = ()
        self._in_structure.clear()
        self._protein_asked()

    def close(self) -> None:
        """Close the widget: it stops answering the selection."""
        if self.comm is not None:
            chosen: Selection = self.selection
            chosen.unobserve(self._asked, ASKING)
            chosen.unobserve(self._protein_asked, "accession")
            chosen.unobserve(self._proteins_chosen, "accessions")
            if chosen.data is self:
                chosen.data = None
        super().close()

    def write_note(
        self, feature: int, description: str = "", comment: str = "", author: str = ""
    ) -> None:
        """Write a note on a feature, and show it in every view: see `Run.write_note`."""
        self.pages.run.write_note(feature, description, comment, author, self.pages.source)
        self._take_notes()

    def _take_notes(self) -> None:
        notes, _ = self._read_notes()
        self.features = self._noted(notes)
        self.notes = self._by_feature(notes)

    def _read_notes(self) -> tuple[pl.DataFrame, str]:
        """`named_notes`, with those of this session, and why none can be written; "": they can."""
        run, source = self.pages.run, self.pages.source
        try:
            notes, why = run.notes(source), run.notes_file(source).refuses()
        except PipelineError as error:
            notes, why = pl.DataFrame(schema=NOTES), str(error)
        here = latest(self._unsaved.values())
        saved = notes.filter(~pl.col("feature").is_in(list(self._unsaved)))
        return named_notes(pl.concat([saved, here]).sort("feature")), why

    def _noted(self, notes: pl.DataFrame) -> pl.DataFrame:
        if notes.is_empty():
            return self._unnoted
        return self._unnoted.join(notes, on="feature", how="left").sort("feature")

    def _by_feature(self, notes: pl.DataFrame) -> dict[str, dict[str, Any]]:
        found = {}
        for row in notes.to_dicts():
            feature = row.pop("feature")
            unsaved = {"unsaved": True} if feature in self._unsaved else {}
            found[str(feature)] = {k: v for k, v in row.items() if v} | unsaved
        return found

    def _told(self, _: Any, message: dict[str, Any], __: Any) -> None:
        """What the browser asks for: a `note` to be written, or kept where the run takes none."""
        given = message.get("note")
        if not isinstance(given, dict):
            return
        problem = ""
        try:
            feature = int(given["feature"])
            texts = {name: str(given.get(name, "")) for name in MOST_LETTERS}
            if self.about["no_notes"]:
                self.check(feature)
                self._unsaved[feature] = Note.now(feature, **texts)
                self._take_notes()
            else:
                self.write_note(feature, **texts)
        except (*UNREADABLE, t.TraitError) as error:
            problem = _words(error)
        self.send({"noted": message.get("id"), "problem": problem})

    def check(self, feature: int) -> None:
        """Raise TraitError for a feature that the source does not have."""
        n = self.pages.activations.n_features
        if not 0 <= feature < n:
            raise t.TraitError(f"{self.pages.source} has features 0 to {n - 1}, not {feature}")

    def check_category(self, category: str) -> None:
        """Raise TraitError for a category without a scored concept."""
        known = self.concept_pairs["category"].unique().sort().to_list()
        if category not in known:
            raise t.TraitError(
                f"no scored concept has the category {category!r}; "
                f"the categories are {', '.join(known)}"
            )

    def _check_selection(self, selection: Selection) -> None:
        if selection.source != self.pages.source:
            raise ValueError(
                f"the selection is of source {selection.source!r}, the data of "
                f"{self.pages.source!r}; give both the same"
            )
        for feature in (selection.feature, *selection.pinned, *selection.listed.get("among", ())):
            self.check(feature)
        if category := selection.listed.get("category"):
            self.check_category(category)

    def residues(self, selection: Selection) -> pl.DataFrame:
        """Residues of the whole store on which the selected feature is active.

        Those within the brush and the chosen proteins, by protein and position. Columns: accession,
        position (i64, from 1), letter, activation (f32, share of the maximum on training proteins).
        """
        rows, values = self.pages.activations.feature(selection.feature)
        if selection.brush:
            exact = values.astype(np.float64)  # as the browser compares
            inside = (exact >= selection.brush[0]) & (exact <= selection.brush[1])
            rows, values = rows[inside], values[inside]
        proteins = self.pages.proteins
        protein = np.searchsorted(proteins.offsets, rows, side="right") - 1
        columns = {
            "accession": pl.Series(proteins.accessions, dtype=pl.String)[protein],
            "position": rows - proteins.offsets[protein] + 1,
            "letter": pl.Series(list(map(chr, range(128))))[proteins.letters[rows]],
            "activation": values,
        }
        table = pl.DataFrame(columns)
        return (
            table.filter(pl.col("accession").is_in(selection.accessions))
            if selection.accessions
            else table
        )

    def listed(self, selection: Selection, by_rank: bool = False) -> pl.DataFrame:
        """The features that a selection lists, by number, each with the best pair that matches.

        Columns: those of `features`, with concept, category and F1 of that pair, and its rank among
        the features for the concept; where proteins are chosen also those of
        `common_features.COMMON`. `by_rank`: see `listing.listing`.
        """
        return listing(
            self.features, self.concept_pairs, selection.listed, self.common(selection), by_rank
        )

    def narrowed(self, selection: Selection) -> pl.DataFrame | None:
        """`listed`, or None where no feature that fires is left out."""
        listed = selection.listed
        is_narrow = any(listed.get(name) for name in ("search", "category", "least_f1", "among"))
        if not is_narrow and self.common(selection) is None:
            return None
        return self.listed(selection)

    def common(self, selection: Selection) -> pl.DataFrame | None:
        """What the selection's proteins have in common (`in_common`); None where none is chosen."""
        fires = self.fires if selection.accessions else None
        if fires is None:
            return None
        return in_common(fires, [self.pages.proteins.index(a) for a in selection.accessions])

    @cached_property
    def fires(self) -> np.ndarray | None:
        """`common_features.firing` of every protein; None where the store is too large for it."""
        is_small = len(self.pages.proteins) * self.pages.activations.n_features <= CELLS
        return firing(self.pages.activations) if is_small else None

    def _bundle(self, feature: int, n: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        chosen: Selection = self.selection
        strongest = self._with_structure(feature)
        on_structure = self._on_structure(strongest)
        always = [
            *([chosen.accession] if chosen.accession else []),
            *([on_structure["accession"]] if on_structure else []),
            *strongest["accession"].head(n // 2),
        ]
        record, arrays = bundle(
            self.pages, feature, n, chosen.accessions, always, chosen.pinned, self.structures
        )
        return record | {
            "asked": {"accession": chosen.accession, "accessions": chosen.accessions},
            "on_structure": on_structure or _silent_on_structure(record["proteins"]),
        }, arrays

    def packed_structure(self, accession: str) -> bytes:
        """A protein's structure as `structure` and `kept_structures` hold it, or b""."""
        load = self.structures.get(accession)
        if load is None:
            return b""
        from interplm_nb.widgets.structure.payload import payload

        return payload(load())

    def keep(
        self, features: Iterable[int], n_proteins: int | None = None, structures: bool = True
    ) -> None:
        """Store bundles of features, and their proteins' structures, in the widget's state.

        A page without a kernel can show these.
        """
        for name, value in self.to_keep(features, n_proteins, structures).items():
            setattr(self, name, value)

    def to_keep(
        self, features: Iterable[int], n_proteins: int | None = None, structures: bool = True
    ) -> dict[str, Any]:
        """What `keep` stores: `kept`, `kept_structures` and, where it is small, `firing`.

        A structure that cannot be read is left out, and logged. TraitError for a feature that the
        source does not have.
        """
        chosen = list(dict.fromkeys(features))
        for feature in chosen:
            self.check(feature)
        bundles = {
            feature: self._bundle(feature, self.n_proteins if n_proteins is None else n_proteins)
            for feature in chosen
        }
        shown = {
            p["accession"]
            for record, _ in bundles.values()
            for p in record["proteins"]
            if structures and p["structure"]
        }
        return {
            "kept": {str(feature): pack(*parts, KEPT) for feature, parts in bundles.items()},
            "kept_structures": {
                accession: packed
                for accession in sorted(shown)
                if (packed := self._readable_structure(accession))
            },
            "firing": self._small_firing(),
        }

    def _small_firing(self) -> bytes:
        """`firing` for a page; empty where it would be most of it."""
        packed = b"" if self.fires is None else self.firing or packed_firing(self.fires)
        return packed if len(packed) <= KEPT_FIRING else b""

    def _readable_structure(self, accession: str) -> bytes:
        try:
            return self.packed_structure(accession)
        except UNREADABLE as error:
            log.warning("%s", _unread(accession, error))
            return b""

    def _first(self) -> int:
        """The most enriched feature of looked-at proteins; else the one that a biologist recognises
        first.

        Of the pairs that are found, and whose concept is more than "any kind" of a category, that
        of the best on validation; else of the best such pair, of the best pair, or the first that
        is alive.
        """
        looked, ranked = self.pages.looked, self.pages.ranked
        if looked and looked.enrichment.height:
            return int(looked.enrichment["feature"][0])
        named = ranked.filter(pl.col("concept") != pl.col("category") + "_any")
        found = named.join(self.pages.found, on=["concept", "feature"], how="semi")
        best = next((table for table in (found, named, ranked) if table.height), None)
        if best is not None:
            return int(best.sort("validation_f1_per_domain", descending=True)["feature"][0])
        return int(self.pages.alive[0]) if len(self.pages.alive) else 0

    def _with_structure(self, feature: int) -> pl.DataFrame:
        """accession and position of the maximum of the strongest proteins with a structure."""
        firing = proteins_of(self.pages.activations, feature).select("accession", "position")
        return firing.filter(pl.col("accession").is_in(list(self.structures))).head(WITH_STRUCTURE)

    def _on_structure(self, strongest: pl.DataFrame) -> dict[str, Any] | None:
        """On which protein a feature is shown where none is chosen: the strongest whose structure
        shows the residue of its maximum; if none does, the strongest.

        A crystal often lacks what a feature marks, such as a signal peptide. `n_read`: structures
        that were looked at.
        """
        rows = strongest.rows()
        for n, (accession, position) in enumerate(rows, 1):
            if position in self._positions_shown(accession):
                return {"accession": accession, "shows_maximum": True, "n_read": n}
        if not rows:
            return None
        return {"accession": rows[0][0], "shows_maximum": False, "n_read": len(rows)}

    def _positions_shown(self, accession: str) -> frozenset[int]:
        """Positions that a protein's structure shows; none where it cannot be read."""
        if accession not in self._in_structure:
            try:
                shown = frozenset(self.structures[accession]().positions.values())
            except UNREADABLE as error:
                log.warning("%s", _unread(accession, error))
                shown = frozenset()
            self._in_structure[accession] = shown
        return self._in_structure[accession]

    def _about(self) -> dict[str, Any]:
        about = self.pages.run.about(self.pages.source)
        model, looked = self.pages.run.model(), self.pages.looked
        said = [looked.about[name] for name in ("names", "scale", "enrichment")] if looked else []
        return {
            "run": self.pages.run.folder.resolve().name,
            "source": self.pages.source,
            "plm": about["plm"],
            "layer": about["layer"],
            "note": " ".join(filter(None, [model_note(about["plm"]), *said])),
            "named_by": looked.about["run"] or "" if looked else "",
            "near_end": NEAR_END,
            "marked_near_ends": MARKED_NEAR_ENDS,
            "recurrent": bool(model and model.record and model.record.recurrent),
            "n_features": self.pages.activations.n_features,
            "n_proteins": len(self.pages.proteins),
            "n_residues": self.pages.proteins.n_residues,
            "categories": self.pages.colours,
            "structures": sorted(self.structures),
            "lacking": self.pages.tables.missing,
            "threshold": self.pages.tables.threshold,
            "most_letters": MOST_LETTERS,
        }

    def _proteins_chosen(self, _: object = None) -> None:
        """Send what the browser finds common features with, once it is needed."""
        if self.selection.accessions and not self.firing and self.fires is not None:
            self.firing = packed_firing(self.fires)

    def _asked(self, _: object = None) -> None:
        """Send the bundle that the selection asks for, unless it was sent last.

        Several fields that change at once call this several times.
        """
        wanted = tuple(repr(getattr(self.selection, name)) for name in ASKING)
        shown = {"", *(protein["accession"] for protein in self.current[0]["proteins"])}
        if wanted == self._answered and self.selection.accession in shown:
            return
        self._answered = ()
        try:
            record, arrays = self._bundle(self.selection.feature, self.n_proteins)
            self.current = record, arrays
            self.bundle = pack(record, arrays, WAITED_FOR)
            self._answered = wanted
            self._say("feature", "")
        except UNREADABLE as error:
            log.exception("feature %s", self.selection.feature)
            self._say(
                "feature", f"Feature {self.selection.feature} could not be read: {_words(error)}"
            )

    def _protein_asked(self, _: object = None) -> None:
        self._asked()
        try:
            self.structure = self.packed_structure(self.selection.accession)
            self._say("structure", "")
        except UNREADABLE as error:
            log.exception("structure of %s", self.selection.accession)
            self.structure = b""
            self._say("structure", _unread(self.selection.accession, error))

    def _say(self, what: str, problem: str) -> None:
        self._problems[what] = problem
        self.problem = " ".join(filter(None, self._problems.values()))


def _holding(run: Run, source: str) -> Run:
    """The run, if views can draw the source."""
    stored = run.with_activations()
    if stored and source not in stored:
        raise PipelineError(
            f"source {source!r} of {run.folder} has no stored activations, which views need; "
            f"sources that have them: {', '.join(stored)}"
        )
    return run


def _silent_on_structure(proteins: list[dict[str, Any]]) -> dict[str, Any] | None:
    """A protein with a structure in which the feature is silent, where it fires in none."""
    held = [protein["accession"] for protein in proteins if protein["structure"]]
    return {"accession": held[0], "shows_maximum": False, "n_read": 0} if held else None


def _unread(accession: str, error: Exception) -> str:
    return f"The structure of {accession} could not be read: {_words(error)}"


def _words(error: Exception) -> str:
    """What an error says; a KeyError as text is in quotes."""
    return str(error.args[0] if isinstance(error, KeyError) and error.args else error)
