"""A protein's 3-D structure, coloured by a feature's activation, in the browser and for print."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets as t

from interplm_nb.widgets.feature_data import UNREADABLE, FeatureData
from interplm_nb.widgets.packing import KEPT, pack, unpack
from interplm_nb.widgets.structure.payload import payload
from interplm_nb.widgets.view import View

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from interplm_nb.readers.structures import Structure

log = logging.getLogger(__name__)


class StructureView(View):
    """The selected protein's structure, drawn by NGL.

    With no protein selected, it is that of the feature's strongest protein whose structure shows
    the residue of its maximum; where none does, of the strongest that has one, and the view says
    so. Colours
    are activations by UniProt position, on the scale of all views; residues without a position are
    ochre, residues outside the brush pale. `data.structures` says which proteins have a structure.
    `other` is a second protein, superposed on the first (`readers/superpose.py`) and drawn thin:
    Python computes it, so a page without a kernel shows the pair that was chosen before.
    """

    code_name = "structure_view"
    linked = ("threshold",)

    representation = t.Enum(
        ("sticks", "cartoon", "surface"),
        "sticks",
        help="cartoon with side chains from `threshold`, cartoon alone, or surface",
    ).tag(sync=True)  # not "style", which ipywidgets' views take for their own model
    threshold = t.Float(
        0.5, min=0, help="side chains are drawn from this share of the feature's maximum"
    ).tag(sync=True)
    chains = t.Bool(True, help="other chains of the entry, thin").tag(sync=True)
    other = t.Unicode("", help="accession of a second protein, laid on the first").tag(sync=True)
    first_structure = t.Bytes(
        help="made here: the structure shown, packed, if it is not the selected protein's"
    ).tag(sync=True)
    other_structure = t.Bytes(
        help="made here: the second protein's structure as it is on the first, packed"
    ).tag(sync=True)
    problem = t.Unicode("", help="made here: why one of them is not shown").tag(sync=True)

    def __init__(self, data: FeatureData, **settings: Any) -> None:
        self._sent, self._pair, self._problems = "", ("", ""), ["", ""]
        super().__init__(data, **settings)
        data.observe(self._follow, "bundle")
        data.selection.observe(self._follow, "accession")
        self.observe(self._follow, "other")
        self._follow()

    def close(self) -> None:
        """Close the widget: it stops following data and selection."""
        if self.comm is not None:
            self.data.unobserve(self._follow, "bundle")
            self.selection.unobserve(self._follow, "accession")
        super().close()

    @property
    def accession(self) -> str:
        """The protein that is shown; empty: none is selected, and no protein here has a structure.

        Of a pair it is the first, also while the second is selected.
        """
        if self.other_structure and self.selection.accession == self.other:
            return self._pair[1]
        if self.selection.accession:
            return self.selection.accession
        shown = self.data.current[0]["on_structure"]
        return shown["accession"] if shown else ""

    def structure(self) -> "Structure":
        """The structure that is shown; LookupError where the protein has none."""
        return self._load(self.accession)

    def values(self) -> np.ndarray:
        """Activations of the shown protein: float32 [protein length], unit `max`, by position.

        LookupError for a protein outside the run.
        """
        accession, pages = self.accession, self.data.pages
        if accession not in pages.proteins:
            raise LookupError(
                f"{accession or 'no protein'} is not among the run's {len(pages.proteins)} "
                "proteins; choose one with selection.accession"
            )
        return pages.activations.along(accession, self.selection.feature)

    def write_scripts(self, folder: Path | str) -> list[Path]:
        """Write what is shown for ChimeraX and PyMOL: see `molecular_scripts.write_scripts`.

        The PDB file has activations as B-factors.
        """
        from interplm_nb.widgets.structure.molecular_scripts import write_scripts

        chosen = self.selection
        return write_scripts(
            self.structure(),
            self.values(),
            Path(folder),
            chosen.feature,
            self.data.pages.source,
            threshold=self.threshold,
        )

    def figure(self) -> "Figure":
        """The trace of the chain's alpha carbons for print: see `View.figure`."""
        from interplm_nb.widgets.structure.figure import no_structure, trace

        try:
            structure, values = self.structure(), self.values()
        except UNREADABLE as problem:
            return no_structure(str(problem.args[0] if problem.args else problem))
        chosen = self.selection
        position = chosen.position if chosen.accession == structure.accession else None
        return self.signed(trace(structure, values, chosen.feature, tuple(chosen.brush), position))

    def _load(self, accession: str) -> "Structure":
        load = self.data.structures.get(accession)
        if load is None:
            known = sorted(self.data.structures)
            listed = (
                ", ".join(known[:5]) + (f" and {len(known) - 5} more" if len(known) > 5 else "")
                if known
                else "none"
            )
            raise LookupError(
                f"no structure of {accession or 'a protein of this feature'}; "
                f"the proteins with a structure are: {listed}"
            )
        return load()

    def _follow(self, _: object = None) -> None:
        """Send the structures that the browser does not get from `data`.

        The first where it is not the selected protein's, and the second.
        """
        shown = self.accession
        wanted = "" if shown == self.selection.accession else shown
        pair = (self.other, shown) if self.other and self.other != shown else ("", "")
        with self.hold_sync():
            if wanted != self._sent:
                self.first_structure, self._problems[0] = self._packed(wanted)
            if pair != self._pair:
                self.other_structure, self._problems[1] = (
                    self._laid_on(shown) if pair[0] else (b"", "")
                )
            self.problem = " ".join(filter(None, self._problems))
        self._sent, self._pair = wanted, pair

    def _packed(self, accession: str) -> tuple[bytes, str]:
        try:
            return self.data.packed_structure(accession), ""
        except UNREADABLE as error:
            log.exception("structure of %s", accession)
            return b"", f"The structure of {accession} could not be read: {error}"

    def _laid_on(self, shown: str) -> tuple[bytes, str]:
        """The second structure on the first, packed; or why not.

        Its record also has the first's accession and the figures of `Superposition`.
        """
        from interplm_nb.readers.superpose import superpose

        try:
            found = superpose(self._load(shown), self._load(self.other))
        except UNREADABLE as problem:
            return b"", str(problem.args[0] if problem.args else problem)
        record, arrays = unpack(payload(found.mobile))
        about = {
            "on": shown,
            "n_aligned": found.n_aligned,
            "rmsd": found.rmsd,
            "tm_score": found.tm_score,
        }
        return pack(record | about, arrays, KEPT), ""
