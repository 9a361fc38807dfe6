"""Any SAE scored like a run's own sources: same proteins, splits, concepts and conventions.

    rescored/<label>/about.json       the plan (SAE, PLM, layer, hashes) and what of it is done
    rescored/<label>/maxima.parquet   feature, maximum_train, maximum_all
    rescored/<label>/{scores,active,concepts}.parquet      counts, as in `sources/<id>/`
    sources/<label>/                  all of it next to the run's own sources, if kept

A published SAE was mostly trained on sequences that include the run's test proteins, though never
on their annotations.
"""

import logging
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl

from interplm_nb.annotations import Annotations
from interplm_nb.joined_layers import joined_of
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.lock import locked
from interplm_nb.pipeline.maxima import Maxima
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.run_files import Content
from interplm_nb.pipeline.scored_sources import CONVENTIONS
from interplm_nb.progress import progress_bar
from interplm_nb.proteins import Proteins
from interplm_nb.questions.rescore_table import RESCORED, own_rows, row_of
from interplm_nb.saving import json_hash, read_json, remove, write_json

if TYPE_CHECKING:
    from interplm_nb.activations import FeatureActivations
    from interplm_nb.embeddings import Embeddings
    from interplm_nb.sae.importers.given import Given
    from interplm_nb.sae.model import SAE

_log = logging.getLogger(__name__)

_COUNTED: tuple[Content, ...] = ("maxima", "scores", "active", "concepts")


class Settings(NamedTuple):
    """How the counts are read; the counts do not depend on it."""

    min_instances: int = 10
    min_clusters: int = 5
    resamples: int = 200
    seed: int = 0

    @classmethod
    def of(cls, run: Run) -> "Settings":
        """Those of the run's stage `concepts`, so that figures compare; else the defaults."""
        try:
            params = run.manifest("concepts")["params"]
        except PipelineError:
            return cls()
        return cls(*(params[n] for n in ("min_instances", "min_clusters", "bootstrap", "seed")))


@dataclass(frozen=True)
class _Grounds:
    """The proteins and labels that every SAE is counted on."""

    run: Run
    proteins: Proteins
    annotations: dict[str, Annotations]
    accessions: dict[tuple[str, str], list[str]]
    hashes: dict[str, Any]

    @classmethod
    def of(cls, run: Run) -> "_Grounds":
        """The grounds of a run, in both conventions."""
        proteins = run.proteins()
        annotations = {convention: run.annotations(convention) for convention in CONVENTIONS}
        accessions = {
            (c, split): run.accessions(split, c)
            for c in CONVENTIONS
            for split in ("validation", "test")
        }
        hashes = {c: a.fingerprint for c, a in annotations.items()} | {
            "splits": json_hash(run.splits().rows())
        }
        return cls(
            run, proteins, annotations, accessions, {"sequences": proteins.sequence_hash, **hashes}
        )


def opened(
    names: "Sequence[str]", given: "Given", revision: str | None = None, file: str | None = None
) -> "dict[str, SAE]":
    """Open SAEs by path or name; keys are short names.

    A name is a folder of this package, another project's file or folder or, if no such path exists,
    a repository of the Hugging Face Hub. `given` says what the files do not, for all of them.
    Raises what `importers.read` and `hub.get` raise.
    """
    from interplm_nb.sae import convert, hub

    found = {}
    for name in names:
        path = Path(name).expanduser()
        if path.exists() or not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
            key, sae = (
                "/".join(path.resolve().with_suffix("").parts[-2:]),
                convert.opened(path, given),
            )
        else:
            key, sae = name, hub.get(name, given, revision=revision, file=file)
            key = name if sae.about is None else f"{name} layer {sae.about.layer}"
        found[key if key not in found else name] = sae
    return found


def rescore(
    run: Run,
    saes: "Mapping[str, SAE]",
    settings: Settings | None = None,
    device: str = "auto",
    keep: bool = False,
) -> pl.DataFrame:
    """Score SAEs (name -> SAE) on the run's proteins in both conventions; columns of `RESCORED`.

    The run's own sources are in the same table. Features are scaled by their maxima on train
    (`published`: on all proteins), also for other units. A layer that the run does not store
    is embedded, and removed afterwards. Counts are kept under `rescored/`: a second call, or one
    after a kill, does only what is left. With `keep` each SAE becomes a source of the run too
    (`kept_as`), with its weights and activations: `Workbench(run, source)` and `look` take it.

    PipelineError or ValueError, before anything is computed, for an SAE of another PLM (by name,
    and by weights if the SAE knows them), hook or width; the error names both.
    """
    settings = settings or Settings.of(run)
    for name, sae in saes.items():
        check(run, name, sae)
    grounds = _Grounds.of(run)
    with locked(run.lock):
        works = [_Work(grounds, name, sae, keep) for name, sae in saes.items()]
        for layer in sorted({work.layer for work in works}):
            lacking = [work for work in works if work.layer == layer and not work.is_done(settings)]
            if lacking:
                with _embedded(run, grounds.proteins, layer, device) as embeddings:
                    for work in progress_bar(
                        lacking, desc=f"score SAEs of layer {layer}", unit=" SAEs"
                    ):
                        work.do(embeddings, settings, device)
    return pl.DataFrame(
        [row for work in works for row in work.rows(settings)] + own_rows(run), schema=RESCORED
    )


def kept_as(run: Run, names: Sequence[str]) -> dict[str, str]:
    """The sources that `rescore` with `keep` made of SAEs, by the SAE's name."""
    sources = {run.about(source).get("name"): source for source in run.with_activations()}
    return {name: sources[name] for name in names if name in sources}


def check(run: Run, name: str, sae: "SAE") -> None:
    """PipelineError or ValueError for an SAE of another PLM, hook or width than the run's."""
    model, about = run.summary("embed"), sae.about
    if about is None:
        raise PipelineError(
            f"{name} does not say to which PLM and layer it belongs; "
            "set its `about`, or save it first"
        )
    known = about.plm_revision or model["plm_revision"]
    if (about.plm, known) != (model["plm"], model["plm_revision"]):
        raise PipelineError(
            f"{name} is an SAE of {about.plm} ({known[:15]}), but {run.folder} is embedded with "
            f"{model['plm']} ({model['plm_revision'][:15]}); "
            "use an SAE of that PLM, or a run with the SAE's (-p embed.plm=...)"
        )
    sae.check_place(int(model["d_in"]), f"{model['plm']} of {run.folder}", joined_of(model))


@contextmanager
def _embedded(run: Run, proteins: Proteins, layer: int, device: str) -> "Iterator[Embeddings]":
    """A layer of the run's PLM on all proteins: stored, or embedded here and removed afterwards.

    After a kill, embedding resumes.
    """
    joined = joined_of(run.summary("embed"))
    if joined or layer in run.layers():  # `check` has seen to it that the SAEs read the join
        yield run.embeddings(None if joined else layer)
        return
    from interplm_nb.plm.record import check_layer
    from interplm_nb.plm.store import embed_to

    plm = run.plm(device)
    try:
        check_layer(plm, layer)
    except ValueError as error:
        raise PipelineError(f"{error}; the SAE is of another model of that name") from None
    _log.warning(
        "layer %d is not stored in %s: embedding it; the run's own sources are of another layer",
        layer,
        run.folder,
    )
    folder = run.rescored / "work" / f"layer_{layer:02d}"
    yield embed_to(plm, proteins, [layer], lambda _: folder)[layer]
    remove(folder.parent)


@dataclass
class _Work:
    """One SAE: what is counted, and counting the rest."""

    grounds: _Grounds
    name: str
    sae: "SAE"
    keep: bool = False
    about: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert self.sae.about is not None  # `check` has seen to it
        digest, said = self.sae.weight_hash, self.sae.about
        self.layer = said.layer
        self.plan = {"sae": digest, "plm": said.plm, "layer": said.layer, **self.grounds.hashes}
        self._read()

    @property
    def folder(self) -> Path:
        """Named after the SAE and its weights; reused if the same weights had another name."""
        root, weights = (
            self.grounds.run.rescored,
            self.plan["sae"].removeprefix("sha256:")[:12],
        )
        slug = re.sub(r"[^A-Za-z0-9_-]+", "-", self.name).strip("-")[-60:]
        return next(iter(sorted(root.glob(f"*-{weights}"))), root / f"{slug}-{weights}")

    def _read(self) -> None:
        path = self.folder / "about.json"
        self.about = read_json(path, "Rescored", 2) if path.is_file() else {}
        if self.about.get("plan") != self.plan:
            self.about = {
                "type": "Rescored",
                "version": 2,
                "plan": self.plan,
                "counted": [],
                "read": {},
                "seconds": 0.0,
            }

    def is_done(self, settings: Settings) -> bool:
        """Whether everything is counted, and read with these settings."""
        counted = {f"{c}/{split}" for c, split in self.grounds.accessions} <= set(
            self.about["counted"]
        )
        kept = not self.keep or self._kept("about").is_file()
        return counted and kept and _key(settings) in self.about["read"]

    def do(self, embeddings: "Embeddings", settings: Settings, device: str) -> None:
        """Everything that is left, step by step; each step is recorded when done."""
        from interplm_nb.plm.devices import choose_device
        from interplm_nb.sae.on_demand import on_demand

        self._read()  # the same SAE may have come before, under another name
        if "l0" not in self.about:
            remove(self._kept("about").parent)
            remove(self.folder)
        # Features that are fractions of their publisher's maxima are rescaled like any other.
        values = on_demand(
            self.sae.to(choose_device(device)), embeddings, self.grounds.proteins, unit="raw"
        )
        if "l0" not in self.about:
            self._step(lambda: self._measure(values))
        for convention, split in self.grounds.accessions:
            if f"{convention}/{split}" not in self.about["counted"]:
                self._step(lambda c=convention, s=split: self._count(values, c, s))
        if _key(settings) not in self.about["read"]:
            self._step(lambda: self._read_counts(values, settings))
        if self.keep and not self._kept("about").is_file():
            self._store(values)

    def _kept(self, content: Content) -> Path:
        """A file of the source of the run that this SAE becomes."""
        return self.grounds.run.of_source(self.folder.name, content)

    def _store(self, values: "FeatureActivations") -> None:
        """Make the SAE a source of the run; its record, which says so, is written last."""
        from interplm_nb.activations_writer import ActivationsWriter
        from interplm_nb.sae import checkpoint

        assert self.sae.about is not None  # `check` has seen to it
        said, store = values.about, self._kept("activations")
        with ActivationsWriter(store, values.proteins, values.n_features, said) as writer:
            for first, block in progress_bar(
                values.blocks(), desc="keep", unit=" blocks", leave=False
            ):
                writer.write(first, block)
            writer.finish()
        checkpoint.save(self.sae, store.parent, self.sae.about)
        for content in _COUNTED:
            path = self._kept(content)
            shutil.copyfile(self.folder / path.name, path)
        about = {"plm": said["plm"], "layer": self.layer, "d_sae": self.sae.d_sae}
        about["weights"] = self.plan["sae"]
        self.grounds.run.write_about(
            self.folder.name, kind="sae", name=self.name, l0=self.about["l0"], **about
        )

    def rows(self, settings: Settings) -> list[dict[str, Any]]:
        """A row per convention."""
        self._read()
        of = {"sae": self.name, "of": "rescored", "layer": self.layer, "n_features": self.sae.d_sae}
        of |= {name: self.about[name] for name in ("l0", "silent", "seconds")}
        return [row_of(of, figures) for figures in self.about["read"][_key(settings)]]

    def _step(self, work: Callable[[], None]) -> None:
        started = time.perf_counter()
        work()
        self.about["seconds"] += time.perf_counter() - started
        write_json(self.about, self.folder / "about.json")

    def _measure(self, values: "FeatureActivations") -> None:
        train, every, entries = _maxima(
            values, self.grounds.proteins.rows_of(self.grounds.run.accessions("train"))
        )
        about = {"source": self.name, "sequences": values.proteins.sequence_hash}
        Maxima(train, every).save(self.folder / "maxima.parquet", about)
        self.about |= {
            "l0": entries / max(values.n_residues, 1),
            "silent": int((train <= 0).sum()),
        }

    def _scaled(self, values: "FeatureActivations", convention: str) -> "FeatureActivations":
        return values.relative_to(Maxima.load(self.folder / "maxima.parquet").of(convention))

    def _count(self, values: "FeatureActivations", convention: str, split: str) -> None:
        from interplm_nb.concepts.count import count

        annotations, accessions = (
            self.grounds.annotations[convention],
            self.grounds.accessions[convention, split],
        )
        scores = count(
            self._scaled(values, convention),
            annotations,
            accessions,
            overlap="keep" if convention == "strict" else "overwrite",
        )
        scores.save(self.folder, split, convention, {"source": self.name, **self.plan})
        self.about["counted"].append(f"{convention}/{split}")

    def _read_counts(self, values: "FeatureActivations", settings: Settings) -> None:
        """Keep the figures of both conventions: they need one more pass over test."""
        from interplm_nb.concepts import best_pairs
        from interplm_nb.concepts.scored_concepts import scored_concepts
        from interplm_nb.concepts.scores import ConceptScores
        from interplm_nb.concepts.support import with_support

        annotations, splits = self.grounds.annotations, self.grounds.run.splits()
        scored = scored_concepts(
            annotations["strict"], splits, settings.min_instances, settings.min_clusters
        )
        read = []
        for convention in CONVENTIONS:
            validation, test = (
                ConceptScores.load(self.folder, split, convention)
                for split in ("validation", "test")
            )
            chosen = (
                best_pairs.strict(validation, test, scored)
                if convention == "strict"
                else best_pairs.published(validation, test)
            )
            source = self._scaled(values, convention)
            clusters = splits.filter(
                pl.col("accession").is_in(self.grounds.accessions[convention, "test"])
            )
            found = with_support(source, annotations[convention], chosen.candidates, clusters)
            bounds = (
                self._interval(source, chosen.pairs, clusters, settings)
                if convention == "strict"
                else {}
            )
            read.append(chosen.summary(self.name, found).row(0, named=True) | bounds)
        self.about["read"][_key(settings)] = read

    def _interval(
        self,
        source: "FeatureActivations",
        pairs: pl.DataFrame,
        clusters: pl.DataFrame,
        settings: Settings,
    ) -> dict[str, float]:
        from interplm_nb.concepts.intervals import by_cluster, interval

        if not settings.resamples or pairs.is_empty():
            return {}
        counts = by_cluster(source, self.grounds.annotations["strict"], pairs, clusters)
        found = interval(counts, settings.resamples, settings.seed)
        return {"low": found.low, "high": found.high}


def _key(settings: Settings) -> str:
    return "/".join(map(str, settings))


def _maxima(values: "FeatureActivations", train: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Maxima over train rows and over all rows, float32 [n_features]; number of entries."""
    on_train, every = (np.zeros(values.n_features, np.float32) for _ in range(2))
    is_train = np.zeros(values.n_residues, bool)
    is_train[train] = True
    entries = 0
    for first, block in progress_bar(values.blocks(), desc="encode", unit=" blocks", leave=False):
        mine = np.repeat(is_train[first : first + len(block.indptr) - 1], np.diff(block.indptr))
        np.maximum.at(every, block.indices, block.data)
        np.maximum.at(on_train, block.indices[mine], block.data[mine])
        entries += block.nnz
    return on_train, every, entries
