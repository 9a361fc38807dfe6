"""Embedding that another process opens from its draft: one layer, several, or joined ones."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from interplm_nb import plm
from interplm_nb.embeddings import TASK
from interplm_nb.plm.embed_shards import shared
from interplm_nb.plm.protocol import PLM
from interplm_nb.plm.store import embed_to, join_to, scales_of
from interplm_nb.proteins import Proteins
from interplm_nb.scale import claims
from interplm_nb.scale.address import Scale
from interplm_nb.scale.claims import ClaimWorkers, ForOthers, NotComputedError
from interplm_nb.scale.errors import ClusterError
from interplm_nb.scale.shard_task import Update

LETTERS = np.random.default_rng(0).choice(list("ACDEFGHIKLMNPQRSTVWY"), (12, 80))
PROTEINS = Proteins.from_sequences({f"P{i}": "".join(row) for i, row in enumerate(LETTERS)})


def several(model: PLM, folder: Path, workers: Scale) -> None:
    embed_to(
        model,
        PROTEINS,
        [1, 3],
        lambda layer: folder / f"layer_{layer}",
        scale=workers,
        shard_rows=200,
        tokens_per_batch=100,
        stored="bfloat16",
        progress=False,
    )


def joined(model: PLM, folder: Path, workers: Scale) -> None:
    scales = scales_of(model, PROTEINS, [1, 2, 3])
    join_to(
        model,
        PROTEINS,
        scales,
        folder / "joined",
        scale=workers,
        shard_rows=200,
        tokens_per_batch=100,
        progress=False,
    )


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("embed", [several, joined])
def test_a_shared_task_makes_the_same_files(
    embed: Callable[..., None], shuffled: bool, tmp_path: Path
) -> None:
    model = plm.load("esm2-mini", "cpu")
    model = model.shuffled(3) if shuffled else model
    with pytest.raises(NotComputedError):
        embed(model, tmp_path / "there", ForOthers())
    (task,) = (tmp_path / "there").rglob(TASK)
    finished: list[int] = []
    ClaimWorkers(task.parent).complete(shared(task.parent), finished.append)
    assert sum(finished) == PROTEINS.n_residues
    embed(model, tmp_path / "there", NoneLeft())
    embed(model, tmp_path / "here", "")
    here, there = (
        {str(f.relative_to(root)): f.read_bytes() for f in root.rglob("*") if f.is_file()}
        for root in (tmp_path / "here", tmp_path / "there")
    )
    assert len(here) > 6 and here == there


def test_a_shard_whose_second_layer_meets_a_full_disk_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the same process, which has written rows of the first layer already."""
    model = plm.load("esm2-mini", "cpu")
    several(model, tmp_path / "here", "")
    with pytest.raises(NotComputedError):
        several(model, tmp_path / "there", ForOthers())
    (task,) = (tmp_path / "there").rglob(TASK)
    fallocate, calls = os.posix_fallocate, []

    def full(*arguments: int) -> None:
        calls.append(arguments)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fallocate(*arguments)

    monkeypatch.setattr(os, "posix_fallocate", full)
    monkeypatch.setattr(claims, "PAUSE", 0.0)
    ClaimWorkers(task.parent).complete(shared(task.parent), lambda _: None)
    several(model, tmp_path / "there", NoneLeft())
    here, there = (
        {str(f.relative_to(root)): f.read_bytes() for f in root.rglob("*") if f.is_file()}
        for root in (tmp_path / "here", tmp_path / "there")
    )
    assert len(calls) > 2 and here == there


class NoneLeft:
    """Workers that expect nothing to do."""

    where = ""

    def complete(self, task: object, update: Update) -> None:
        assert task.missing() == []  # type: ignore[attr-defined]


def test_a_task_that_cannot_be_shared_is_refused() -> None:
    class Other:
        label = "other work"

    with pytest.raises(ClusterError, match="other work: other processes cannot take shards of"):
        ForOthers().complete(Other(), lambda _: None)  # type: ignore[arg-type]
