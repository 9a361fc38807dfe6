"""A store of activations has the same bytes whoever encodes it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from interplm_nb.activations import MAX_L0
from interplm_nb.embeddings import Embeddings
from interplm_nb.proteins import Proteins
from interplm_nb.sae.about import SAEAbout
from interplm_nb.sae.encode import encode_to
from interplm_nb.sae.encode_shards import ROWS, EncodeShards
from interplm_nb.sae.encoded import cuts
from interplm_nb.sae.model import SAE
from interplm_nb.sae.random_sae import random_sae
from interplm_nb.scale.errors import ClusterError
from interplm_nb.scale.shard_task import Workers

N_PROTEINS, LENGTH, D_IN, D_SAE = 200, 700, 16, 1024


@pytest.fixture(scope="module")
def proteins() -> Proteins:
    return Proteins.from_sequences({f"P{i}": "A" * LENGTH for i in range(N_PROTEINS)})


@pytest.fixture(scope="module")
def embeddings(tmp_path_factory: pytest.TempPathFactory, proteins: Proteins) -> Embeddings:
    values = np.random.default_rng(0).normal(size=(N_PROTEINS, LENGTH, D_IN)).astype(np.float32)
    arrays = dict(zip(proteins.accessions, values, strict=True))
    folder = tmp_path_factory.mktemp("embeddings") / "layer_03"
    return Embeddings.from_arrays(folder, proteins, arrays, "esm2-mini", 3)


def sae_of(k: int, seed: int = 0) -> SAE:
    sae = random_sae(D_IN, D_SAE, k, torch.zeros(D_IN), seed)
    sae.about = SAEAbout("esm2-mini", "unknown", 3, "random")
    return sae


def files(folder: Path) -> dict[str, bytes]:
    return {f.name: f.read_bytes() for f in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def alone(
    tmp_path_factory: pytest.TempPathFactory, embeddings: Embeddings, proteins: Proteins
) -> dict[str, bytes]:
    """The files that one process makes, which writes nothing else."""
    store = tmp_path_factory.mktemp("alone") / "activations"
    encode_to(sae_of(4), embeddings, proteins, store, progress=False)
    assert [f.name for f in store.parent.iterdir()] == ["activations"]
    return files(store)


def test_shards_are_cut_into_several_products() -> None:
    assert N_PROTEINS * LENGTH > 2 * ROWS
    assert cuts(ROWS, sae_of(4)) == [(i * 16_384, (i + 1) * 16_384) for i in range(4)]
    assert cuts(16_386, sae_of(4)) == [(0, 8193), (8193, 16_386)]
    assert cuts(0, sae_of(4)) == []


def test_a_cluster_makes_the_same_bytes(
    workers: Workers, tmp_path: Path, embeddings: Embeddings, proteins: Proteins, alone: object
) -> None:
    store = tmp_path / "activations"
    encode_to(sae_of(4), embeddings, proteins, store, progress=False, scale=workers)
    assert files(store) == alone
    assert [f.name for f in tmp_path.iterdir()] == ["activations"]


@pytest.mark.parametrize("damaged", [False, True])
def test_shards_of_a_killed_run_are_taken_by_one_process(
    tmp_path: Path,
    embeddings: Embeddings,
    proteins: Proteins,
    alone: object,
    damaged: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, encoded = tmp_path / "activations", []
    task = EncodeShards(sae_of(4), embeddings, proteins, store, MAX_L0)
    task.compute(1, encoded.append)
    assert (task.missing(), encoded) == ([0, 2], [ROWS])
    if damaged:
        (file,) = tmp_path.rglob("00001.parquet")
        file.write_bytes(file.read_bytes()[:-100])
    asked: list[int] = []
    own = EncodeShards._encoded
    monkeypatch.setattr(
        EncodeShards, "_encoded", lambda self, shard: (asked.append(shard), own(self, shard))[1]
    )
    encode_to(sae_of(4), embeddings, proteins, store, progress=False)
    assert files(store) == alone
    assert asked == ([0, 1, 2] if damaged else [0, 2])
    assert [f.name for f in tmp_path.iterdir()] == ["activations"]


def test_shards_of_another_sae_are_not_taken(
    workers: Workers, tmp_path: Path, embeddings: Embeddings, proteins: Proteins, alone: object
) -> None:
    store = tmp_path / "activations"
    EncodeShards(sae_of(4, seed=1), embeddings, proteins, store, MAX_L0).compute(0, print)
    encode_to(sae_of(4), embeddings, proteins, store, progress=False, scale=workers)
    assert files(store) == alone
    assert [f.name for f in tmp_path.iterdir()] == ["activations"]


def test_a_dense_sae_is_refused_at_its_first_shard(
    workers: Workers, tmp_path: Path, embeddings: Embeddings, proteins: Proteins
) -> None:
    with pytest.raises(ClusterError) as error:
        encode_to(
            sae_of(9), embeddings, proteins, tmp_path / "activations", 8.0, False, scale=workers
        )
    assert str(error.value).startswith(
        "encoding: shard 0 (94 proteins, P0 to P93) failed: ValueError: on average 9 of 1024 "
        "features are active on a residue"
    )
