"""Make the run that ships with the package from a finished demo run: all scores, activations of the proteins that 00_explore shows.

    python scripts/build_demo_run.py runs/demo

Scores, statistics and weights are those of the whole run. Proteins, annotations and activations are cut down to those with a structure and
others drawn at random, about 100 in all, so that it fits into the package.
"""

import argparse
import shutil
from pathlib import Path

import numpy as np
import polars as pl

from interplm_nb.activations_writer import ActivationsWriter
from interplm_nb.features.atlas import ATLAS
from interplm_nb.features.statistics import feature_statistics
from interplm_nb.pipeline.layout import PROBE, SOURCES
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.stage_activations import write_atlas
from interplm_nb.proteins import Proteins
from interplm_nb.saving import remove, write_parquet
from interplm_nb.sources import demo

N_PROTEINS = 100
SHIPPED = Path(__file__).resolve().parents[1] / "interplm_nb" / "data" / "demo_run"
README = """# The demo run

Made by `make demo-run` from the run of `make demo`. Scores, tables, maxima, weights and the map of features are those of the whole run on the 1,200
embedded proteins (`../demo`). `proteins.parquet`, annotations, `sources/sae/activations` and the statistics beside the map are of {n} of
them: all that have a structure, the rest at random.
It rests on the embedded model `esm2-mini` (`../esm2_mini`), which is not ESM-2. UniProt data: CC BY 4.0, The UniProt Consortium.
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Make the run that ships with the package from a finished demo run."
    )
    parser.add_argument("run", type=Path, help="folder of a finished demo run")
    parser.add_argument("--out", type=Path, default=SHIPPED)
    arguments = parser.parse_args()
    whole = Run.open(arguments.run)
    remove(arguments.out)
    small = Run.create(arguments.out, whole.profile)
    proteins = shown(whole.proteins())
    write_axis(whole, small, proteins)
    for source in (*SOURCES, PROBE):
        copy_source(whole, small, source)
    write_activations(whole, small, proteins)
    write_map(whole, small, proteins)
    for stage in ("train", "activations", "concepts"):
        copy_tables(whole.stage_folder(stage), small.stage_folder(stage))
    (small.folder / "README.md").write_text(README.format(n=len(proteins)), encoding="utf-8")
    size = sum(f.stat().st_size for f in small.folder.rglob("*") if f.is_file())
    print(f"{small.folder}: {proteins}, {size / 2**20:.1f} MiB")


def shown(proteins: Proteins) -> Proteins:
    """Those with a structure, and others at random."""
    with_structure = [a for a in demo.structures() if a in proteins]
    others = sorted(set(proteins.accessions) - set(with_structure))
    drawn = np.random.default_rng(0).choice(others, N_PROTEINS - len(with_structure), replace=False)
    return proteins.select([*with_structure, *drawn.tolist()])


def write_axis(whole: Run, small: Run, proteins: Proteins) -> None:
    proteins.save(small.folder / "proteins.parquet")
    whole.annotations("strict").of(proteins).save(small.folder / "annotations.parquet")
    splits = whole.splits().filter(pl.col("accession").is_in(proteins.accessions))
    write_parquet(splits, small.folder / "splits.parquet", {"type": "Splits", "version": 1})


def copy_source(whole: Run, small: Run, source: str) -> None:
    target = small.folder / "sources" / source
    target.mkdir(parents=True)
    for file in sorted(whole.source(source).glob("*")):
        wanted = file.suffix in (".json", ".parquet") or (
            source == "sae" and file.name == "sae.safetensors"
        )
        if file.is_file() and wanted and file.name != "projection.json":
            shutil.copyfile(file, target / file.name)


def write_activations(whole: Run, small: Run, proteins: Proteins) -> None:
    activations = whole.activations("sae")
    about = {
        name: activations.about[name]
        for name in ("plm", "plm_revision", "layer", "sae")
        if name in activations.about
    }
    with ActivationsWriter(
        small.source("sae") / "activations", proteins, activations.n_features, about
    ) as writer:
        for accession in proteins.accessions:
            writer.write(proteins.rows(accession).start, activations.of(accession))
        writer.finish()


def write_map(whole: Run, small: Run, proteins: Proteins) -> None:
    """Places of the whole run; how often a feature fires, of the residues here, so that table, map and histogram agree."""
    places = whole.atlas().select(*ATLAS)
    about = {
        "source": "sae",
        "sae": whole.about("sae")["weights"],
        "sequences": proteins.sequence_hash,
    }
    write_atlas(small, places, feature_statistics(small.activations("sae", proteins)), about)


def copy_tables(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for file in sorted(source.glob("*.*")):
        if file.suffix in (".parquet", ".json") and file.name != "manifest.json":
            shutil.copyfile(file, target / file.name)


if __name__ == "__main__":
    main()
