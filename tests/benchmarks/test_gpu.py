"""The GPU benchmark at its tiny size on a CPU: every row is there; no time is judged."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import gpu, gpu_embedding, gpu_notebooks, gpu_parity, gpu_sae
from benchmarks.__main__ import names
from benchmarks.gpu_dense_loop import DenseLoop
from benchmarks.gpu_models import SMALLEST, esm2_flop, random_esm2, sampled
from benchmarks.gpu_parity import difference, drift_of
from benchmarks.gpu_rows import Clock, Measurement, Row, Setting
from benchmarks.gpu_unirep import random_unirep, unirep_flop
from interplm_nb.pipeline.stage_table import REQUIRED
from interplm_nb.plm import esm2
from interplm_nb.plm.tokens import PAD
from interplm_nb.proteins import Proteins

TINY = Setting(torch.device("cpu"), tiny=True)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def peers(module: str, _arguments: list[str], _clock: Clock) -> list[dict[str, Any]]:
    """sae-lens measured at one width and architecture; sparsify is not installed."""
    if module == "sparsify":
        raise ImportError("No module named 'sparsify'")
    given = {"d_in": 32, "architecture": "topk", "tokens_per_second": 5.0, "peak_gib": None}
    return [{**given, "version": "6", "how": "its own loop"}]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], list[Row]]:
    """The JSON of one run of all parts, and its rows."""
    path = tmp_path_factory.mktemp("gpu") / "gpu.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gpu_sae, "peer_results", peers)
        words = ["--size", "tiny", "--device", "cpu", "--seconds", "300", "--json", str(path)]
        assert gpu.main(words) == 0
    record = json.loads(path.read_text())
    kept = Row.__dataclass_fields__
    return record, [Row(**{k: v for k, v in r.items() if k in kept}) for r in record["rows"]]


def test_every_measurement_has_a_row(whole: tuple[dict[str, Any], list[Row]]) -> None:
    _, rows = whole
    for part, (_, measurements) in gpu.PARTS.items():
        waiting = [m.what for m in measurements(TINY, gpu.Options())]
        found = [r.what for r in rows if r.part == part]
        assert len(found) == len(set(found))
        for what in waiting:
            beside_peer = what == "against sae-lens"
            assert any(f.startswith(what) or (beside_peer and "sae-lens" in f) for f in found)


def test_rows_without_a_figure_say_why(whole: tuple[dict[str, Any], list[Row]]) -> None:
    _, rows = whole
    without = {r.what: r.note for r in rows if r.ours is None and not r.what.endswith("memory")}
    assert without == {
        "against sparsify": "ImportError: No module named 'sparsify'",
        "stages of the demo": "left out at the tiny size",
        "pretraining, 8M shape": "left out: no --pretrain-fasta was given",
    }
    memory = [r for r in rows if r.what.endswith("memory")]
    assert len(memory) == 8
    assert all(r.ours is None and "measured on a GPU only" in r.note for r in memory)


def test_parity_holds_on_the_cpu(whole: tuple[dict[str, Any], list[Row]]) -> None:
    rows = [r for r in whole[1] if r.part == "parity"]
    held = [r for r in rows if r.sense]
    assert len(held) == 3 + 3 + 1 + 1 + 1
    assert all(r.ratio is not None and r.ratio <= 1 for r in held)
    rounded = [r.ours for r in rows if "bfloat16" in r.what]
    assert len(rounded) == 3
    assert all(x is not None and 1e-4 < x < 0.05 for x in rounded)


def test_throughput_has_its_peers_and_its_ceiling(
    whole: tuple[dict[str, Any], list[Row]],
) -> None:
    rows = {r.what: r for r in whole[1]}
    for name in ("8M", "35M", "150M", "650M", "3B"):
        alone, share = rows[f"ESM-2 {name}"], rows[f"ESM-2 {name}, share of the ceiling"]
        assert alone.ours and share.ratio and 0 < share.ratio < 1
        for peer in ("fair-esm", "transformers"):
            beside = rows[f"ESM-2 {name}, {peer}"]
            assert beside.ours == alone.ours and beside.other
    assert rows["unirep-1900"].ours and rows["one pass, 8M shape"].ratio
    assert rows["topk, 32 to 128, sae-lens"].other == 5.0
    for kind in ("relu", "topk", "batchtopk", "matryoshka"):
        assert rows[f"{kind}, 48 to 128"].ratio


def test_the_json_says_what_it_ran_on(whole: tuple[dict[str, Any], list[Row]]) -> None:
    record, rows = whole
    wanted = {"gpu", "driver", "cuda", "torch", "machine", "date", "device", "size", "versions"}
    assert wanted <= record.keys()
    assert (record["torch"], record["size"]) == (torch.__version__, "tiny")
    assert [r["ratio"] for r in record["rows"]] == [r.ratio for r in rows]


def test_the_table_has_a_line_per_row(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [Row("sae", "this", "tokens/s", 4, 2, "a note"), Row("sae", "that", note="no time")]
    gpu._print_table(rows)
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split() == ["part", "what", "ours", "other", "ratio", "unit;", "note"]
    assert first.split() == ["sae", "this", "4", "2", "2", "tokens/s;", "a", "note"]
    assert second.split() == ["sae", "that", "-", "-", "-", "no", "time"]


def test_a_part_without_time_says_so() -> None:
    rows = list(gpu.measured(["embedding", "parity"], TINY, Clock(0)))
    parity, embedding = gpu_parity.measurements(TINY), gpu_embedding.measurements(TINY)
    waiting = [m.what for m in [*parity, *embedding]]
    assert [r.what for r in rows] == waiting
    assert all(r.note == "no time left of 0 s" and r.ours is None for r in rows)


@pytest.mark.parametrize(
    ("error", "note", "failed"),
    [
        (torch.OutOfMemoryError("tried\nto allocate 9 GiB"), "to allocate 9 GiB", True),
        (ImportError("No module named 'esm'"), "ImportError: No module named 'esm'", False),
        (RuntimeError("CUDA error: unspecified launch failure"), "RuntimeError: CUDA", True),
        (subprocess.TimeoutExpired("peer", 3), "timed out after 3 seconds", True),
    ],
)
def test_an_error_is_a_row_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, error: Exception, note: str, failed: bool
) -> None:
    def fails(_: Clock) -> list[Row]:
        raise error

    def part(name: str) -> list[Measurement]:
        good = Measurement("good", lambda _: [Row(name, "good", "s", 1.0)])
        return [Measurement("bad", fails), good]

    stood = {name: (1.0, lambda s, o, name=name: part(name)) for name in ("parity", "sae")}
    monkeypatch.setattr(gpu, "PARTS", stood)
    rows = list(gpu.measured(["parity", "sae"], TINY, Clock(60)))
    assert [(r.part, r.what) for r in rows] == [
        (part, what) for part in ("parity", "sae") for what in ("bad", "good")
    ]
    assert [r.failed for r in rows] == [failed, False] * 2
    assert note in rows[0].note
    assert gpu.main(["--device", "cpu", "--parts", "parity,sae"]) == int(failed)


def test_a_mistake_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: Clock) -> list[Row]:
        raise KeyError("typo")

    bad = [Measurement("bad", fails)]
    monkeypatch.setattr(gpu, "PARTS", {"parity": (1.0, lambda s, o: bad)})
    with pytest.raises(KeyError, match="typo"):
        list(gpu.measured(["parity"], TINY, Clock(60)))


def test_parts_share_the_time_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []

    def take(clock: Clock) -> list[Row]:
        given.append(clock.seconds)
        return []

    one = [Measurement("x", take)]
    shares = {name: (w, lambda s, o: one) for name, (w, _) in gpu.PARTS.items()}
    monkeypatch.setattr(gpu, "PARTS", shares)
    fasta = gpu.Options((Path("x.fasta"),))
    list(gpu.measured(["notebooks", "pretrain"], TINY, Clock(100), fasta))
    list(gpu.measured(["notebooks", "pretrain"], TINY, Clock(100)))
    # Nothing takes time here, so a later part is given what an earlier one left over; without
    # sequences to pretrain on, nothing is kept back for that.
    assert given == pytest.approx([50, 100, 100, 100], abs=2)


def test_without_a_gpu_make_bench_leaves_it_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.run() == []
    assert "gpu: left out; torch sees no CUDA GPU here" in capsys.readouterr().out
    assert [n for n in names() if n.startswith("gpu")] == ["gpu"]


def test_a_row_with_a_goal_becomes_a_figure() -> None:
    figure = gpu._figure(Row("sae", "topk", "tokens/s", 4, 2, "a note", "at least"))
    assert (figure.name, figure.ratio, figure.met) == ("gpu: sae, topk", 2, True)
    assert not gpu._figure(Row("parity", "x", "", 3e-5, 1e-5, "", "at most")).met


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--parts", "sea"], "no part 'sea'; there are parity, embedding, sae"),
        (["--pretrain-fasta", "absent.fasta"], "absent.fasta is not a file of sequences"),
    ],
)
def test_bad_arguments_are_refused(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        gpu.main(words)
    assert message in capsys.readouterr().err


def test_differences_are_relative_and_finite() -> None:
    wanted = torch.tensor([4.0, -8.0])
    assert difference(torch.tensor([4.0, -7.0]), wanted) == 0.125
    assert drift_of(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 1.0]), torch.zeros(2)) == (
        pytest.approx(2**-0.5)
    )
    assert drift_of(torch.zeros(2), torch.zeros(2), torch.zeros(2)) == 0
    with pytest.raises(RuntimeError, match="not finite"):
        difference(torch.tensor([float("nan"), 0.0]), wanted)


def test_operations_are_those_that_torch_counts() -> None:
    proteins = Proteins.from_sequences({"A": "MKTAYIAKQRQISFVK"})
    ours = random_esm2(SMALLEST, TINY.device, torch.float32)
    # Only the plain products of attention are counted on a CPU, not its fused kernel.
    plain = sdpa_kernel(SDPBackend.MATH)
    with FlopCounterMode(display=False) as counter, torch.no_grad(), plain:
        ours.forward(ours.tokens(proteins.sequences), [ours.n_layers])
    assert counter.get_total_flops() == esm2_flop(SMALLEST, proteins)
    unirep = random_unirep(TINY, TINY.device, torch.float32)
    tokens = unirep.tokens(proteins.sequences)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        unirep.forward(tokens, [1])
    assert counter.get_total_flops() == tokens.shape[1] * unirep_flop(TINY)


def test_random_models_are_the_same_everywhere_and_take_the_sample() -> None:
    proteins = sampled(5, 60)
    assert len(proteins) == 5 and max(proteins.lengths) <= 60
    first, second = (random_esm2(SMALLEST, TINY.device, torch.bfloat16) for _ in range(2))
    tokens = first.tokens(proteins.sequences)
    found, again = (m.forward(tokens, [2]).representations[2] for m in (first, second))
    assert torch.equal(found, again)
    assert found[tokens != PAD].float().std() > 0.1


@pytest.mark.parametrize("kind", ["relu", "topk", "batchtopk", "matryoshka"])
def test_the_dense_loop_has_the_loss_of_its_definition(kind: str) -> None:
    n, d_in, d_sae, k = 6, 5, 32, 3
    loop = DenseLoop(kind, d_in, d_sae, k, torch.device("cpu"), autocast=False)
    x = torch.randn(n, d_in, generator=torch.Generator().manual_seed(1))
    W_enc, b_enc, W_dec, b_dec = (p.detach().double().numpy() for p in loop.parameters)
    f = np.maximum((x.double().numpy() - b_dec) @ W_enc + b_enc, 0)
    kept = np.zeros_like(f)
    if kind == "topk":
        for i, row in enumerate(f):
            for j in sorted(range(d_sae), key=lambda j: -row[j])[:k]:
                kept[i, j] = row[j]
    elif kind == "relu":
        kept = f
    else:
        cells = sorted(((i, j) for i in range(n) for j in range(d_sae)), key=lambda c: -f[c])
        for cell in cells[: k * n]:
            kept[cell] = f[cell]
    prefixes = [2, 4, 8, 16, 32] if kind == "matryoshka" else [d_sae]
    losses = []
    for p in prefixes:
        squared = ((x.numpy() - kept[:, :p] @ W_dec[:p] - b_dec) ** 2).sum(axis=1)
        plain = np.sqrt(squared).mean() + 0.1 * kept.sum(axis=1).mean()
        losses.append(plain if kind == "relu" else squared.mean())
    before = float(loop.loss(x).detach())
    assert before == pytest.approx(np.mean(losses), rel=1e-5)
    for _ in range(50):
        loop.step(x)
    assert float(loop.loss(x).detach()) < before
    assert torch.allclose(loop.W_dec.norm(dim=1), torch.ones(d_sae), atol=1e-5)


def test_a_peer_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_sae, "PEERS_PYTHON", Path("absent"))
    monkeypatch.setenv("PYTHONPATH", "")
    training = gpu_sae._Training(TINY)
    with pytest.raises(
        ImportError, match=r"No module named 'sparsify'; install sparsify \(make peers\)"
    ):
        gpu_sae.peer_results("sparsify", training._peer_arguments(Clock(60)), Clock(60))


def test_the_stages_of_both_devices_stand_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_notebooks, "staged", _staged)
    rows = gpu_notebooks._stages(Setting(torch.device("cuda")), Clock(100))
    found = {r.what: r for r in rows}
    assert len(found) == len(REQUIRED)
    train = found["demo on esm2-mini, stage train"]
    assert (train.ours, train.other, train.ratio) == (10.0, 40.0, 0.25)
    embed = found["demo on esm2-mini, stage embed"]
    assert embed.other is None and embed.note.endswith("did not end: stopped after 90 s")
    assert "did not end: stopped" in found["demo on esm2-mini, stage concepts"].note


def _staged(out: Path, device: str, _seconds: float) -> tuple[dict[str, tuple[float, str]], str]:
    if device == "cpu":
        return {"train": (40.0, "cpu")}, "stopped after 90 s"
    return {"train": (10.0, "cuda:0"), "embed": (2.0, "cuda:0")}, "stopped after 90 s"


def test_a_run_of_the_notebooks_ends_with_its_time(tmp_path: Path) -> None:
    found, said = gpu_notebooks.staged(tmp_path / "run", "cpu", 0.2)
    assert (found, said) == ({}, "stopped after 0 s")


def test_what_pretraining_leaves_is_a_model(tmp_path: Path) -> None:
    fasta, out = tmp_path / "some.fasta", tmp_path / "model"
    proteins = sampled(30, 200)
    records = zip(proteins.accessions, proteins.sequences, strict=True)
    fasta.write_text("".join(f">{a}\n{s}\n" for a, s in records))
    words = ["--parts", "pretrain", "--size", "tiny", "--device", "cpu", "--seconds", "4"]
    words += ["--pretrain-fasta", str(fasta), "--out", str(out), "--json", str(tmp_path / "x")]
    assert gpu.main(words) == 0
    rate, perplexity = json.loads((tmp_path / "x").read_text())["rows"]
    assert rate["ours"] > 0 and perplexity["ours"] > 1 and perplexity["other"] > 1
    plm = esm2.load(out, "cpu")
    assert plm.n_layers == 1 and next(plm.embed(proteins, [1], progress=False)).rows.size
    with pytest.raises(SystemExit):
        gpu.main(words)
