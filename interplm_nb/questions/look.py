"""Your own proteins through an existing SAE, into a run that the workbench opens.

Nothing is trained and nothing is scored: names, scores and controls are those of the SAE's own run,
kept apart from these proteins (`pipeline.looked`).
"""

import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl

from interplm_nb.activations import FeatureActivations
from interplm_nb.annotations import Annotations
from interplm_nb.pipeline.encoder import Encoder, encode_proteins, reading_bar
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.looked import PROFILE, looked, names_folder, write_looked
from interplm_nb.pipeline.maxima import Maxima
from interplm_nb.pipeline.nearest_run import open_run
from interplm_nb.pipeline.own_activations import run_from_parts
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.run_files import Content, source_file
from interplm_nb.pipeline.run_model import RunModel
from interplm_nb.proteins import Proteins
from interplm_nb.questions.annotate import FIRES, within_limit
from interplm_nb.questions.background import protein_maxima, stored, whole
from interplm_nb.questions.own_proteins import OwnProteins, own_proteins
from interplm_nb.readers.report import ReadReport
from interplm_nb.readers.uniprot_rest import CACHE, UniProtREST
from interplm_nb.saving import atomic_path

if TYPE_CHECKING:
    from interplm_nb.plm.protocol import PLM
    from interplm_nb.sae.model import SAE

_log = logging.getLogger(__name__)

LONGER = 1.5
"""Ratio of median lengths from which proteins are said to be longer than the background."""

_NEEDED = (source_file("sae", "sae"), source_file("sae", "activations"))

_TABLES = ("best", "comparison", "found")

_NAMES: tuple[Content, ...] = ("scores", "active", "concepts", "atlas")


class _Chosen(NamedTuple):
    """An SAE with its PLM, and the run that knows its features."""

    plm: "PLM"
    sae: "SAE"
    model: RunModel
    home: Run | None
    source: str
    """Which of the home's sources the SAE is."""


def look(
    proteins: OwnProteins,
    out: Path | str,
    run: Run | Path | str | None = None,
    *,
    source: str = "sae",
    sae: "SAE | Path | str | None" = None,
    layer: int | None = None,
    device: str = "auto",
    offline: bool = False,
    strict: bool = False,
) -> Run:
    """Look at your own proteins through an existing SAE.

    Names, F1 scores, controls and map are those that the SAE has in its own run, and activations
    are shares of the maxima there; nothing is scored on these proteins. `pipeline.looked.looked`
    reads what these proteins have more than a background: the proteins whose activations the SAE's
    run stores, without those that contain one of these (`background.whole`). A protein has a
    feature whose maximum is above `FIRES`; p is one-sided by Fisher's exact test, with proteins as
    the unit, q after Benjamini and Hochberg (`concepts.enrich.enriched`).

    Parameters
    ----------
    proteins
        A file, accessions of UniProt, or sequences: see `own_proteins`. Those that cannot be used,
        or are longer than the model reads, are left out, counted and logged.
    out
        Folder of the run to make, new or empty.
    run
        The SAE's run, or its folder; default, unless `sae` is given: the nearest finished run, as
        notebooks find it (`nearest_run.open_run`), else the demo run of the package.
    source
        Which of the run's SAEs.
    sae
        An SAE instead of the run's: an `SAE`, its folder or file, or a published one by name
        (`interplm-nb models`). With `run`, one that `interplm-nb score SAE --run RUN
        --keep-activations` has scored there; alone, its features have no names and no background.
    layer
        Layer of a published SAE.
    device
        "auto", "cpu", "cuda", "cuda:1" or "mps".
    offline
        Take accessions from the cache alone.
    strict
        Stop at the first record that cannot be used.

    Returns
    -------
    Run
        `Workbench(run)` opens it, the most enriched feature first.

    Raises
    ------
    PipelineError, ValueError
        For a folder that holds files, and an SAE that does not fit the run or its PLM.
    InputError
        If no protein is left.
    ConnectionError, FileNotFoundError, PermissionError
        If weights are not on this computer and cannot be fetched.

    Examples
    --------
    >>> import interplm_nb as ipn
    >>> mine = ipn.look({"mine": "MKTAYIAKQRQISFVKSHFSRQ"}, "runs/mine", "runs/demo")
    >>> mine.proteins()
    Proteins(1 proteins, 22 residues)
    """
    out = Path(out).expanduser()
    _check_out(out)
    read = own_proteins(proteins, strict, UniProtREST(CACHE.expanduser(), offline=offline))
    chosen = _chosen(run, source, sae, layer, device)
    kept = within_limit(read.proteins, read.report, chosen.plm.max_residues)
    if read.report.rejected:
        _log.warning("%s", read.report)
    with reading_bar(chosen.plm, kept) as bar:
        encoded = encode_proteins(chosen.plm, chosen.sae, kept, bar.update)
    values = FeatureActivations.from_csr(encoded, kept)
    maxima = _maxima(chosen, values)
    enrichment, background = _enrichment(chosen, values.relative_to(maxima.train))
    about = _about(chosen, kept, background, read.report)
    with atomic_path(out) as draft:
        made = _write_run(draft, chosen, read.annotations.of(kept), values, maxima)
        write_looked(made, about, enrichment)
    return Run.open(out)


def _check_out(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise PipelineError(
            f"{out} exists and is not empty, and what is in it would be lost; "
            "give the name of a new folder"
        )


def _chosen(
    run: Run | Path | str | None,
    source: str,
    sae: "SAE | Path | str | None",
    layer: int | None,
    device: str,
) -> _Chosen:
    if sae is None:
        home = _home(run) if run is not None else open_run("", *_NEEDED).run
        return _of_run(home, source, layer, device)
    given = _opened(sae, layer)
    return _alone(given, device) if run is None else _in_run(_home(run), given, device)


def _home(run: Run | Path | str) -> Run:
    home = run if isinstance(run, Run) else Run.open(run)
    if found := looked(home):
        raise PipelineError(
            f"{home.folder} is itself a run of proteins that were looked at, without an SAE; "
            f"give the run of its SAE, {found.about['run'] or 'or the SAE'}"
        )
    return home


def _of_run(home: Run, source: str, layer: int | None, device: str) -> _Chosen:
    encoder = Encoder(home, source, device)
    if layer not in (None, encoder.layer):
        raise PipelineError(
            f"source {source!r} of {home.folder} is an SAE of layer {encoder.layer}, not of layer "
            f"{layer}; leave the layer out, or give a run with an SAE of that layer"
        )
    model = home.model()
    assert model is not None  # the encoder has loaded it
    return _Chosen(encoder.plm, encoder.sae, model, home, source)


def _opened(sae: "SAE | Path | str", layer: int | None) -> "SAE":
    if not isinstance(sae, Path | str):
        return sae
    from interplm_nb.questions.rescore import opened
    from interplm_nb.sae.importers.given import Given

    (found,) = opened([str(sae)], Given(layer=layer)).values()
    return found


def _in_run(home: Run, sae: "SAE", device: str) -> _Chosen:
    """The source of the run that is this SAE, known by its weights."""
    wanted = sae.weight_hash
    same = [s for s in home.with_activations() if home.sae(s).weight_hash == wanted]
    if same:
        return _of_run(home, same[0], None, device)
    model, about = home.model(), sae.about
    if about is not None and model is not None and about.plm != model.name:
        raise PipelineError(
            f"the SAE is of {about.plm}, and {home.folder} is a run of {model.name}; give a run "
            "of the SAE's PLM, or no run: then its features have no names"
        )
    raise PipelineError(
        f"{home.folder} does not know this SAE, so it has no names and no background for it; "
        f"score it there first: interplm-nb score SAE --run {home.folder} --keep-activations"
    )


def _alone(sae: "SAE", device: str) -> _Chosen:
    """An SAE without a run, with the PLM that it names."""
    from interplm_nb import plm
    from interplm_nb.plm.record import check_layer, record_of

    about = sae.about
    if about is None:
        raise PipelineError(
            "the SAE does not say to which PLM and layer it belongs; set its `about`, or save it "
            "first"
        )
    model = plm.load(about.plm, device)
    if about.plm_revision not in ("", model.revision):
        raise PipelineError(
            f"the SAE was trained on other weights of {about.plm} ({about.plm_revision[:19]}) than "
            f"those here ({model.revision[:19]}); give the run of the SAE, whose model is checked"
        )
    for layer in about.layers:
        check_layer(model, layer)
    width = sum(model.widths[layer] for layer in about.layers)
    sae.check_place(width, f"{about.reads} of {model.name}", about.joined)
    asked = RunModel(about.plm, about.plm, record_of(model))
    return _Chosen(model, sae.to(model.device), asked, None, "sae")


def _write_run(
    folder: Path,
    chosen: _Chosen,
    annotations: Annotations,
    values: FeatureActivations,
    maxima: Maxima,
) -> Run:
    """A run of these proteins, all of them test, with the SAE's names."""
    made = run_from_parts(
        folder,
        values.proteins,
        annotations,
        (block for block in values.blocks()),
        splits=pl.DataFrame({"accession": values.proteins.accessions, "split": "test"}),
        maxima=maxima,
        plm=chosen.plm.name,
        layer=_layer(chosen.sae),
    )
    Run.create(folder, PROFILE).note_model(chosen.model)
    if chosen.home is not None:
        _copy_names(chosen.home, chosen.source, names_folder(made))
    return made


def _layer(sae: "SAE") -> int:
    assert sae.about is not None  # `_chosen` has seen to it
    return sae.about.layer


def _maxima(chosen: _Chosen, values: FeatureActivations) -> Maxima:
    """What activations are shares of: see `_scale`."""
    if chosen.home is not None:
        return Maxima(chosen.home.maxima(chosen.source).train)
    if chosen.sae.unit == "max":
        return Maxima(np.ones(values.n_features, np.float32))
    return Maxima(values.largest())


def _enrichment(
    chosen: _Chosen, values: FeatureActivations
) -> tuple[pl.DataFrame, Proteins | None]:
    """What these proteins have more than the background, and the background's proteins."""
    from interplm_nb.concepts.enrich import enriched

    maxima, home = protein_maxima(values), chosen.home
    if home is not None and chosen.source in home.with_activations():
        background = whole(stored(home, chosen.source), values.proteins)
        if background.accessions:
            others = home.proteins().select(background.accessions)
            return enriched(maxima, background.maxima, FIRES), others
    n = values.n_features
    fires = np.bincount(maxima.indices[maxima.data > np.float32(FIRES)], minlength=n)
    features = np.flatnonzero(np.bincount(maxima.indices, minlength=n))
    table = pl.DataFrame({"feature": features, "members": fires[features]}).select(
        pl.col("feature").cast(pl.UInt32), "members", share=pl.col("members") / len(values.proteins)
    )
    return table.sort("members", "feature", descending=[True, False]), None


def _copy_names(home: Run, source: str, folder: Path) -> None:
    """What a run says of a source's features, as source `sae` of its own run."""
    if not home.of_source(source, "scores").is_file():
        return
    names = Run.create(folder, home.profile)
    for name in _TABLES:
        if (home.stage_folder("concepts") / f"{name}.parquet").is_file():
            table = home.table("concepts", name)
            if source != "sae" and name != "comparison":  # else two SAEs would be one source
                table = table.filter(pl.col("source") != "sae")
            names.write_table(
                "concepts", name, table.with_columns(pl.col("source").replace(source, "sae"))
            )
    for content in _NAMES:
        held = home.of_source(source, content)
        if held.is_file():
            path = names.of_source("sae", content)
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(held, path)


def _about(
    chosen: _Chosen, proteins: Proteins, background: Proteins | None, report: ReadReport
) -> dict[str, Any]:
    home = chosen.home.folder.resolve().name if chosen.home else None
    return {
        "plm": chosen.plm.name,
        "layer": _layer(chosen.sae),
        "sae": chosen.sae.weight_hash,
        "run": home,
        "threshold": FIRES,
        "background": 0 if background is None else len(background),
        "left_out": report.counts(),
        "names": (
            f"Names, F1 scores, controls and map are of run {home}: measured on its own proteins, "
            "not on yours."
            if home
            else "No run names these features: nothing is known of which concepts they match."
        ),
        "scale": _scale(chosen, home),
        "enrichment": _enriched_words(home, proteins, background),
    }


def _scale(chosen: _Chosen, home: str | None) -> str:
    of = (
        f"on the training proteins of run {home}"
        if home
        else "that its publisher measured"
        if chosen.sae.unit == "max"
        else "on your proteins"
    )
    return f"Activations are shares of each feature's maximum {of}."


def _enriched_words(home: str | None, proteins: Proteins, background: Proteins | None) -> str:
    n = len(proteins)
    if background is None:
        return (
            f"Share of your proteins (n = {n:,}) in which the feature is above {FIRES:g} of its "
            "maximum. There is no background to compare with."
        )
    own, other = (int(np.median(them.lengths)) for them in (proteins, background))
    longer = (
        f" Yours are longer (median {own:,} residues, background {other:,}), which alone makes "
        "features more frequent in them."
        if own > LONGER * other
        else ""
    )
    return (
        f"Enriched: more of your proteins (n = {n:,}) have the feature above {FIRES:g} of its "
        f"maximum than of the background (n = {len(background):,}: the other proteins whose "
        f"activations run {home} stores). One-sided Fisher's exact test with proteins as the unit, "
        "q after Benjamini and Hochberg; relatives are not independent, so among them q orders "
        f"features and is not an error rate.{longer}"
    )
