"""Embeddings on disk against embeddings in memory; a run that is killed against one that is not."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from interplm_nb.plm import checkpoints
from interplm_nb.plm.store import embed_to
from interplm_nb.proteins import LETTERS, Proteins
from tests.plm.toy_esm2 import random_weights, toy


def proteins_of(n: int, longest: int = 40) -> Proteins:
    random = np.random.default_rng(0)
    return Proteins.from_sequences(
        {
            f"P{i}": "".join(random.choice(list(LETTERS), random.integers(1, longest)))
            for i in range(n)
        }
    )


def bytes_of(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def test_every_layer_is_what_the_model_gives(tmp_path):
    plm, proteins = toy(), proteins_of(30)
    found = embed_to(
        plm,
        proteins,
        [1, 3],
        lambda k: tmp_path / f"layer_{k:02d}",
        shard_rows=100,
        tokens_per_batch=90,
        progress=False,
    )
    assert list(found) == [1, 3] and sorted(p.name for p in tmp_path.iterdir()) == [
        "layer_01",
        "layer_03",
    ]
    for layer, embeddings in found.items():
        embeddings.check(proteins, plm, layer)
        for accession, sequence in zip(proteins.accessions, proteins.sequences, strict=True):
            alone = plm.forward(plm.tokens([sequence]), [layer]).representations[layer][0, 1:-1]
            torch.testing.assert_close(
                torch.from_numpy(embeddings.of(accession, proteins).copy()),
                alone,
                rtol=1e-4,
                atol=1e-4,
            )


@pytest.mark.usefixtures("progress_lines")
def test_what_is_there_is_kept_and_what_is_others_is_made_anew(tmp_path, capsys):
    proteins = proteins_of(10)
    folder = lambda k: tmp_path / f"layer_{k:02d}"  # noqa: E731
    first = embed_to(toy(), proteins, [1], folder)[1]
    assert "embedding with toy" in capsys.readouterr().err
    inode = (tmp_path / "layer_01" / "about.json").stat().st_ino
    embed_to(toy(), proteins, [1, 2], folder, progress=False)
    assert (tmp_path / "layer_01" / "about.json").stat().st_ino == inode
    other = embed_to(toy(seed=1), proteins, [1], folder, progress=False)[1]
    assert other.plm_revision != first.plm_revision
    assert (
        embed_to(toy(seed=1, dtype="bfloat16"), proteins, [1], folder, progress=False)[1].about[
            "computed_in"
        ]
        == "torch.bfloat16"
    )


def test_bfloat16_on_disk_is_what_the_model_gives_rounded(tmp_path):
    proteins = proteins_of(20)
    give = lambda stored: embed_to(  # noqa: E731
        toy(), proteins, [1, 3], lambda k: tmp_path / str(k), stored=stored, progress=False
    )
    exact = {k: e[:].copy() for k, e in give("float32").items()}
    half = give("bfloat16")
    for layer, values in exact.items():
        assert half[layer].stored == "bfloat16"
        assert half[layer].about["computed_in"] == "torch.float32"
        rounded = torch.from_numpy(values).bfloat16().float()
        torch.testing.assert_close(torch.from_numpy(half[layer][:]), rounded, rtol=0, atol=0)
    inode = (tmp_path / "1" / "about.json").stat().st_ino
    give("bfloat16")
    assert (tmp_path / "1" / "about.json").stat().st_ino == inode
    again = give("float32")
    np.testing.assert_array_equal(again[1][:], exact[1])


ROOM = 128 * 24 * 4
"""128 rows of the toy's layers in float32."""


@pytest.mark.parametrize(
    ("room", "stored", "tokens", "rows"),
    [
        (ROOM, "float32", None, 4096),
        (ROOM, "float32", 50, 128),
        (ROOM, "bfloat16", 50, 256),
        (ROOM, "float32", 200, 200),
    ],
)
def test_a_shard_has_its_size_and_room_for_a_batch(
    tmp_path, monkeypatch, room, stored, tokens, rows
):
    monkeypatch.setattr("interplm_nb.plm.store.SHARD_BYTES", room)
    monkeypatch.setattr(type(toy()), "tokens_per_batch", 4096)
    proteins = Proteins.from_sequences({f"P{i}": "MKTA" for i in range(1500)})
    found = embed_to(
        toy(),
        proteins,
        [1],
        lambda _: tmp_path / "e",
        tokens_per_batch=tokens,
        stored=stored,
        progress=False,
    )
    assert found[1].d_in == 24
    assert found[1].about["bounds"][1] == rows


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("stored", ["float32", "bfloat16"])
@pytest.mark.parametrize("after", [0, 1, 7])
def test_an_interrupted_run_goes_on_with_the_next_shard(tmp_path, after, stored):
    plm, proteins = toy(), proteins_of(40)

    def give(where, model):
        return embed_to(
            model,
            proteins,
            [1, 2],
            lambda k: where / str(k),
            shard_rows=150,
            tokens_per_batch=80,
            stored=stored,
            progress=False,
        )

    class Fragile:
        name, revision, n_layers, widths, device, dtype = (
            plm.name,
            plm.revision,
            plm.n_layers,
            plm.widths,
            plm.device,
            plm.dtype,
        )

        def embed(self, *arguments, **options):
            for i, batch in enumerate(plm.embed(*arguments, **options)):
                if len(list(tmp_path.rglob("shard_*"))) >= after and i == 1:
                    raise StoppedError
                yield batch

    give(tmp_path / "whole", plm)
    whole = bytes_of(tmp_path / "whole")
    subprocess.run(["rm", "-r", str(tmp_path / "whole")], check=True)
    with pytest.raises(StoppedError):
        give(tmp_path / "broken", Fragile())
    give(tmp_path / "broken", plm)
    assert bytes_of(tmp_path / "broken") == whole


KILLED = """
import sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
from interplm_nb.plm import esm2
from interplm_nb.plm.store import embed_to
from interplm_nb.proteins import Proteins
folder = Path(sys.argv[1])
plm = esm2.load(folder / "model", "cpu")
if sys.argv[3] == "slow":
    plain = plm.forward
    plm.forward = lambda *a: (time.sleep(0.05), plain(*a))[1]
proteins = Proteins.load(folder / "proteins.parquet")
place = lambda k: folder / sys.argv[2] / str(k)
embed_to(plm, proteins, [1, 3], place, shard_rows=200, tokens_per_batch=100, progress=False)
"""


def test_a_run_killed_by_sigkill_ends_with_the_same_bytes(tmp_path):
    plm = toy()
    checkpoints.write_safetensors(
        random_weights(), plm.architecture, "toy", tmp_path / "model", torch.float32
    )
    proteins_of(60).save(tmp_path / "proteins.parquet")

    def start(out, pace):
        return subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path), out, pace])

    assert start("whole", "fast").wait() == 0
    killed = start("killed", "slow")
    deadline = time.monotonic() + 60
    while len(list((tmp_path / "killed").rglob("shard_*"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(killed.pid, signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert not list((tmp_path / "killed").glob("[0-9]"))
    assert start("killed", "fast").wait() == 0
    assert bytes_of(tmp_path / "killed") == bytes_of(tmp_path / "whole")
    assert not list((tmp_path / "killed").rglob(".*"))


def test_memory_stays_with_the_batch(tmp_path):
    """Anonymous memory does not grow with what is written: 96 MiB of embeddings."""
    if not Path("/proc/self/status").exists():
        pytest.skip("RssAnon is read from /proc, which is not here")
    code = """
import sys
from pathlib import Path
import numpy as np
from interplm_nb.embeddings import Embeddings, EmbeddingsWriter
from interplm_nb.proteins import Proteins
anon = lambda: int(next(l for l in open("/proc/self/status") if l.startswith("RssAnon")).split()[1])
proteins = Proteins.from_sequences({f"P{i}": "A" * 1000 for i in range(96)})
values = np.ones((1000, 256), np.float32)
before, most = anon(), 0
about = {"plm": "x", "plm_revision": "y", "layer": 1, "d_in": 256}
with EmbeddingsWriter(Path(sys.argv[1]), proteins, about) as writer:
    for i in np.random.default_rng(0).permutation(96):
        writer.write(np.arange(i * 1000, i * 1000 + 1000), values)
        most = max(most, anon())
embeddings = Embeddings.open(Path(sys.argv[1]))
for _, block in embeddings.blocks(4096):
    assert (block == 1).all()
    most = max(most, anon())
sys.exit(0 if most - before < 24 * 1024 else f"{most - before} KiB")
"""
    found = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "e")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr


def test_a_misspelt_setting_is_refused(tmp_path: Path) -> None:
    proteins = Proteins.from_sequences({"P1": "MKT"})
    with pytest.raises(TypeError, match="unexpected keyword argument 'shards'; the settings are"):
        embed_to(toy(), proteins, [1], lambda _: tmp_path / "e", shards=3)
    assert not list(tmp_path.iterdir())
