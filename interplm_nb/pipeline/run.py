"""A run: one folder, and the only code that knows the paths in it."""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import polars as pl

import interplm_nb
from interplm_nb.annotations import Annotations
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.layout import (
    ALL_STAGES,
    OUTPUTS,
    PROBE,
    PROJECTIONS,
    SAES,
    SOURCES,
    STAGE_NAMES,
    annotations_name,
)
from interplm_nb.plm.lengths import MAX_RESIDUES
from interplm_nb.plm.record import ModelRecord
from interplm_nb.proteins import Proteins
from interplm_nb.saving import read_json, read_parquet, remove, write_json, write_parquet

if TYPE_CHECKING:
    from interplm_nb.activations import FeatureActivations
    from interplm_nb.concepts.controls.dense import DenseSource
    from interplm_nb.concepts.controls.projection import Projection
    from interplm_nb.concepts.links import ConceptLinks
    from interplm_nb.concepts.scores import ConceptScores
    from interplm_nb.embeddings import Embeddings
    from interplm_nb.plm.protocol import PLM
    from interplm_nb.sae.model import SAE


ANY_LENGTH = 1_000_000
"""More residues than any protein has."""


class RunModel(NamedTuple):
    """The model that a run was made with, as `run.json` keeps it."""

    asked: str
    """What the profile or the person asked for, such as "auto"."""
    weights: str
    """What `plm.load` takes; the name of the file where embeddings came from arrays."""
    record: ModelRecord | None
    """What the model says of itself; None where embeddings came from arrays without a model."""

    @property
    def name(self) -> str:
        """The model's name, or that of the arrays."""
        return self.record.name if self.record else self.weights


@dataclass(frozen=True)
class Run:
    """A folder that holds one run; typed access to everything in it. What is missing is an error that names the stage to run."""

    folder: Path

    @classmethod
    def create(cls, folder: Path | str, profile: str) -> Self:
        """Make the folder a run, or open the run that it is; `profile` is noted."""
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
        about = read_json(run.record, "Run", 1) if run.record.exists() else {}
        now = {"type": "Run", "version": 1, "profile": profile, "package": interplm_nb.__version__}
        write_json(about | now, run.record)
        return run

    @classmethod
    def open(cls, folder: Path | str) -> Self:
        """Open a run that exists."""
        run = cls(Path(folder).expanduser())
        if not run.record.is_file():
            raise PipelineError(
                f"{run.folder} is not a run: it has no run.json; make one with: interplm-nb run demo --out {run.folder}"
            )
        read_json(run.record, "Run", 1)
        return run

    @classmethod
    def at(cls, folder: Path | str) -> Self:
        """Open the run in `folder`, or make a new one: how the first notebook starts."""
        return (
            cls.open(folder)
            if (Path(folder).expanduser() / "run.json").is_file()
            else cls.create(folder, "notebook")
        )

    @classmethod
    def shipped(cls) -> Self:
        """The finished demo run that comes with the package."""
        folder = Path(__file__).resolve().parents[1] / "data" / "demo_run"
        if not (folder / "run.json").is_file():
            raise PipelineError(
                "this copy of the package has no finished demo run; make one with: interplm-nb run demo --out runs/demo"
            )
        return cls.open(folder)

    # Paths of the run itself and of its stages

    @property
    def record(self) -> Path:
        """`run.json`: what makes the folder a run."""
        return self.folder / "run.json"

    @property
    def profile(self) -> str:
        """The profile that `create` noted last."""
        return str(read_json(self.record, "Run", 1)["profile"])

    def model(self) -> RunModel | None:
        """The model that was chosen for this run; None before it was."""
        found = read_json(self.record, "Run", 1).get("model")
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
        write_json({**read_json(self.record, "Run", 1), "model": noted}, self.record)
        return model

    def stage_folder(self, stage: str) -> Path:
        """`NN_stage/`: the manifest and the small tables that a stage's notebook shows."""
        return self.folder / self.stage_name(stage)

    def notebook(self, stage: str) -> Path:
        """The executed notebook of a stage."""
        return self.folder / f"{self.stage_name(stage)}.ipynb"

    @staticmethod
    def stage_name(stage: str) -> str:
        """`NN_stage`, counted from 01, and `03b_compare`; ValueError for what is not in `ALL_STAGES`."""
        if stage not in STAGE_NAMES:
            raise ValueError(f"no stage {stage!r}; stages are {', '.join(ALL_STAGES)}")
        return STAGE_NAMES[stage]

    def manifest_path(self, stage: str) -> Path:
        """`NN_stage/manifest.json`, whether or not it is there."""
        return self.stage_folder(stage) / "manifest.json"

    def work(self, stage: str) -> Path:
        """Where a stage keeps what it resumes from; removed when the stage ends."""
        return self.stage_folder(stage) / "work"

    def outputs(self, stage: str) -> list[Path]:
        """The files that a stage has made so far, sorted; its manifest, notebook and working files are not among them."""
        roots = [self.folder / name for name in OUTPUTS[stage]] + [
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
        self.manifest_path(stage).unlink(missing_ok=True)
        for path in (*(self.folder / name for name in OUTPUTS[stage]), self.stage_folder(stage)):
            remove(path)

    def clear_drafts(self) -> None:
        """Remove what a killed process left half-written. Only for the holder of the run's lock."""
        for draft in list(self.folder.rglob(".*.tmp")):
            with contextlib.suppress(FileNotFoundError):
                remove(draft)

    # What the stages made

    def proteins(self) -> Proteins:
        """The residue axis, read anew at each call. PipelineError where stage 'proteins' has not made it."""
        return Proteins.load(self._made("proteins.parquet", "proteins"))

    def annotations(
        self, convention: str = "strict", proteins: Proteins | None = None
    ) -> Annotations:
        """Annotations as parsed by a convention; give `proteins` where they are loaded already."""
        return Annotations.load(
            self._made(annotations_name(convention), "proteins"), proteins or self.proteins()
        )

    def splits(self) -> pl.DataFrame:
        """accession, cluster (u32), split (train, validation, test), split_published (validation, test)."""
        return read_parquet(self._made("splits.parquet", "proteins"), "Splits", 1)[0]

    def accessions(self, split: str, convention: str = "strict") -> list[str]:
        """The proteins of one split."""
        column = "split" if convention == "strict" else "split_published"
        return self.splits().filter(pl.col(column) == split)["accession"].to_list()

    def embeddings_folder(self, layer: int, shuffled: bool = False) -> Path:
        """`embeddings/layer_LL`, or with `shuffled` `embeddings/shuffled/layer_LL`, whether or not it is there."""
        return self.folder / "embeddings" / ("shuffled" if shuffled else "") / f"layer_{layer:02d}"

    def layers(self) -> list[int]:
        """Layers of the PLM that are embedded."""
        return sorted(
            int(p.name.removeprefix("layer_")) for p in (self.folder / "embeddings").glob("layer_*")
        )

    def embeddings(self, layer: int | None = None, shuffled: bool = False) -> "Embeddings":
        """Embeddings of one layer; the only one where none is named."""
        from interplm_nb.embeddings import Embeddings

        if layer is None:
            layers = self.layers()
            if len(layers) != 1:
                raise PipelineError(
                    f"{self.folder} has embeddings of layers {layers}, not of one; run stage 'embed', or name the layer"
                )
            layer = layers[0]
        folder = self.embeddings_folder(layer, shuffled)
        return Embeddings.open(self._made(str(folder.relative_to(self.folder)), "embed"))

    def plm(self, device: str = "auto") -> "PLM":
        """The model of this run, loaded again and checked against its embeddings.

        PipelineError where embeddings came from arrays, or where the weights are others now.
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

    def possible(self, sources: Iterable[str]) -> list[str]:
        """Those of these sources that the run can have: without a model there is no shuffled one."""
        model = self.model()
        without = model is not None and model.record is None
        return [s for s in sources if not (without and s == "shuffled_sae")]

    def source(self, source: str) -> Path:
        """`sources/<id>/`."""
        if source not in (*SOURCES, PROBE) and not (self.folder / "sources" / source).is_dir():
            raise PipelineError(
                f"no source {source!r} in {self.folder}; there are {', '.join(self.sources()) or 'none yet'}"
            )
        return self.folder / "sources" / source

    def sources(self) -> list[str]:
        """Sources that exist, in the order of tables."""
        found = {p.name for p in (self.folder / "sources").glob("*") if p.is_dir()}
        known = (*SOURCES, PROBE)
        return [s for s in known if s in found] + sorted(found - set(known))

    def with_activations(self) -> list[str]:
        """Sources whose activations are stored, in the order of tables; dense ones (neurons, pca, ica, linear_probe) never are."""
        return [s for s in self.sources() if (self.folder / "sources" / s / "activations").is_dir()]

    def about(self, source: str) -> dict[str, Any]:
        """A source's `about.json`: kind, PLM, layer, size; an SAE's recipe and quality too. PipelineError where no stage has written it."""
        stage = "train" if source in SAES else "concepts" if source == PROBE else "activations"
        return read_json(self._made(f"sources/{source}/about.json", stage), "Source", 1)

    def sae(self, source: str = "sae", device: str = "cpu") -> "SAE":
        """The SAE of a source on a device ("auto": CUDA, then MPS, then the CPU). PipelineError for a source without an SAE."""
        self._made(f"sources/{source}/sae.safetensors", "train")
        from interplm_nb.plm.devices import choose_device
        from interplm_nb.sae import checkpoint

        return checkpoint.load(self.source(source)).to(choose_device(device))

    def compared(self, label: str) -> Path:
        """`comparison/<label>/`: an SAE of stage `compare`, or a control, whether or not it is there."""
        return self.folder / "comparison" / label

    def activations(
        self, source: str = "sae", proteins: Proteins | None = None
    ) -> "FeatureActivations":
        """Activations in unit `raw`."""
        from interplm_nb.activations import FeatureActivations

        return FeatureActivations.open(
            self._made(f"sources/{source}/activations", "activations"), proteins or self.proteins()
        )

    def maxima(self, source: str = "sae") -> pl.DataFrame:
        """feature, maximum_train, maximum_all; for neurons also minimum_train, minimum_all."""
        return read_parquet(
            self._made(f"sources/{source}/maxima.parquet", "activations"), "Maxima", 1
        )[0]

    def atlas(self, source: str = "sae") -> pl.DataFrame:
        """The map of the living features of the trained SAE, the only source that has one, and their statistics over all proteins of the whole run.

        Columns: feature (u32); x, y (f32), cluster (i32), as in `features.atlas`; n_active, density, n_proteins, maximum (unit `raw`), mean_active,
        as in `features.statistics`. PipelineError before stage 'activations'.
        """
        return read_parquet(
            self._made(f"sources/{source}/atlas.parquet", "activations"), "FeatureAtlas", 1
        )[0]

    def scored(
        self, source: str, convention: str, proteins: Proteins | None = None
    ) -> "FeatureActivations | DenseSource":
        """What concepts are counted on: unit `max`, by the training maxima (`strict`) or those of all proteins (`published`)."""
        if source in (*PROJECTIONS, PROBE):
            return self.projection(source).on(self.embeddings(), proteins or self.proteins())
        column, maxima = ("train" if convention == "strict" else "all"), self.maxima(source)
        top = maxima[f"maximum_{column}"].to_numpy()
        if source != "neurons":
            return self.activations(source, proteins).relative_to(top)
        from interplm_nb.concepts.controls.dense import DenseSource

        return DenseSource(
            self.embeddings(),
            proteins or self.proteins(),
            maxima[f"minimum_{column}"].to_numpy(),
            top,
        )

    def projection(self, source: str) -> "Projection":
        """The directions of "pca", "ica" or "linear_probe". PipelineError before the stage that finds them."""
        self._made(
            f"sources/{source}/projection.json", "concepts" if source == PROBE else "activations"
        )
        from interplm_nb.concepts.controls.projection import Projection

        return Projection.load(self.source(source))

    def scores(
        self, source: str = "sae", split: str = "test", convention: str = "strict"
    ) -> "ConceptScores":
        """A source's counts on one split, under one convention. PipelineError before stage 'concepts', KeyError for a split that is not there."""
        self._not_cut_down(source)
        self._made(f"sources/{source}/scores.parquet", "concepts")
        from interplm_nb.concepts.scores import ConceptScores

        return ConceptScores.load(self.source(source), split, convention)

    def _not_cut_down(self, source: str) -> None:
        """PipelineError for a source that was scored, in a run that keeps counts of others alone, as the one that ships does."""
        kept = [
            s for s in self.sources() if (self.folder / f"sources/{s}/scores.parquet").is_file()
        ]
        table = self.stage_folder("concepts") / "comparison.parquet"
        if not kept or source in kept or not table.is_file():
            return
        if source in set(self.table("concepts", "comparison")["source"]):
            raise PipelineError(
                f"{self.folder} keeps scores by feature of {' and '.join(kept)} alone, not of {source!r}; "
                "make a run that has them with: interplm-nb run demo --out runs/demo"
            )

    def links(self, source: str = "sae") -> "ConceptLinks":
        """Which of a source's features speak for which concepts, calibrated. PipelineError before stage 'concepts'."""
        self._made(f"sources/{source}/links.parquet", "concepts")
        from interplm_nb.concepts.links import ConceptLinks

        return ConceptLinks.load(self.source(source))

    def table(self, stage: str, name: str) -> pl.DataFrame:
        """A small table that a stage shows: `NN_stage/<name>.parquet`."""
        return read_parquet(
            self._made(f"{self.stage_name(stage)}/{name}.parquet", stage), "StageTable", 1
        )[0]

    def write_table(self, stage: str, name: str, table: pl.DataFrame) -> None:
        """Write what `table` reads: `NN_stage/<name>.parquet`, atomically."""
        write_parquet(
            table,
            self.stage_folder(stage) / f"{name}.parquet",
            {"type": "StageTable", "version": 1},
        )

    def summary(self, stage: str) -> dict[str, Any]:
        """What a stage noted about itself: counts, and the device it worked on."""
        return read_json(
            self._made(f"{self.stage_name(stage)}/summary.json", stage), "StageSummary", 1
        )

    def write_summary(self, stage: str, **values: Any) -> None:
        """Write what `summary` reads: `NN_stage/summary.json`, atomically; `values` are JSON."""
        write_json(
            {"type": "StageSummary", "version": 1, **values},
            self.stage_folder(stage) / "summary.json",
        )

    def _made(self, name: str, stage: str) -> Path:
        path = self.folder / name
        if not path.exists():
            raise PipelineError(
                f"{self.folder} has no {name}: run stage {stage!r} first, with the notebook {self.stage_name(stage)}.ipynb or with "
                f"interplm-nb run PROFILE --out {self.folder}"
            )
        return path
