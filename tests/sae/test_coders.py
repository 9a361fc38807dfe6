"""Transcoders and crosscoders: their equations, their training against autograd's own, what is
saved, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.embeddings import Embeddings, EmbeddingsWriter
from interplm_nb.joined_layers import JoinedLayers
from interplm_nb.plm.store import embed_to, join_to, scales_of
from interplm_nb.proteins import Proteins
from interplm_nb.sae import checkpoint
from interplm_nb.sae.about import SAEAbout
from interplm_nb.sae.architectures import BatchTopK, Gated, JumpReLU, Matryoshka, ReLU, TopK
from interplm_nb.sae.config import SAEConfig
from interplm_nb.sae.encode import encode_to
from interplm_nb.sae.evaluation.fidelity import fidelity
from interplm_nb.sae.evaluation.quality import measured, quality
from interplm_nb.sae.evaluation.stability import stability
from interplm_nb.sae.exporters import to_saelens
from interplm_nb.sae.layer_norms import layer_norms, layers_per_feature
from interplm_nb.sae.model import SAE
from interplm_nb.sae.residue_norm import ResidueNorm
from interplm_nb.sae.training import choice
from interplm_nb.sae.training.initial import new_sae
from interplm_nb.sae.training.input_scaling import InputScaling
from interplm_nb.sae.training.losses import auxiliary_k, loss
from interplm_nb.sae.training.stream import StoredBatches
from interplm_nb.sae.training.train import train, train_on
from tests.sae.fake_plm import FakePLM
from tests.sae.gaussian_training import CONFIGS, on_cpu, same
from tests.sae.small_sae import any_sae, every_architecture

D_IN, D_OUT = 6, 4
PROTEINS = Proteins.from_sequences(
    {f"P{i}": "ACDEFGHIKLMNPQRSTVWY"[i % 9 : 10 + i % 11] * (1 + i % 3) for i in range(80)}
)
ROWS = np.arange(PROTEINS.n_residues)
RECIPES = {
    ReLU: "interplm-v1",
    TopK: "topk",
    BatchTopK: "batchtopk",
    Matryoshka: "matryoshka",
    JumpReLU: "jumprelu",
    Gated: "gated",
}


def normal(*shape: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def about(**changes: Any) -> SAEAbout:
    return SAEAbout(plm="fake", plm_revision="sha256:fake", layer=0, recipe="topk", **changes)


def plain_loss(
    sae: SAE, x: torch.Tensor, y: torch.Tensor, config: SAEConfig, weight: float
) -> torch.Tensor:
    """Each loss of a transcoder, from the equations alone."""
    kind = sae.architecture
    u = (x - sae.b_in) @ sae.W_enc
    z = u + sae.b_enc
    extra = torch.zeros((), dtype=x.dtype)
    sizes = (sae.d_sae,)
    match kind:
        case Matryoshka() | BatchTopK():
            lowest = z.flatten().topk(kind.k * len(x)).values[-1]
            f = torch.where(z >= lowest, z, 0).relu()
            sizes = kind.prefixes if isinstance(kind, Matryoshka) else sizes
        case TopK():
            f = torch.where(z >= z.topk(kind.k, dim=1).values[:, -1:], z, 0).relu()
        case JumpReLU():
            f = torch.where(z > sae.threshold, z, 0).relu()
            l0 = (f > 0).double().sum(1).mean()
            extra = weight * (l0 / config.target_l0 - 1) ** 2
        case Gated():
            f = torch.where(u + sae.b_gate > 0, (sae.r_mag.exp() * u + sae.b_enc).relu(), 0)
            gate = (u + sae.b_gate).relu()
            frozen = gate @ sae.W_dec.detach() + sae.b_dec.detach()
            extra = weight * gate.sum(1).mean() + ((y - frozen) ** 2).sum(1).mean()
        case _:
            f = z.relu()
            extra = weight * f.sum(1).mean()
    error = torch.zeros((), dtype=x.dtype)
    for m in sizes:
        e = y - (f[:, :m] @ sae.W_dec[:m] + sae.b_dec)
        one = e.norm(dim=1) if config.reconstruction == "norm" else (e**2).sum(1)
        error = error + one.mean() / len(sizes)
    return error + extra


@every_architecture
@given(seed=st.integers(0, 999), way=st.sampled_from(["sparse", "dense"]), weight=st.floats(0, 1))
def test_a_transcoders_loss_and_gradients_are_those_of_its_equations(
    architecture, seed, way, weight
):
    sae = any_sae(architecture, D_IN, seed=seed, d_out=D_OUT).double()
    x, y = normal(9, D_IN, seed=seed), normal(9, D_OUT, seed=seed + 1)
    config = SAEConfig.recipe(RECIPES[type(architecture)], 20)
    before = choice.SPARSE_BELOW
    choice.SPARSE_BELOW = 0.0 if way == "dense" else 2.0
    try:
        total = loss(sae, x, config, weight, target=y).total
        found = torch.autograd.grad(total, list(sae.parameters()), allow_unused=True)
    finally:
        choice.SPARSE_BELOW = before
    plain = plain_loss(sae, x, y, config, weight)
    assert total.item() == pytest.approx(plain.item(), rel=1e-9)
    expected = torch.autograd.grad(plain, list(sae.parameters()), allow_unused=True)
    for (name, _), mine, theirs in zip(sae.named_parameters(), found, expected, strict=True):
        if name == "threshold":  # has no gradient but JumpReLU's own, tested with the losses
            continue
        theirs = torch.zeros_like(mine) if theirs is None and mine is not None else theirs
        torch.testing.assert_close(mine, theirs, msg=lambda text, name=name: f"{name}: {text}")


def test_what_encodes_reads_the_input_and_what_decodes_writes_the_target():
    sae = any_sae(ReLU(), D_IN, d_out=D_OUT).double()
    x = normal(5, D_IN, seed=3)
    f, y_hat = sae(x)
    plain = ((x - sae.b_in) @ sae.W_enc + sae.b_enc).relu()
    torch.testing.assert_close(f, plain)
    torch.testing.assert_close(y_hat, plain @ sae.W_dec + sae.b_dec)
    torch.testing.assert_close(sae.decode(f), y_hat)
    assert y_hat.shape == (5, D_OUT)


def test_auxk_explains_what_is_left_of_the_target():
    sae = any_sae(TopK(3), D_IN, d_out=D_OUT).double()
    x, error, dead = normal(7, D_IN, seed=1), normal(7, D_OUT, seed=2), torch.tensor([2, 5, 11])
    z = ((x - sae.b_in) @ sae.W_enc + sae.b_enc)[:, dead]
    kept = torch.zeros_like(z)
    for row in range(7):
        for j in z[row].topk(2).indices:  # half of d_out
            kept[row, j] = z[row, j].relu()
    e_hat = kept @ sae.W_dec[dead]
    spread = ((error - error.mean(0)) ** 2).sum(1).mean()
    expected = ((error - e_hat) ** 2).sum(1).mean() / spread
    assert auxiliary_k(sae, x, error, dead).item() == pytest.approx(expected.item())


@pytest.mark.parametrize("kind", ["scalar", "dimension"])
def test_scales_of_input_and_target_are_folded_into_their_own_weights(kind):
    x, y = 3 * normal(40, D_IN, seed=1) + 5, 70 * normal(40, D_OUT, seed=2) - 9
    reads, writes = InputScaling.of(kind, x), InputScaling.of(kind, y)
    sae = any_sae(ReLU(), D_IN, d_out=D_OUT).double()
    folded = reads.folded_into(sae, writes)
    expected = sae(reads(x)).x_hat * writes.scale + writes.shift
    torch.testing.assert_close(folded(x).x_hat, expected)
    torch.testing.assert_close(folded.W_dec.norm(dim=1), torch.ones(20, dtype=torch.float64))


def test_a_transcoder_starts_reading_where_the_input_covaries_with_its_atoms():
    """Where the target is the input and all directions vary alike, that is the tied encoder."""
    x = torch.linalg.qr(normal(40, D_IN, seed=4) - normal(40, D_IN, seed=4).mean(0)).Q
    x = x - x.mean(0)
    x = torch.linalg.svd(x, full_matrices=False).U  # equal variance in every direction, mean 0
    config = SAEConfig.recipe("topk", 20, k=3)
    sae, tied = new_sae(config, x, x), new_sae(config, x)
    torch.testing.assert_close(sae.W_enc, tied.W_enc, rtol=1e-6, atol=1e-7)
    y = normal(40, D_OUT, seed=5)
    sae = new_sae(config, x, y)
    covariance = sum(torch.outer(x[i] - x.mean(0), y[i] - y.mean(0)) for i in range(40))
    for j in range(20):
        direction = covariance @ sae.W_dec[j]
        torch.testing.assert_close(sae.W_enc[:, j], direction / direction.norm())
    torch.testing.assert_close(sae.b_in, x.mean(0))
    torch.testing.assert_close(sae.b_dec, y.mean(0))


class Mapped:
    """Sums of a few directions in one layer; in another, sums of other directions with the same
    weights."""

    layers, batch_size = (2, 3), 64

    def __init__(self, stop_at: int = -1) -> None:
        generator = torch.Generator().manual_seed(0)
        self.read = torch.randn(12, 8, generator=generator)
        self.written = torch.randn(12, 5, generator=generator)
        self.stop_at = stop_at

    def about(self, layer: int) -> dict[str, Any]:
        return {"plm": "fake", "plm_revision": "sha256:1", "layer": layer, "data": "mapped"}

    def batch(self, step: int) -> dict[int, torch.Tensor]:
        if step == self.stop_at:
            raise RuntimeError("stopped")
        generator = torch.Generator().manual_seed(1000 + step)
        weights = torch.rand(self.batch_size, 12, generator=generator)
        weights = torch.where(weights > 0.85, weights, 0)
        return {2: weights @ self.read + 1, 3: weights @ self.written - 2}


def transcoder(recipe: str, **changes: Any) -> SAEConfig:
    settings = {"layer": 2, "target": 3, "lr": 0.01, "k": 4, "dead_after_tokens": 1000}
    return SAEConfig.recipe(recipe, 32, **(settings | changes))


def test_a_transcoder_learns_to_write_the_other_layer(tmp_path):
    batches = Mapped()
    (sae,) = train_on(batches, {tmp_path: transcoder("topk")}, 300, on_cpu())
    held = [batches.batch(5000 + i) for i in range(8)]
    found = quality(sae, (b[2] for b in held), (b[3] for b in held))
    shuffled = quality(sae, (b[2] for b in held), (b[3].roll(7, 0) for b in held))
    assert found.fvu < 0.25, "three weights of twelve are above 0, and 4 features may fire"
    assert shuffled.fvu > 0.9
    assert sae.about is not None
    assert (sae.about.layer, sae.about.target, sae.d_in, sae.d_out) == (2, 3, 8, 5)
    torch.testing.assert_close(sae.W_dec.norm(dim=1), torch.ones(32))


@pytest.mark.parametrize("recipe", list(CONFIGS))
def test_a_transcoder_that_was_stopped_ends_with_the_same_bits(tmp_path, recipe):
    changes = {
        "paper": {"dead": "resample by error", "resample_every": 9, "k": None},
        "v1": {"dead": "resample at random", "resample_every": 9, "k": None},
    }.get(recipe, {})
    name = {"paper": "interplm-paper", "v1": "interplm-v1"}.get(recipe, recipe)
    config = transcoder(name, **changes)
    options = on_cpu(checkpoint_every=4)
    (whole,) = train_on(Mapped(), {tmp_path / "whole": config}, 30, options)
    with pytest.raises(RuntimeError, match="stopped"):
        train_on(Mapped(stop_at=22), {tmp_path / "halves": config}, 30, options)
    (resumed,) = train_on(Mapped(), {tmp_path / "halves": config}, 30, options)
    assert same(whole, resumed)
    torch.testing.assert_close(whole.W_dec.norm(dim=1), torch.ones(32))


def test_a_target_that_the_batches_lack_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"writes layer 7; the batches hold layers 2, 3"):
        train_on(Mapped(), {tmp_path: transcoder("topk", target=7)}, 3, on_cpu())


def test_training_from_the_plm_reads_and_writes_its_layers(tmp_path):
    config = SAEConfig.recipe("topk", 16, k=3, layer=0, target=1)
    (sae,) = train(FakePLM(), PROTEINS, [config], tmp_path, 5, 32, on_cpu()).values()
    assert sae.about is not None and (sae.about.layer, sae.about.target) == (0, 1)
    assert config.label == "layer_00-to_01-topk-k3-d16-s0"


def test_a_target_that_is_the_read_layer_is_refused():
    with pytest.raises(ValueError, match="layer 3 is read and is the target"):
        SAEConfig.recipe("topk", 16, layer=3, target=3)


def test_a_saved_transcoder_is_the_same_again_and_folds(tmp_path):
    sae = any_sae(TopK(3), D_IN, d_out=D_OUT)
    checkpoint.save(sae, tmp_path, about(target=1))
    loaded = checkpoint.load(tmp_path)
    assert same(sae, loaded) and loaded.about == sae.about and loaded.d_out == D_OUT
    x = normal(9, D_IN, seed=1).float()
    maxima = loaded(x).f.amax(0).detach().numpy()
    folded = loaded.folded(maxima)
    torch.testing.assert_close(folded(x).x_hat, loaded(x).x_hat, rtol=1e-4, atol=1e-4)
    assert folded.weight_hash != loaded.weight_hash


def test_a_transcoder_and_its_target_belong_together(tmp_path):
    with pytest.raises(ValueError, match=r"got a transcoder and target None"):
        checkpoint.save(any_sae(TopK(3), D_IN, d_out=D_OUT), tmp_path, about())
    with pytest.raises(ValueError, match=r"got an SAE and target 1"):
        checkpoint.save(any_sae(TopK(3), D_IN), tmp_path, about(target=1))
    with pytest.raises(ValueError, match="a transcoder cannot normalise each residue"):
        SAE(D_IN, 20, TopK(3), ResidueNorm("layer-norm"), D_OUT)


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory) -> Embeddings:
    folder = tmp_path_factory.mktemp("joined") / "joined"
    scales = scales_of(FakePLM(), PROTEINS, [0, 1])
    return join_to(FakePLM(), PROTEINS, scales, folder, progress=False)


def test_joined_embeddings_are_the_layers_scaled_and_side_by_side(joined, tmp_path):
    single = embed_to(FakePLM(), PROTEINS, [0, 1], lambda k: tmp_path / str(k), progress=False)
    scales = joined.joined.scales
    expected = np.concatenate([single[k][:] / scales[k] for k in (0, 1)], axis=1)
    np.testing.assert_allclose(joined[:], expected, rtol=1e-5, atol=1e-6)
    for part in joined.joined.parts(joined[:]).values():
        assert part.var(axis=0).sum() == pytest.approx(1, rel=1e-3)
    again = join_to(FakePLM(), PROTEINS, joined.joined, joined.path, progress=False)
    assert again.about == joined.about


def crosscoder(joined: Embeddings, folder: Path, **changes: Any) -> SAE:
    config = SAEConfig.recipe("topk", 16, k=3, lr=0.01, **changes)
    (sae,) = train_on(StoredBatches(joined, ROWS, 64, 0), {folder: config}, 60, on_cpu())
    return sae


def test_a_crosscoders_atoms_have_norm_one_over_all_layers_together(joined, tmp_path):
    sae = crosscoder(joined, tmp_path)
    norms = layer_norms(sae)
    assert norms["feature"].n_unique() == 16 and norms["layer"].unique().to_list() == [0, 1]
    for row in norms.iter_rows(named=True):
        first = 6 * row["layer"]
        part = sae.W_dec[row["feature"], first : first + 6].tolist()
        assert row["norm"] == pytest.approx(sum(v**2 for v in part) ** 0.5, rel=1e-5)
        assert row["share"] == pytest.approx(sum(v**2 for v in part), rel=1e-4)
    totals = norms.group_by("feature").agg(pl.col("share").sum())["share"]
    assert totals.to_list() == pytest.approx([1] * 16)
    assert norms["norm"].std() > 0.01, "no layer's part is normalised by itself"


def test_layers_per_feature_counts_them(joined, tmp_path):
    sae = crosscoder(joined, tmp_path)
    with torch.no_grad():
        sae.W_dec.zero_()
        sae.W_dec[0, 0] = 1  # layer 0 alone
        sae.W_dec[1, 6] = -2  # layer 1 alone
        sae.W_dec[2, 0] = sae.W_dec[2, 11] = 0.5  # both alike
        sae.W_dec[3, 0], sae.W_dec[3, 6] = 0.9**0.5, 0.1001**0.5
        sae.W_dec[4, 0], sae.W_dec[4, 6] = 0.95, 0.05
    found = layers_per_feature(layer_norms(sae))
    assert found["feature"].to_list() == [0, 1, 2, 3, 4], "silenced features are left out"
    assert found["layers"].to_list() == [1, 1, 2, 2, 1]
    assert found["main"].to_list()[:2] == [0, 1] and found["main"].to_list()[3:] == [0, 0]
    assert found["effective"].to_list()[:3] == pytest.approx([1, 1, 2])


def test_fvu_by_layer_is_each_layers_own(joined, tmp_path):
    sae = crosscoder(joined, tmp_path)
    found = measured(sae, [joined[:200], joined[200:]]).fvu_by_layer(joined.joined)
    x = joined[:].astype(np.float64)
    e = x - sae(torch.tensor(joined[:])).x_hat.detach().numpy()
    for layer, columns in {0: slice(0, 6), 1: slice(6, 12)}.items():
        spread = ((x[:, columns] - x[:, columns].mean(0)) ** 2).sum()
        assert found[layer] == pytest.approx((e[:, columns] ** 2).sum() / spread, rel=1e-4)


def test_a_crosscoder_is_saved_with_its_layers_and_encodes_them_alone(joined, tmp_path):
    sae = crosscoder(joined, tmp_path / "sae")
    loaded = checkpoint.load(tmp_path / "sae")
    assert loaded.about == sae.about and loaded.about is not None
    assert loaded.about.joined == joined.joined and loaded.about.layers == (0, 1)
    store = encode_to(loaded, joined, PROTEINS, tmp_path / "activations", progress=False)
    dense = loaded.encode(torch.tensor(joined[:])).detach().numpy()
    stored = np.concatenate([block.values.toarray() for block in store.blocks()])
    np.testing.assert_allclose(stored, dense, rtol=1e-5, atol=1e-6)
    for rows, found in FakePLM().embed(PROTEINS, loaded.about.layers, progress=False):
        np.testing.assert_allclose(loaded.about.read(found), joined[rows], rtol=1e-5, atol=1e-6)


def other_join(joined: Embeddings, folder: Path, join: JoinedLayers) -> Embeddings:
    values = {"joined": join.record(), "layer": join.layers[-1], "d_in": join.d_in}
    names = ("plm", "plm_revision")
    kept = {name: joined.about[name] for name in names}
    with EmbeddingsWriter(folder, PROTEINS, kept | values) as writer:
        writer.write(ROWS, joined[:])
    return Embeddings.open(folder)


def test_embeddings_of_other_layers_or_scales_are_refused(joined, tmp_path):
    sae = crosscoder(joined, tmp_path / "sae")
    single = embed_to(FakePLM(), PROTEINS, [1], lambda _: tmp_path / "one", progress=False)[1]
    out = tmp_path / "activations"
    with pytest.raises(ValueError, match=r"reads layers 0\+1, .* gives one layer alone"):
        encode_to(sae, single, PROTEINS, out, progress=False)
    scales = tuple(2 * scale for scale in joined.joined.scales)
    scaled = other_join(joined, tmp_path / "scaled", JoinedLayers((0, 1), (6, 6), scales))
    with pytest.raises(ValueError, match=r"each divided by its scale .* was joined with"):
        encode_to(sae, scaled, PROTEINS, out, progress=False)
    plain = crosscoder(single, tmp_path / "plain")
    with pytest.raises(ValueError, match=r"this SAE reads layer 1, .* gives layers 0\+1"):
        encode_to(plain, joined, PROTEINS, out, progress=False)
    with pytest.raises(ValueError, match="other settings"):
        train_on(
            StoredBatches(scaled, ROWS, 64, 0),
            {tmp_path / "sae": SAEConfig.recipe("topk", 16, k=3, lr=0.01)},
            60,
            on_cpu(),
        )


def test_what_puts_back_one_layer_refuses_both(joined, tmp_path):
    cross = crosscoder(joined, tmp_path / "cross")
    trans = any_sae(TopK(3), D_IN, d_out=D_OUT)
    trans.about = about(target=1)
    for sae, said in ((cross, r"crosscoder reads.*layers 0\+1"), (trans, "writes layer 1")):
        with pytest.raises(ValueError, match=said):
            fidelity(sae, FakePLM(), PROTEINS)
        with pytest.raises(ValueError, match=said):
            to_saelens(sae, tmp_path / "export")
    with pytest.raises(ValueError, match="norms by layer are of a crosscoder"):
        layer_norms(trans)


def test_transcoders_of_other_targets_are_not_compared():
    one, other = (any_sae(TopK(3), D_IN, seed=seed, d_out=D_OUT) for seed in (0, 1))
    one.about, other.about = about(target=1), about(target=2)
    alive = np.ones(20, bool)
    with pytest.raises(ValueError, match="layer 0 to layer 1 and of fake, layer 0 to layer 2"):
        stability(one, other, alive, alive)
    other.about = about(target=1)
    assert stability(one, other, alive, alive).n_alive == 20
