"""Our forward pass against fair-esm's own, and residues against tokens."""

import esm
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from interplm_nb.plm import esm2
from interplm_nb.plm.checkpoints import Architecture
from interplm_nb.plm.devices import choose_device
from interplm_nb.plm.names import MINI
from interplm_nb.plm.protocol import PLM
from interplm_nb.plm.tokens import ALPHABET, CLS, EOS, MASK, PAD
from interplm_nb.proteins import LETTERS, Proteins
from tests.plm.toy_esm2 import SHAPES, SMALL, fair_esm, random_weights, toy

SEQUENCES = st.lists(
    st.lists(st.sampled_from([*LETTERS, "<mask>"]), min_size=1, max_size=30).map("".join),
    min_size=1,
    max_size=5,
)


def assert_like_fair_esm(plm: esm2.ESM2, tokens: torch.Tensor) -> None:
    """Every layer and the logits within 1e-5 of the layer's scale, except at padding."""
    every = range(plm.n_layers + 1)
    with torch.no_grad():
        theirs = fair_esm(plm.architecture, plm.weights())(tokens, repr_layers=list(every))
        ours = plm.forward(tokens, every, logits=True)
    pairs = [(ours.representations[k], theirs["representations"][k]) for k in every] + [
        (ours.logits, theirs["logits"])
    ]
    for mine, other in pairs:
        mine, other = mine[tokens != PAD], other[tokens != PAD]
        assert float((mine - other).abs().max()) <= 1e-5 * float(other.abs().max())


@given(SHAPES, SEQUENCES, st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_random_weights_give_fair_esms_representations(architecture, sequences, seed):
    plm = toy(architecture, seed)
    assert_like_fair_esm(plm, plm.tokens(sequences))


@pytest.mark.skipif(
    not (esm2.checkpoints.mini_path()).is_file(),
    reason="the weights of esm2-mini are not in this checkout",
)
@pytest.mark.parametrize(
    "sequences",
    [
        ["MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ"],
        ["MKTAYIAKQR", "GGGGGGGGGG"],
        ["MKTAYIAKQRQISFVKSHFSRQ", "MK", "ACDEFG" * 40],
        ["MKT<mask>YIAKQRQ<mask>SFVK", "M<mask>", "BXZUO<mask>ACDEFG" * 20],
    ],
    ids=["one", "equal lengths", "padding", "masks, padding, non-standard letters"],
)
def test_trained_weights_give_fair_esms_representations(sequences):
    plm = esm2.load(MINI, device="cpu")
    assert_like_fair_esm(plm, plm.tokens(sequences))


def test_at_full_length_rotation_is_fair_esms():
    plm = toy(Architecture(2, 64, 4))
    assert_like_fair_esm(
        plm, plm.tokens(["".join(np.random.default_rng(0).choice(list(LETTERS), 1022)), "MKT"])
    )


def test_the_alphabet_is_fair_esms():
    theirs = esm.Alphabet.from_architecture("ESM-1b")
    assert list(ALPHABET) == theirs.all_toks
    assert (theirs.cls_idx, theirs.padding_idx, theirs.eos_idx, theirs.mask_idx) == (
        CLS,
        PAD,
        EOS,
        MASK,
    )


@given(SEQUENCES)
@settings(max_examples=30, deadline=None)
def test_tokens_are_fair_esms(sequences):
    convert = esm.Alphabet.from_architecture("ESM-1b").get_batch_converter()
    torch.testing.assert_close(toy().tokens(sequences), convert([("", s) for s in sequences])[2])


def test_a_letter_without_a_token_is_named():
    with pytest.raises(ValueError, match=r"no token for 'J' \(position 3 of 'MKJA'"):
        toy().tokens(["MKT", "MKJA"])


@pytest.mark.parametrize("stop", range(SMALL.n_layers + 1))
def test_a_run_that_stops_early_gives_the_same(stop, monkeypatch):
    plm = toy()
    tokens = plm.tokens(["MKTAYIA", "MK"])
    full = plm.forward(tokens, range(plm.n_layers + 1), logits=True)
    ran = []
    plm._blocks = [
        lambda *a, block=block, k=k: (ran.append(k), block(*a))[1]
        for k, block in enumerate(plm._blocks, 1)
    ]
    short = plm.forward(tokens, [stop])
    assert (
        list(short.representations) == [stop]
        and short.logits is None
        and ran == list(range(1, stop + 1))
    )
    torch.testing.assert_close(
        short.representations[stop], full.representations[stop], rtol=0, atol=0
    )


@pytest.mark.parametrize("layer", range(SMALL.n_layers + 1))
def test_an_edit_replaces_the_representation_and_the_run_goes_on(layer):
    plm = toy()
    tokens = plm.tokens(["MKTAYIA", "MKA"])
    plain = plm.forward(tokens, range(4), logits=True)
    same = plm.forward(tokens, range(4), {layer: lambda x: x}, logits=True)
    assert_close(same.logits, plain.logits, rtol=0, atol=0)
    zeroed = plm.forward(tokens, range(4), {layer: torch.zeros_like}, logits=True)
    assert not zeroed.representations[layer].any()
    assert not torch.equal(zeroed.logits, plain.logits)
    for before in range(layer):
        assert_close(zeroed.representations[before], plain.representations[before], rtol=0, atol=0)
    other = plm.forward(plm.tokens(["AAAAAAA", "CCC"]), [layer]).representations[layer]
    patched = plm.forward(tokens, [], {layer: lambda _: other}, logits=True)
    assert_close(
        patched.logits,
        plm.forward(plm.tokens(["AAAAAAA", "CCC"]), logits=True).logits,
        rtol=0,
        atol=0,
    )


def test_gradients_flow_from_an_edit_to_the_logits():
    plm = toy()
    tokens = plm.tokens(["MKTAYIA", "MKA"])
    shift = torch.zeros(plm.widths[0], requires_grad=True)
    logits = plm.forward(tokens, [], {1: lambda x: x + shift}, logits=True).logits
    logits[0, 3, 5].backward()
    step = torch.zeros(plm.widths[0])
    step[2] = 1e-2
    moved = [
        plm.forward(tokens, [], {1: lambda x, s=s: x + s * step}, logits=True).logits[0, 3, 5]
        for s in (1, -1)
    ]
    assert float(shift.grad[2]) == pytest.approx(
        float(moved[0] - moved[1]) / 2e-2, rel=0.02, abs=1e-3
    )


def test_what_forward_refuses():
    plm = toy()
    tokens = plm.tokens(["MKT"])
    with pytest.raises(ValueError, match=r"no layer 4; its layers are 0 \(embedding\) to 3"):
        plm.forward(tokens, [4])
    with pytest.raises(ValueError, match="no layer requested"):
        plm.forward(tokens)
    with pytest.raises(
        ValueError, match="edit at layer 3 has no effect: the run stops after layer 1"
    ):
        plm.forward(tokens, [1], {3: torch.zeros_like})
    with pytest.raises(
        ValueError, match=r"edit at layer 1 returned shape \(1, 5\), wanted \(1, 5, 24\)"
    ):
        plm.forward(tokens, [1], {1: lambda x: x[..., 0]})


@given(
    st.lists(st.text(LETTERS, min_size=1, max_size=25), min_size=1, max_size=8), st.integers(1, 120)
)
@settings(max_examples=30, deadline=None)
def test_embed_gives_every_residue_once_and_nothing_else(sequences, tokens_per_batch):
    proteins = Proteins.from_sequences({f"P{i}": s for i, s in enumerate(sequences)})
    plm = toy()
    found = np.full((proteins.n_residues, plm.widths[0]), np.nan, np.float32)
    for rows, layers in plm.embed(proteins, [0, 2], tokens_per_batch, progress=False):
        assert np.isnan(found[rows]).all() and rows.dtype == np.int64 and list(layers) == [0, 2]
        found[rows] = layers[2].numpy()
    for i, sequence in enumerate(sequences):
        alone = plm.forward(plm.tokens([sequence]), [2]).representations[2][0, 1:-1]
        assert_close(torch.from_numpy(found[proteins.rows(f"P{i}")]), alone, rtol=1e-4, atol=1e-4)


def test_special_tokens_and_padding_never_leak():
    plm = toy()
    plm._weights["embed_tokens.weight"][[CLS, PAD, EOS]] = 1e3
    proteins = Proteins.from_sequences({"A": "MKTAYIAKQR", "B": "MK"})
    for _, layers in plm.embed(proteins, [0], progress=False):
        assert float(layers[0].abs().max()) < 10


def test_what_embed_yields_can_be_trained_on():
    batch = next(toy().embed(Proteins.from_sequences({"A": "MKTAY"}), [1], progress=False))
    assert torch.is_grad_enabled() and not batch.layers[1].requires_grad
    w = torch.ones(24, requires_grad=True)
    (batch.layers[1] * w).sum().backward()
    assert w.grad is not None


def test_a_long_protein_is_refused_or_windowed():
    plm = toy()
    long = "".join(np.random.default_rng(1).choice(list(LETTERS), 50))
    proteins = Proteins.from_sequences({"A": "MKTAY", "LONG": long})
    with pytest.raises(
        ValueError,
        match=r"1 proteins have over 20 residues, such as LONG with 50; .*limit_length.*window",
    ):
        list(plm.embed(proteins, [1], max_residues=20, progress=False))
    found = np.full((55, 24), np.nan, np.float32)
    for rows, layers in plm.embed(
        proteins, [1], progress=False, long="window", max_residues=20, overlap=10
    ):
        found[rows] = layers[1].numpy()
    starts = [0, 10, 20, 30]
    windows = {
        s: plm.forward(plm.tokens([long[s : s + 20]]), [1]).representations[1][0, 1:-1]
        for s in starts
    }
    for i in range(50):
        nearest = min(starts, key=lambda s: (abs(i + 0.5 - (s + 10)), -s))
        assert_close(
            torch.from_numpy(found[5 + i]), windows[nearest][i - nearest], rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_close_and_yields_float32(dtype):
    proteins = Proteins.from_sequences({"A": "MKTAYIAKQR", "B": "MKLL"})
    exact = {
        int(r): v
        for rows, layers in toy().embed(proteins, [3], progress=False)
        for r, v in zip(rows, layers[3], strict=True)
    }
    for rows, layers in toy(dtype=dtype).embed(proteins, [3], progress=False):
        assert layers[3].dtype == torch.float32
        for r, v in zip(rows, layers[3], strict=True):
            assert float((v - exact[int(r)]).abs().mean()) < 0.1 * float(exact[int(r)].abs().mean())


@pytest.mark.usefixtures("progress_lines")
def test_progress_counts_residues(capsys):
    list(toy().embed(Proteins.from_sequences({"A": "MKTAY", "B": "MK"}), [1]))
    assert "embedding with toy" in (err := capsys.readouterr().err) and "7.00/7.00" in err


def test_dtype_device_and_protocol():
    plm = toy()
    assert isinstance(plm, PLM) and repr(plm) == "ESM2(toy: 3 layers x 24, 3 heads, float32 on cpu)"
    assert plm.to("cpu", "bfloat16").dtype == torch.bfloat16
    assert choose_device("auto").type in ("cpu", "cuda", "mps")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="torch finds no CUDA GPU; use device='auto' or 'cpu'"):
            choose_device("cuda")
    for name in ("gpu", "", "cuda:x", "xpu"):
        with pytest.raises(ValueError, match=rf"device='{name}'; wanted auto, cpu, cuda, cuda:1"):
            choose_device(name)
    with pytest.raises(
        ValueError,
        match=r"dtype must be auto or one of float32, .*, float64; got int8",
    ):
        toy(dtype="int8")
    for name, value in random_weights().items():
        assert_close(plm.weights()[name], value, rtol=0, atol=0)
