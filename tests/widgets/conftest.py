"""A run made by hand from embedded proteins: activations that follow annotations, so that the views have something true to show."""

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp

from interplm_nb.activations import FeatureActivations
from interplm_nb.activations_writer import ActivationsWriter
from interplm_nb.concepts.count import count
from interplm_nb.pipeline.run import Run
from interplm_nb.saving import write_json, write_parquet
from interplm_nb.sources import demo
from interplm_nb.sources.uniprot_tsv import read_uniprot_tsv

N_FEATURES = 12
HELIX, DEAD = 3, 7
"""A feature that fires on helices alone, and one that never fires."""


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = Run.create(tmp_path_factory.mktemp("run") / "small", "test")
    read = read_uniprot_tsv(demo.table_path())
    wanted = [*demo.structures()[:10], *read.proteins.accessions[:50]]
    proteins = read.proteins.select(dict.fromkeys(wanted))
    annotations = read.annotations.of(proteins)
    proteins.save(run.folder / "proteins.parquet")
    annotations.save(run.folder / "annotations.parquet")
    split = np.resize(["train", "validation", "test"], len(proteins))
    splits = pl.DataFrame({"accession": proteins.accessions, "cluster": range(len(proteins)), "split": split, "split_published": split})
    write_parquet(splits, run.folder / "splits.parquet", {"type": "Splits", "version": 1})

    random = np.random.default_rng(0)
    values = random.random((proteins.n_residues, N_FEATURES)).astype(np.float32)
    values[values < 0.9] = 0
    values[:, HELIX] = annotations.mask("Helix") * random.uniform(0.5, 1, proteins.n_residues)
    values[:, DEAD] = 0
    folder = run.folder / "sources" / "sae"
    with ActivationsWriter(folder / "activations", proteins, N_FEATURES, {"plm": "esm2-mini", "layer": 2, "sae": "sha256:0"}) as writer:
        writer.write(0, sp.csr_array(values))
        writer.finish()
    activations = FeatureActivations.open(folder / "activations", proteins)
    maxima = activations.largest(run.accessions("train"))
    table = pl.DataFrame({"feature": np.arange(N_FEATURES, dtype=np.uint32), "maximum_train": maxima, "maximum_all": activations.largest()})
    write_parquet(table, folder / "maxima.parquet", {"type": "Maxima", "version": 1})
    write_json({"type": "Source", "version": 1, "plm": "esm2-mini", "layer": 2}, folder / "about.json")
    for part in ("validation", "test"):
        count(activations.relative_to(maxima), annotations, run.accessions(part)).save(folder, part, "strict")
    return run
