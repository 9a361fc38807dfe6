import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from interplm_nb.plm import esm2
from interplm_nb.plm.corpus import Corpus, corrupted, masked
from interplm_nb.plm.pretrain import PretrainConfig, pretrain
from interplm_nb.plm.tokens import ALPHABET, CLS, EOS, MASK, PAD
from interplm_nb.proteins import Proteins

TINY = PretrainConfig(
    n_layers=1,
    d_model=16,
    n_heads=2,
    steps=30,
    decay_steps=10,
    warmup_steps=3,
    crop=24,
    batch_tokens=512,
    held_out=10,
    evaluate_every=10,
    muon_lr=0.02,
)


def repetitive(n: int = 60) -> Proteins:
    """Proteins in which every residue follows from its neighbours."""
    random = np.random.default_rng(0)
    return Proteins.from_sequences(
        {f"P{i}": ("MKTAY" * 12)[random.integers(5) : random.integers(20, 50)] for i in range(n)}
    )


def corpus(proteins: Proteins, crop: int = 24) -> Corpus:
    return Corpus(proteins, crop, 256, 5, 0, torch.device("cpu"))


def test_crops_are_windows_of_the_protein_with_its_ends() -> None:
    proteins, g = repetitive(), torch.Generator().manual_seed(0)
    drawn = corpus(proteins)
    whole = {
        a: "<cls>" + s + "<eos>"
        for a, s in zip(proteins.accessions, proteins.sequences, strict=True)
    }
    for _ in range(20):
        places = torch.randint(len(proteins), (8,), generator=g)
        for place, tokens in zip(places.tolist(), drawn.crops(places, 24, g).tolist(), strict=True):
            text = "".join(ALPHABET[t] for t in tokens if t != PAD)
            assert text in whole[proteins.accessions[place]]
            assert len([t for t in tokens if t != PAD]) == min(
                24, len(proteins.sequences[place]) + 2
            )


def test_held_out_proteins_are_never_drawn() -> None:
    proteins = Proteins.from_sequences(
        {f"P{i}": letter * 10 for i, letter in enumerate("ACDEFGHIKLMNPQRSTVWY")}
    )
    drawn, g = corpus(proteins), torch.Generator().manual_seed(0)
    seen = {
        ALPHABET[t]
        for _ in range(50)
        for t in drawn.draw(g).unique().tolist()
        if t not in (CLS, EOS, PAD)
    }
    assert seen == {proteins.sequences[i][0] for i in drawn.train.tolist()}
    assert len(drawn.held_out) == 5 and not set(drawn.held_out.tolist()) & set(drawn.train.tolist())


def test_corruption_has_esm2_s_shares() -> None:
    g = torch.Generator().manual_seed(0)
    tokens = torch.randint(4, 24, (400, 500), generator=g)
    tokens[:, 0], tokens[:, -1] = CLS, EOS
    shown, chosen = corrupted(tokens, g)
    residues = (tokens >= 4).sum()
    assert not chosen[:, 0].any() and not chosen[:, -1].any()
    assert torch.equal(shown[~chosen], tokens[~chosen])
    assert abs(float(chosen.sum() / residues) - 0.15) < 0.003
    assert abs(float((shown[chosen] == MASK).float().mean()) - 0.8) < 0.01
    assert abs(float((shown[chosen] == tokens[chosen]).float().mean()) - (0.1 + 0.1 / 20)) < 0.01
    all_masked, where = masked(tokens, g)
    assert (all_masked[where] == MASK).all() and torch.equal(all_masked[~where], tokens[~where])


def test_unigram_perplexity_is_that_of_the_letters() -> None:
    assert corpus(
        Proteins.from_sequences({f"P{i}": "ACDE" for i in range(9)})
    ).unigram_perplexity() == pytest.approx(4.0)


def test_it_learns_and_the_result_loads(tmp_path: Path) -> None:
    config = dataclasses.replace(
        TINY, steps=300, decay_steps=100, evaluate_every=150, muon_lr=0.03, adamw_lr=0.02
    )
    pretrain(repetitive(), config, tmp_path, device="cpu")
    figures = json.loads((tmp_path / "training.json").read_text())
    assert figures["held_out_masked_perplexity"] < 0.8 * figures["unigram_perplexity"]
    assert figures["recipe"]["steps"] == 300
    loaded = esm2.load(tmp_path, device="cpu")
    assert (loaded.name, loaded.n_layers, loaded.widths[0]) == ("esm2-mini", 1, 16)


def test_a_run_that_was_stopped_ends_with_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proteins = repetitive()
    pretrain(proteins, TINY, tmp_path / "whole", device="cpu")

    class StopHereError(Exception):
        pass

    def stop_at(row: dict, path: Path) -> None:
        if row["step"] == 20:
            raise StopHereError

    with monkeypatch.context() as patch, pytest.raises(StopHereError):
        patch.setattr("interplm_nb.plm.pretrain._append", stop_at)
        pretrain(proteins, TINY, tmp_path / "parts", device="cpu")
    pretrain(proteins, TINY, tmp_path / "parts", device="cpu")
    assert (tmp_path / "parts/model.safetensors").read_bytes() == (
        tmp_path / "whole/model.safetensors"
    ).read_bytes()


def test_another_recipe_does_not_go_on_from_a_state(tmp_path: Path) -> None:
    pretrain(repetitive(), dataclasses.replace(TINY, steps=10), tmp_path, device="cpu")
    with pytest.raises(ValueError, match="another configuration or other proteins"):
        pretrain(repetitive(), dataclasses.replace(TINY, steps=20), tmp_path, device="cpu")


def test_the_learning_rate_rises_stays_and_falls_to_nothing() -> None:
    rates = [
        PretrainConfig(steps=100, decay_steps=20, warmup_steps=10).rate(step)
        for step in (0, 9, 50, 80, 90, 99)
    ]
    assert rates == pytest.approx([0.1, 1.0, 1.0, 1.0, 0.5, 0.05])


def test_a_loss_that_is_no_number_stops_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(FloatingPointError, match="lower muon_lr and adamw_lr"):
        pretrain(
            repetitive(),
            dataclasses.replace(TINY, muon_lr=1e30, adamw_lr=1e30),
            tmp_path,
            device="cpu",
        )
