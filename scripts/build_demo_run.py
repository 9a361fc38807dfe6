"""Make the run that ships with the package from a finished demo run.

    python scripts/build_demo_run.py runs/demo

Tables, maxima and the map of features are those of the whole run. Proteins, annotations and
activations are cut down to those with a structure and others drawn at random, so that it fits into
the package; the SAE's weights are rounded to float16, and a random SAE is kept by its seed.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

from interplm_nb.embeddings import Embeddings
from interplm_nb.features.atlas import ATLAS
from interplm_nb.features.statistics import feature_statistics
from interplm_nb.figures.sae_card import sae_card
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.run_files import INTERPRETED
from interplm_nb.pipeline.scored_sources import SOURCES
from interplm_nb.proteins import Proteins
from interplm_nb.questions.discover import refound, store_refound, stored_refound
from interplm_nb.readers import demo
from interplm_nb.sae import checkpoint
from interplm_nb.sae.encode import encode_to
from interplm_nb.saving import read_json, remove, write_json

N_PROTEINS = 120
HELD = ("sae", "random_sae")
"""Sources whose weights, scores and activations ship: what views compare."""
SHIPPED = Path(__file__).resolve().parents[1] / "interplm_nb" / "data" / "demo_run"
CARD = "card.md"
"""The card of its SAE, beside README.md, which is on the folder."""
README = """# The demo run

Made by `make demo-run` from the run of `make demo`. Tables, maxima and the map of features are
those of the whole run on the 1,200 embedded proteins (`../demo`). `proteins.parquet`, annotations,
the activations of `sae` and `random_sae` and the statistics beside the map are of {n} of them: all
that have a structure, the rest at random. The SAE's weights are rounded to float16, and its
activations here are those of the rounded weights; the random SAE is kept by its seed and its mean.
Scores by feature are kept of these two sources alone. `card.md` is the SAE's card, as
`interplm-nb models push` would publish it.

It was computed with {plm}. UniRep (Alley et al. 2019, Nature Methods 16:1315) is by its authors;
its weights are CC BY-NC 4.0 and are not in this package. See LICENSE.md beside this file for what
that means for this folder. UniProt data: CC BY 4.0, The UniProt Consortium.
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Make the run that ships with the package from a finished demo run."
    )
    parser.add_argument("run", type=Path, help="folder of a finished demo run")
    parser.add_argument("--out", type=Path, default=SHIPPED)
    arguments = parser.parse_args()
    whole, licence = Run.open(arguments.run), SHIPPED / "LICENSE.md"
    text = licence.read_text(encoding="utf-8")
    remove(arguments.out)
    small, model = Run.create(arguments.out, whole.profile), whole.model()
    assert model is not None  # a finished run has one
    small.note_model(model)
    proteins = shown(whole.proteins())
    write_axis(whole, small, proteins)
    for source in SOURCES:
        copy_source(whole, small, source)
    for source in HELD:
        write_sae(whole, small, source)
        write_activations(whole, small, source, proteins)
    write_map(whole, small, proteins)
    if stored_refound(whole) is None:
        store_refound(whole, refound(whole))
    for stage in ("train", "activations", "concepts", "features", "interpret", "steer"):
        copy_tables(whole.stage_folder(stage), small.stage_folder(stage))
    shutil.copytree(whole.folder / INTERPRETED, small.folder / INTERPRETED)
    readme = README.format(n=len(proteins), plm=model.name)
    (small.folder / "README.md").write_text(readme, encoding="utf-8")
    (small.folder / "LICENSE.md").write_text(text, encoding="utf-8")
    (small.folder / CARD).write_text(sae_card(small), encoding="utf-8")
    size = sum(f.stat().st_size for f in small.folder.rglob("*") if f.is_file())
    print(f"{small.folder}: {proteins}, {size / 1e6:.1f} MB")


def shown(proteins: Proteins) -> Proteins:
    """Proteins with a structure, and others at random."""
    with_structure = [a for a in demo.structures() if a in proteins]
    others = sorted(set(proteins.accessions) - set(with_structure))
    drawn = np.random.default_rng(0).choice(others, N_PROTEINS - len(with_structure), replace=False)
    return proteins.select([*with_structure, *drawn.tolist()])


def write_axis(whole: Run, small: Run, proteins: Proteins) -> None:
    splits = whole.splits().filter(pl.col("accession").is_in(proteins.accessions))
    small.write_axis(proteins, {"strict": whole.annotations().of(proteins)}, splits)


def copy_source(whole: Run, small: Run, source: str) -> None:
    """What views, tables and `annotate` read from a source, without its weights."""
    target = small.folder / "sources" / source
    target.mkdir(parents=True)
    counts = ("scores.parquet", "active.parquet", "concepts.parquet")
    for file in sorted(whole.source(source).glob("*")):
        left_out = file.name in ("projection.json", "config.json")
        left_out |= source not in HELD and file.name in counts
        if file.suffix in (".json", ".parquet") and not left_out:
            shutil.copyfile(file, target / file.name)


def write_sae(whole: Run, small: Run, source: str) -> None:
    """The weights, rounded or as a seed, and the `about.json` that names them."""
    sae, folder = whole.sae(source), small.source(source)
    assert sae.about is not None
    checkpoint.save(sae, folder, sae.about, "float16" if source == "sae" else "seed")
    about = read_json(folder / "about.json", "Source", 1)
    write_json(about | {"weights": small.sae(source).weight_hash}, folder / "about.json")


def write_activations(whole: Run, small: Run, source: str, proteins: Proteins) -> None:
    """Encode again, because the shipped weights are rounded."""
    every, embeddings = whole.proteins(), whole.embeddings()
    arrays = {a: embeddings[every.rows(a)] for a in proteins.accessions}
    with tempfile.TemporaryDirectory() as folder:
        part = Embeddings.from_arrays(
            Path(folder) / "embeddings",
            proteins,
            arrays,
            embeddings.plm,
            embeddings.layer,
            embeddings.plm_revision,
        )
        encode_to(small.sae(source), part, proteins, small.of_source(source, "activations"))


def write_map(whole: Run, small: Run, proteins: Proteins) -> None:
    """The whole run's map, with activity counted on the residues here, so that all views agree."""
    places = whole.atlas().select(*ATLAS)
    about = {
        "source": "sae",
        "sae": small.about("sae")["weights"],
        "sequences": proteins.sequence_hash,
    }
    statistics = feature_statistics(small.activations("sae"))
    small.write_atlas(places, statistics, whole.atlas_quality(), about)


def copy_tables(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for file in sorted(source.glob("*.*")):
        if file.suffix in (".parquet", ".json", ".toml") and file.name != "manifest.json":
            shutil.copyfile(file, target / file.name)


if __name__ == "__main__":
    main()
