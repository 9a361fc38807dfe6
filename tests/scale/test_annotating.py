"""New sequences are annotated alike whoever reads them."""

from pathlib import Path

import numpy as np
import pytest

from interplm_nb.pipeline import sequence_shards
from interplm_nb.pipeline.encoder import SHARDS, Encoder
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.sequence_shards import SequenceShards
from interplm_nb.proteins import Proteins
from interplm_nb.questions.annotate import AnnotatedSequences, Annotator
from interplm_nb.scale.shard_task import Workers
from tests.pipeline.asked import with_links


@pytest.fixture(scope="module")
def run(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return with_links(tiny_run, tmp_path_factory.mktemp("asked") / "run")


@pytest.fixture(scope="module")
def annotator(run: Run) -> Annotator:
    return Annotator(run, device="cpu")


@pytest.fixture
def proteins(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Proteins:
    """Twenty, in shards of a batch of the model, with an empty working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sequence_shards, "RESIDUES", 0)
    return Proteins(run.proteins().table[:20])


def same(a: AnnotatedSequences, b: AnnotatedSequences) -> None:
    for name in ("concepts", "hidden", "features"):
        assert getattr(a, name).equals(getattr(b, name)), name
    pairs = zip(a.activations.blocks(), b.activations.blocks(), strict=True)
    for mine, other in pairs:
        for array in ("indptr", "indices", "data"):
            np.testing.assert_array_equal(getattr(mine.values, array), getattr(other.values, array))


def test_a_cluster_finds_the_same(
    workers: Workers, annotator: Annotator, proteins: Proteins, tmp_path: Path
) -> None:
    task = SequenceShards(annotator, proteins, tmp_path / "shards")
    assert len(task.missing()) > 2
    there = annotator(proteins, 0.0, scale=workers)
    assert not list(tmp_path.iterdir())
    same(there, annotator(proteins, 0.0))


def test_shards_of_a_killed_call_are_taken(
    annotator: Annotator, proteins: Proteins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = annotator(proteins, 0.0)
    task = SequenceShards(annotator, proteins, SHARDS)
    task.compute(1, lambda _: None)
    assert 1 not in task.missing() and list(tmp_path.iterdir())
    asked: list[int] = []
    own = SequenceShards._encoded
    monkeypatch.setattr(
        SequenceShards,
        "_encoded",
        lambda self, shard, update: (asked.append(shard), own(self, shard, update))[1],
    )
    same(annotator(proteins, 0.0), whole)
    assert asked == [shard for shard in range(task.n_shards) if shard != 1]
    assert not list(tmp_path.iterdir())


def test_few_sequences_are_one_call(annotator: Annotator, run: Run) -> None:
    """As many as most questions have go to the PLM in one call, as they always did."""
    task = SequenceShards(annotator, Proteins(run.proteins().table[:10]), Path("shards"))
    assert task.n_shards == 1


def test_a_worker_opens_the_run_by_its_path(run: Run, proteins: Proteins, tmp_path: Path) -> None:
    task = SequenceShards(Encoder(run, device="cpu"), proteins, tmp_path / "shards")
    made, (folder, source, device, inputs) = task.__reduce__()
    assert (folder, source, device) == (str(run.folder.resolve()), "sae", "cpu")
    again = made(folder, source, device, inputs)
    assert again.missing() == task.missing() and again.accessions(1) == task.accessions(1)
