"""Set features of one protein to other values, and see what the model then predicts."""

from collections import OrderedDict
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import polars as pl
import traitlets as t

from interplm_nb.features.logos import BACKGROUND
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.steered_layer import layer_of
from interplm_nb.readers.report import InputError
from interplm_nb.widgets.concept_names import concept_name
from interplm_nb.widgets.feature_data import FeatureData
from interplm_nb.widgets.logo_figure import CHEMISTRY
from interplm_nb.widgets.model_view import ModelView, no_torch
from interplm_nb.widgets.packing import pack
from interplm_nb.widgets.playground.figure import CHANGE_SCALE, CHANGE_SCALE_ON_DARK
from interplm_nb.widgets.playground.mutations import read_one
from interplm_nb.widgets.steering.figure import steering_figure
from interplm_nb.widgets.steering.snippet import snippet
from interplm_nb.widgets.steering.steered import (
    STRONGEST,
    Settings,
    Steered,
    packed_steered,
    sentence,
    steer,
    table,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from interplm_nb.steering.steered_layer import SteeredLayer
    from interplm_nb.steering.steered_sequence import SteeredSequence

REMEMBERED = 4
"""Sequences whose unsteered layer is kept."""

SETTINGS = tuple(Settings.__dataclass_fields__)


class SteeringPanel(ModelView):
    """Features of a protein set to other values, and what the model predicts then.

    Probabilities of the twenty amino acids at each residue, their difference to the unsteered
    model, and the predicted logo, always beside a control of equal step: by default a random
    feature whose maximum moves the layer about as far and which fires about as often. The model
    runs when `steer` is called, or a person presses Steer; from then on every change of a setting
    is answered at once. It needs the model and a running kernel.

    Parameters
    ----------
    data
        The features of a run; `workbench.data`, for one linked with a workbench.
    **settings
        Traits: sequence, features, positions, masks, how, strength, where, keep_error, control,
        seed.

    Examples
    --------
    >>> from interplm_nb.pipeline.run import Run
    >>> panel = SteeringPanel(FeatureData(Run.shipped()), how="add", strength=1.5)
    >>> panel.how, panel.features, panel.result
    ('add', [], b'')
    """

    code_name = "steering_panel"
    needs = "Steering"
    failed = "This could not be steered"

    sequence = t.Unicode(
        "", help="your own, plain or FASTA; empty: the protein in focus, else the strongest"
    ).tag(sync=True)
    features = t.List(t.Int(), help="those that are changed; empty: the selected one").tag(
        sync=True
    )
    positions = t.List(t.Int(min=1), help="residues to change, from 1; empty: all").tag(sync=True)
    masks = t.List(
        t.Int(min=1), help="residues hidden from a model that predicts masked ones, from 1"
    ).tag(sync=True)
    how = t.Enum(
        ("clamp", "add", "scale", "ablate"),
        "clamp",
        help="set to, raise by or multiply by the strength, or set to 0",
    ).tag(sync=True)
    strength = t.Float(
        1.0, min=0, max=STRONGEST, help="a multiple of a feature's maximum on training proteins"
    ).tag(sync=True)
    where = t.Enum(
        ("output", "recurrence"),
        "output",
        help="change a layer's output, or the state that a recurrent layer carries on",
    ).tag(sync=True)
    keep_error = t.Bool(True, help="keep what the SAE does not reconstruct").tag(sync=True)
    control = t.Enum(
        ("feature", "direction"),
        "feature",
        help="a random feature of about equal step and density, or a random direction",
    ).tag(sync=True)
    seed = t.Int(0, min=0, max=2**31 - 1, help="draws the control").tag(sync=True)
    result = t.Bytes(help="what was steered last, packed; empty: nothing").tag(sync=True)
    about = t.Dict(
        read_only=True,
        help="what both halves share: limits, colours, amino acids, what the model can do",
    ).tag(sync=True)

    def __init__(self, data: FeatureData, **settings: Any) -> None:
        self._name = ""
        self._request: int | None = None
        self._taking = False
        self._found: Steered | None = None
        self._at: SteeredLayer | None = None
        self._read: OrderedDict[str, SteeredSequence] = OrderedDict()
        super().__init__(data, **settings)
        self.on_msg(self._told)

    @t.default("about")
    def _about(self) -> dict[str, Any]:
        model = self.data.pages.run.model()
        record = model.record if model else None
        return {
            "limit": self.data.pages.run.max_residues(),
            "strongest": STRONGEST,
            "unable": self._unable(),
            "recurrent": bool(record and record.recurrent),
            "masked": bool(record and record.objective == "masked"),
            "model": model.name if model else "the model",
            "background": BACKGROUND.tolist(),
            "groups": [
                {"name": name, "letters": letters, "light": light, "dark": dark}
                for name, letters, light, dark in CHEMISTRY
            ],
            "scale": list(CHANGE_SCALE),
            "scale_on_dark": list(CHANGE_SCALE_ON_DARK),
        }

    def _unable(self) -> str:
        """Why nothing can be steered here; empty: it can."""
        model = self.data.pages.run.model()
        if model is None or model.record is None:
            return "This run came without a model, so that there is nothing to steer."
        if model.record.objective is None or not model.record.has_logits:
            return f"{model.name} has no head that predicts residues, so that steering is not seen."
        return "" if _torch_is_here() else no_torch(self.needs)

    @t.validate("sequence")
    def _clean(self, proposal: Any) -> str:
        if not proposal["value"].strip():
            self._name = ""
            return ""
        try:
            self._name, sequence = read_one(proposal["value"], self.about["limit"])
        except InputError as error:
            raise t.TraitError(str(error)) from None
        return sequence

    @t.validate("features")
    def _existing(self, proposal: Any) -> list[int]:
        for feature in proposal["value"]:
            self.data.check(feature)
        return list(dict.fromkeys(proposal["value"]))

    @t.observe("sequence", *SETTINGS)
    def _changed(self, _: Any) -> None:
        if self._found is not None and not self._taking:
            self._request = None
            self._answer()

    def _told(self, _: Any, message: dict[str, Any], __: Any) -> None:
        """What the browser asks for: `fetch`, or `steer`, a request's number, with `settings`."""
        self.problem = ""
        try:
            if "fetch" in message:
                self._trying(self._fetch_weights, "The weights could not be fetched")
            if "steer" in message and not self.problem:
                self._request = message["steer"]
                self._take(message["settings"])
                self._answer()
        except t.TraitError as error:
            self._found, self.result = None, b""
            self.problem = f"{self.failed}: {error}"
        finally:  # or the page would wait for ever
            self._tell_done(steered=message.get("steer"))

    def _take(self, settings: dict[str, Any]) -> None:
        """Set the traits without an answer to each."""
        self._taking = True
        try:
            for name, value in settings.items():
                if name == "sequence" and value == self.sequence:
                    continue  # its name in FASTA stays
                if name == "sequence" or name in SETTINGS:
                    setattr(self, name, value)
        finally:
            self._taking = False

    def steer(self) -> pl.DataFrame:
        """Run the model with these settings, and show what it predicts.

        Raises what the loading of a model raises, PipelineError where its weights are missing, and
        ValueError for a change that cannot be made.

        Returns
        -------
        polars.DataFrame
            A row for each predicted residue and amino acid: position (i64, from 1), residue (the
            letter there), amino_acid, and unsteered, steered and control (f32), its probability
            among the twenty. A next-residue model predicts no first residue.
        """
        self._request = None
        self._show()
        self.problem = ""
        assert self._found is not None
        return table(self._found)

    def snippet(self) -> str:
        """Python that gives the numbers of `steer` without the panel: p, float32 [3, n, 20]."""
        pages = self.data.pages
        return snippet(pages.run, pages.source, self._protein()[1], self._settings())

    def figure(self) -> "Figure":
        """Probabilities and differences, of the feature and its control: see `View.figure`."""
        if self._found is None:
            why = self.problem or self.missing.get("text", "") or self.about["unable"]
            return steering_figure(
                None, why or "Nothing has been steered. Run the notebook and press Steer."
            )
        title = f"{self._title()}. {sentence(self._found, self._names())}"
        return steering_figure(self._found, title)

    def _title(self) -> str:
        about, (name, sequence) = self.data.about, self._protein()
        where = f"{about['plm']}, layer {about['layer']}"
        return f"{name or 'Sequence'}, {len(sequence):,} residues; {where}"

    def _settings(self) -> Settings:
        return Settings(
            features=tuple(self.features) or (self.selection.feature,),
            positions=tuple(sorted(set(self.positions))),
            masks=tuple(sorted(set(self.masks))),
            how=self.how,  # type: ignore[arg-type]
            strength=self.strength,
            where=self.where,  # type: ignore[arg-type]
            keep_error=self.keep_error,
            control=self.control,  # type: ignore[arg-type]
            seed=self.seed,
        )

    def _protein(self) -> tuple[str, str]:
        """Name and sequence: the typed one, the protein in focus, or the feature's strongest."""
        if self.sequence:
            return self._name, self.sequence
        pages = self.data.pages
        strongest = pages.top(self._settings().features[0], 1)["accession"].to_list()
        chosen = [self.selection.accession, *strongest, *pages.proteins.accessions[:1]]
        accession = next(name for name in chosen if name)
        return accession, pages.proteins.sequence(accession)

    def _names(self) -> dict[int, str]:
        return {
            feature: concept_name(best["concept"], best["category"])
            for feature, best in self.data.pages.best.items()
        }

    def _answer(self) -> None:
        """Send what the model predicts, or why it cannot; nothing older stays."""
        if self._look_again():
            return
        self._trying(self._show)
        if self.problem:
            self._found, self.result = None, b""

    def _show(self) -> None:
        settings, (name, sequence) = self._settings(), self._protein()
        one = self._sequence(sequence, settings.masks)
        self._found = steer(one, sequence, settings)
        record, arrays = packed_steered(self._found, self._names())
        proteins = self.data.pages.proteins
        own = name in proteins and proteins.sequence(name) == sequence
        record |= {
            "request": self._request,
            "name": name,
            "accession": name if own else "",
            "snippet": self.snippet(),
        }
        self.progress = ""
        self.result = pack(record, arrays)

    def _sequence(self, letters: str, masks: tuple[int, ...]) -> "SteeredSequence":
        """A sequence whose unsteered layer is known."""
        if self._unable():
            raise PipelineError(self._unable())
        at = self._layer()
        from interplm_nb.steering.steered_sequence import SteeredSequence, masked

        read = masked(letters, masks)
        running = f"Running {at.plm.name} on {len(letters):,} residues"
        if read not in self._read:
            self.progress = f"{running}, unsteered (1 of 2)"
            self._read[read] = SteeredSequence(at, read)
            self._read[read].unsteered()
            self.progress = f"{running}, with the change and with its control (2 of 2)"
        elif self.where == "recurrence":
            self.progress = f"{running}, with the change and with its control"
        self._read.move_to_end(read)
        while len(self._read) > REMEMBERED:
            self._read.popitem(last=False)
        return self._read[read]

    def _layer(self) -> "SteeredLayer":
        encoder = self._loaded()
        if self._at is None:
            self._at = layer_of(encoder)
        return self._at


def _torch_is_here() -> bool:
    """Without importing it, which takes seconds."""
    try:
        return find_spec("torch") is not None
    except ModuleNotFoundError:
        return False
