import numpy as np
import pytest

from interplm_nb.pipeline.run import Run
from interplm_nb.readers import demo
from interplm_nb.readers.uniprot_tsv import read_uniprot_tsv
from tests.widgets.small_run import make_run

N_FEATURES = 12
HELIX, SILENT = 3, 7
"""A feature that fires on helices alone, and one that never fires."""


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    read = read_uniprot_tsv(demo.table_path())
    wanted = [*demo.structures()[:10], *read.proteins.accessions[:50]]
    proteins = read.proteins.select(dict.fromkeys(wanted))
    annotations = read.annotations.of(proteins)
    random = np.random.default_rng(0)
    values = random.random((proteins.n_residues, N_FEATURES)).astype(np.float32)
    values[values < 0.9] = 0
    values[:, HELIX] = annotations.mask("Helix") * random.uniform(0.5, 1, proteins.n_residues)
    values[:, SILENT] = 0
    return make_run(tmp_path_factory.mktemp("run") / "small", proteins, annotations, values)
