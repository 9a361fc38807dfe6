"""ESM-2 in transformers' layout against fair-esm's model and transformers' own, on one set of
random weights; one revision for all layouts; and what is not ESM-2."""

import argparse
import json
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file
from torch import Tensor
from torch.testing import assert_close

from interplm_nb import plm
from interplm_nb.plm import checkpoints, esm2, hub_cache
from interplm_nb.plm.checkpoints import Architecture
from interplm_nb.plm.esm2 import ESM2
from interplm_nb.plm.tokens import ALPHABET, PAD
from tests.plm.local_hub import files_of, local_hub
from tests.plm.test_checkpoints import official_state, write_official
from tests.plm.toy_esm2 import SMALL, fair_esm, random_weights

SEQUENCES = ["MKTAYIAKQRQISFVK", "MK<mask>L", "BXZUO<mask>ACDEF"]


def theirs(weights: dict[str, Tensor], architecture: Architecture = SMALL) -> dict[str, Tensor]:
    """transformers' names of fair-esm's parameters, written out by hand."""
    own = {
        "esm.embeddings.word_embeddings.weight": weights["embed_tokens.weight"],
        "lm_head.bias": weights["lm_head.bias"],
        "lm_head.decoder.weight": weights["embed_tokens.weight"].clone(),
    }
    for kind in ("weight", "bias"):
        own[f"esm.encoder.emb_layer_norm_after.{kind}"] = weights[f"emb_layer_norm_after.{kind}"]
        own[f"lm_head.dense.{kind}"] = weights[f"lm_head.dense.{kind}"]
        own[f"lm_head.layer_norm.{kind}"] = weights[f"lm_head.layer_norm.{kind}"]
        for i in range(architecture.n_layers):
            here, there = f"layers.{i}.", f"esm.encoder.layer.{i}."
            for name, fair in (("query", "q_proj"), ("key", "k_proj"), ("value", "v_proj")):
                own[f"{there}attention.self.{name}.{kind}"] = weights[
                    f"{here}self_attn.{fair}.{kind}"
                ]
            own[f"{there}attention.output.dense.{kind}"] = weights[
                f"{here}self_attn.out_proj.{kind}"
            ]
            own[f"{there}attention.LayerNorm.{kind}"] = weights[
                f"{here}self_attn_layer_norm.{kind}"
            ]
            own[f"{there}intermediate.dense.{kind}"] = weights[f"{here}fc1.{kind}"]
            own[f"{there}output.dense.{kind}"] = weights[f"{here}fc2.{kind}"]
            own[f"{there}LayerNorm.{kind}"] = weights[f"{here}final_layer_norm.{kind}"]
    return own


def beside(architecture: Architecture = SMALL) -> dict[str, Tensor]:
    """What published files hold too, and no masked prediction depends on; with the contact head."""
    d, heads = architecture.d_model, architecture.n_layers * architecture.n_heads
    return {
        "esm.embeddings.position_embeddings.weight": torch.ones(1026, d),
        "esm.embeddings.position_ids": torch.arange(1026)[None],
        "esm.encoder.layer.0.attention.self.rotary_embeddings.inv_freq": torch.ones(4),
        "esm.contact_head.regression.weight": torch.ones(1, heads),
        "esm.contact_head.regression.bias": torch.ones(1),
    }


def settings(architecture: Architecture = SMALL, **changed) -> dict:
    return {
        "model_type": "esm",
        "architectures": ["EsmForMaskedLM"],
        "num_hidden_layers": architecture.n_layers,
        "hidden_size": architecture.d_model,
        "num_attention_heads": architecture.n_heads,
        "intermediate_size": 4 * architecture.d_model,
        "token_dropout": architecture.token_dropout,
        "vocab_size": 33,
        "pad_token_id": 1,
        "mask_token_id": 32,
        "position_embedding_type": "rotary",
        "emb_layer_norm_before": False,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-5,
        "max_position_embeddings": 1026,
    } | changed


def write(folder: Path, state: dict[str, Tensor], layout: str = "safetensors", **changed) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(settings(**changed)))
    (folder / "vocab.txt").write_text("\n".join(ALPHABET))
    if layout == "safetensors":
        save_file(state, folder / "model.safetensors", {"format": "pt"})
    elif layout == "bin":
        torch.save(state, folder / "pytorch_model.bin")
    else:
        names = sorted(state)
        suffix = "safetensors" if layout == "shards" else "bin"
        parts = {f"part-{k}.{suffix}": names[k::3] for k in range(3)}
        for file, held in parts.items():
            part = {n: state[n] for n in held}
            (save_file if layout == "shards" else torch.save)(part, folder / file)
        stem = "model.safetensors" if layout == "shards" else "pytorch_model.bin"
        where = {n: file for file, held in parts.items() for n in held}
        (folder / f"{stem}.index.json").write_text(json.dumps({"weight_map": where}))
    return folder


def headless(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """As EsmModel saves it: without head, and without the prefix."""
    return {k.removeprefix("esm."): v for k, v in state.items() if not k.startswith("lm_head.")}


@pytest.mark.parametrize("layout", ["safetensors", "bin", "shards", "bin shards"])
@pytest.mark.parametrize("token_dropout", [True, False])
def test_every_layer_and_the_logits_are_fair_esms(tmp_path, layout, token_dropout):
    architecture = Architecture(3, 24, 3, token_dropout)
    weights = random_weights(architecture)
    write(tmp_path / "m", theirs(weights) | beside(), layout, architecture=architecture)
    model = plm.load(tmp_path / "m", "cpu")
    assert isinstance(model, ESM2) and model.name == "m" and model.architecture == architecture
    tokens = model.tokens(SEQUENCES)
    ours = model.forward(tokens, range(4), logits=True)
    with torch.no_grad():
        wanted = fair_esm(architecture, weights)(tokens, repr_layers=[0, 1, 2, 3])
    assert_same(ours.representations, wanted["representations"], tokens)
    assert_same({0: ours.logits}, {0: wanted["logits"]}, tokens)
    assert model.has_contact_head


@pytest.mark.parametrize("token_dropout", [True, False])
@pytest.mark.parametrize("prefix", [True, False], ids=["esm.", "bare"])
def test_every_layer_and_the_logits_are_transformers_own(tmp_path, token_dropout, prefix):
    transformers = pytest.importorskip("transformers")
    architecture = Architecture(3, 24, 3, token_dropout)
    state = theirs(random_weights(architecture))
    write(
        tmp_path / "m",
        state if prefix else headless(state),
        "safetensors",
        architecture=architecture,
    )
    model = plm.load(tmp_path / "m", "cpu")
    cls = transformers.EsmForMaskedLM if prefix else transformers.EsmModel
    peer = cls.from_pretrained(tmp_path / "m", attn_implementation="eager").eval()
    tokens = model.tokens(SEQUENCES)
    with torch.no_grad():
        wanted = peer(tokens, attention_mask=(tokens != PAD).long(), output_hidden_states=True)
    ours = model.forward(tokens, range(4), logits=prefix)
    assert_same(ours.representations, dict(enumerate(wanted.hidden_states)), tokens)
    assert model.has_logits is prefix
    if prefix:
        assert_same({0: ours.logits}, {0: wanted.logits}, tokens)


def test_what_transformers_saves_is_read(tmp_path):
    transformers = pytest.importorskip("transformers")
    state = theirs(random_weights())
    write(tmp_path / "a", state)
    peer = transformers.EsmForMaskedLM.from_pretrained(tmp_path / "a")
    peer.save_pretrained(tmp_path / "b")
    peer.base_model.save_pretrained(tmp_path / "c")
    whole, bare = plm.load(tmp_path / "b", "cpu"), plm.load(tmp_path / "c", "cpu")
    assert isinstance(whole, ESM2) and whole.has_logits and not bare.has_logits
    assert whole.revision == bare.revision == checkpoints.revision_of(random_weights())


def assert_same(ours: dict[int, Tensor], wanted: dict[int, Tensor], tokens: Tensor) -> None:
    """Within 1e-5 of each layer's scale, where the tokens are no padding."""
    for layer, mine in ours.items():
        mine, other = mine[tokens != PAD], wanted[layer][tokens != PAD]
        assert float((mine - other).abs().max()) <= 1e-5 * float(other.abs().max())


def test_one_model_in_all_layouts_has_one_revision(tmp_path):
    weights = random_weights()
    no_head = {k: v for k, v in weights.items() if not k.startswith("lm_head.")}
    state = theirs(weights)
    write_official(tmp_path / "a.pt")
    bare = {k: v for k, v in official_state().items() if "lm_head" not in k}
    write_official(tmp_path / "b.pt", bare)
    checkpoints.write_safetensors(weights, SMALL, "c", tmp_path / "c", torch.float32)
    checkpoints.write_safetensors(no_head, SMALL, "d", tmp_path / "d", torch.float32)
    paths = [tmp_path / name for name in ("a.pt", "b.pt", "c", "d")]
    paths += [
        write(tmp_path / "e", state | beside()),
        write(tmp_path / "f", headless(state), "bin"),
        write(tmp_path / "g", state, "shards"),
    ]
    models = [plm.load(path, "cpu") for path in paths]
    assert len({m.revision for m in models}) == 1
    assert [m.has_logits for m in models] == [True, False, True, False, True, False, True]
    assert (
        models[0].revision == checkpoints.revision_of(weights) == checkpoints.revision_of(no_head)
    )
    state["esm.encoder.layer.2.LayerNorm.bias"] = weights["layers.2.final_layer_norm.bias"] + 1e-3
    assert plm.load(write(tmp_path / "h", state), "cpu").revision != models[0].revision


def test_without_a_head_there_are_no_logits_and_the_shuffled_encoder_is_the_same(tmp_path):
    state = theirs(random_weights())
    whole = plm.load(write(tmp_path / "a", state), "cpu")
    bare = plm.load(write(tmp_path / "b", headless(state)), "cpu")
    assert isinstance(whole, ESM2) and isinstance(bare, ESM2)
    tokens = bare.tokens(["MKT"])
    with pytest.raises(ValueError, match="b has no head, so it has no logits; load it with its"):
        bare.forward(tokens, logits=True)
    one, other = whole.shuffled(3), bare.shuffled(3)
    assert one.revision == other.revision and not other.has_logits
    for name, value in other.weights().items():
        assert_close(value, one.weights()[name], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        (
            {"position_embedding_type": "absolute"},
            r"position_embedding_type 'absolute' \(ESM-2 has",
        ),
        ({"emb_layer_norm_before": True}, r"emb_layer_norm_before True \(ESM-2 has False\)"),
        ({"hidden_act": "relu"}, r"hidden_act 'relu' \(ESM-2 has 'gelu'\)"),
        ({"layer_norm_eps": 1e-12}, r"layer_norm_eps 1e-12 \(ESM-2 has 1e-05\)"),
        ({"vocab_size": 64}, r"vocab_size 64 \(ESM-2 has 33\)"),
        ({"intermediate_size": 50}, r"intermediate_size 50 \(ESM-2 has 4 x 24\)"),
        ({"mask_token_id": 4}, r"mask_token_id 4 \(ESM-2 has 32\)"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_another_model_of_the_same_type_is_refused_by_what_differs(tmp_path, changed, match):
    write(tmp_path / "m", theirs(random_weights()), **changed)
    with pytest.raises(
        ValueError, match=rf"m has transformers' type 'esm' but is not ESM-2: {match}"
    ):
        esm2.load(tmp_path / "m")


def test_esm_1b_is_refused_by_all_that_differs(tmp_path):
    write(
        tmp_path / "m",
        theirs(random_weights()),
        position_embedding_type="absolute",
        emb_layer_norm_before=True,
    )
    with pytest.raises(ValueError, match=r"position_embedding_type .*; emb_layer_norm_before True"):
        esm2.load(tmp_path / "m")


@pytest.mark.parametrize(
    ("tokens", "match"),
    [
        ([*ALPHABET[:4], "A", "L", *ALPHABET[6:]], "vocab.txt has 'A' as token 4 .*'L'"),
        (ALPHABET[:-1], "vocab.txt has 32 tokens"),
    ],
)
def test_another_order_of_the_vocabulary_is_refused(tmp_path, tokens, match):
    write(tmp_path / "m", theirs(random_weights()))
    (tmp_path / "m" / "vocab.txt").write_text("\n".join(tokens))
    with pytest.raises(ValueError, match=match):
        esm2.load(tmp_path / "m")


def test_another_models_weights_are_refused_by_name(tmp_path):
    state = theirs(random_weights())
    missing = {k: v for k, v in state.items() if k != "esm.encoder.layer.1.output.dense.bias"}
    strange = state | {"esm.encoder.layer.1.crossattention.self.query.weight": torch.ones(2)}
    untied = state | {"lm_head.decoder.weight": state["lm_head.decoder.weight"] + 1}
    half = {k: v for k, v in state.items() if k != "lm_head.bias"}
    for bad, match in (
        (missing, r"1 missing, such as 'layers\.1\.fc2\.bias'"),
        (
            strange,
            r"1 unexpected, such as 'encoder\.layer\.1\.crossattention\.self\.query\.weight'",
        ),
        (untied, r"lm_head\.weight differs from embed_tokens\.weight"),
        (half, r"1 missing, such as 'lm_head\.bias'"),
    ):
        with pytest.raises(ValueError, match=match):
            esm2.load(write(tmp_path / "m", bad))


def test_weights_that_are_not_there_or_damaged(tmp_path):
    folder = write(tmp_path / "m", theirs(random_weights()), "shards")
    (folder / "part-1.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"part-1\.safetensors: this shard .* is missing"):
        esm2.load(folder)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "../part-0.safetensors"}}))
    with pytest.raises(ValueError, match="wanted weight_map with each tensor's file"):
        esm2.load(folder)
    index.unlink()
    with pytest.raises(FileNotFoundError, match=r"m has no weights; wanted model\.safetensors or"):
        esm2.load(folder)
    torch.save([torch.ones(2)], folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match="wanted a dictionary of tensors, found list"):
        esm2.load(folder)
    torch.save({"a": argparse.Namespace()}, folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match="not a checkpoint that can be read safely"):
        esm2.load(folder)


def test_one_model_has_one_name(tmp_path):
    state, meta = theirs(random_weights()), "esm2_t6_8M_UR50D"
    assert plm.load(write(tmp_path / meta, state), "cpu").name == meta
    said = write(tmp_path / "copy", state, _name_or_path=f"/tmp/facebook/{meta}")
    assert plm.load(said, "cpu").name == meta
    said = write(tmp_path / "tuned", state, _name_or_path="someone/tuned")
    assert plm.load(said, "cpu").name == "tuned"
    in_cache = tmp_path / "models--facebook--esm2_t6_8M_UR50D" / "snapshots" / "0123"
    assert hub_cache.repository_of(write(in_cache, state)) == f"facebook/{meta}"
    assert plm.load(in_cache, "cpu").name == meta
    # A repository of someone else's is not Meta's model, whatever it was made from.
    in_cache = tmp_path / "models--me--tuned" / "snapshots" / "0123"
    write(in_cache, state, _name_or_path=f"facebook/{meta}")
    assert plm.load(in_cache, "cpu").name == "me/tuned"


def test_by_the_name_of_its_repository_from_the_hub_and_then_without_a_network(
    tmp_path, monkeypatch
):
    name = "facebook/esm2_t6_8M_UR50D"
    folder = write(tmp_path / "m", theirs(random_weights()) | beside())
    with local_hub(monkeypatch, tmp_path) as hub:
        hub.repository(name, files_of(folder) | {"tf_model.h5": b"not fetched"})
        first = plm.load(name, "cpu")
        assert not any("tf_model" in path for _, path, _ in hub.asked)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    second = plm.load(name, "cpu")
    assert isinstance(second, ESM2) and first.name == second.name == "esm2_t6_8M_UR50D"
    assert first.revision == second.revision == checkpoints.revision_of(random_weights())
    with pytest.raises(
        ConnectionError,
        match=r"esm2_t12_35M_UR50D is not in the local hub cache .* fetch it with: hf download "
        "facebook/esm2_t12_35M_UR50D, or load 'esm2_t12_35M_UR50D', which downloads Meta's own",
    ):
        plm.load("facebook/esm2_t12_35M_UR50D")


def test_inspect_holds_no_weights(tmp_path):
    write(tmp_path / "m", theirs(random_weights()))
    record = plm.inspect(tmp_path / "m")
    assert record.widths == (24,) * 4 and record.revision == checkpoints.revision_of(
        random_weights()
    )
