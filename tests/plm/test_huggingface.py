"""Models of transformers through the adapter: small, random, one of each kind, against
transformers' own forward."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from torch import Tensor, nn
from torch.testing import assert_close

from interplm_nb import plm
from interplm_nb.plm import hub_cache
from interplm_nb.plm.huggingface import HuggingFaceModel
from interplm_nb.plm.protocol import PLM
from interplm_nb.plm.residue_tokens import residue_tokens
from interplm_nb.proteins import Proteins
from tests.plm.local_hub import files_of, local_hub

transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

STANDARD = "LAGVSERTIDPKQNFYMHWC"
SIZES = {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 3}
SEQUENCES = ["MKTAYIAKQRQISFVK", "MKL", "ACDEFGHIW"]
SPECIAL = ["<cls>", "<pad>", "<eos>", "<unk>"]


def vocabulary(folder: Path, *tokens: str) -> Path:
    path = folder / "vocab.txt"
    path.write_text("\n".join(tokens))
    return path


def save(folder: Path, model, tokenizer) -> Path:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def random(cls, config, seed: int = 0):
    """A model whose layers differ: transformers' first weights are too small to tell errors."""
    torch.manual_seed(seed)
    model = cls(config).eval()
    for name, value in model.named_parameters():
        nn.init.normal_(value, 1.0 if "norm" in name.lower() and value.dim() == 1 else 0.0, 0.3)
    return model


def esm_1b(folder: Path, head: bool = True) -> Path:
    """Transformers' type "esm" that is not ESM-2: learned positions, a norm before the layers."""
    vocab = vocabulary(folder, *SPECIAL, *STANDARD, *"XBUZO.-", "<null_1>", "<mask>")
    config = transformers.EsmConfig(
        **SIZES,
        vocab_size=33,
        intermediate_size=48,
        max_position_embeddings=66,
        pad_token_id=1,
        mask_token_id=32,
        emb_layer_norm_before=True,
        token_dropout=True,
    )
    cls = transformers.EsmForMaskedLM if head else transformers.EsmModel
    return save(folder, random(cls, config), transformers.EsmTokenizer(str(vocab)))


def bert(folder: Path) -> Path:
    """As ProtBERT: residues are words, written with spaces between them."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocab = vocabulary(folder, *special, *STANDARD, *"XUBZO")
    config = transformers.BertConfig(
        **SIZES, vocab_size=30, intermediate_size=48, max_position_embeddings=64, pad_token_id=0
    )
    tokenizer = transformers.BertTokenizer(str(vocab), do_lower_case=False)
    return save(folder, random(transformers.BertForMaskedLM, config), tokenizer)


def t5(folder: Path) -> Path:
    """As ProtT5: sentencepiece on residues with spaces between them, </s> behind, no start."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -9.0)]
    pieces += [(f"▁{a}", -2.0) for a in STANDARD + "XUBZO"]
    config = transformers.T5Config(
        d_model=24, d_kv=8, d_ff=48, num_layers=3, num_heads=3, vocab_size=40, pad_token_id=0
    )
    tokenizer = transformers.T5Tokenizer(vocab=pieces, extra_ids=0)
    return save(folder, random(transformers.T5EncoderModel, config), tokenizer)


def letters_tokenizer(start: str | None = None, merges=()) -> object:
    """Each residue a token, with nothing around it or a start token."""
    tokens = ["<|pad|>", "<|bos|>", "<|eos|>", *STANDARD, *("".join(m) for m in merges)]
    made = tokenizers.Tokenizer(
        tokenizers.models.BPE({t: i for i, t in enumerate(tokens)}, list(merges))
    )
    if start:
        made.post_processor = tokenizers.processors.TemplateProcessing(
            f"{start} $A", special_tokens=[(start, tokens.index(start))]
        )
    more = {"pad_token": "<|pad|>"} if start else {"eos_token": "<|eos|>"}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<|bos|>", **more)


def gpt2(folder: Path, merges=()) -> Path:
    """No special token in a sequence, and no padding token at all."""
    tokenizer = letters_tokenizer(merges=merges)
    config = transformers.GPT2Config(
        n_embd=24, n_layer=3, n_head=3, n_positions=64, vocab_size=23 + len(merges), eos_token_id=2
    )
    return save(folder, random(transformers.GPT2LMHeadModel, config), tokenizer)


def llama(folder: Path) -> Path:
    config = transformers.LlamaConfig(
        **SIZES,
        intermediate_size=48,
        vocab_size=23,
        max_position_embeddings=64,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    tokenizer = letters_tokenizer("<|bos|>")
    return save(folder, random(transformers.LlamaForCausalLM, config), tokenizer)


def esm_c(folder: Path) -> Path:
    config = transformers.EsmcConfig(
        **SIZES, num_key_value_heads=3, intermediate_size=48, vocab_size=64
    )
    tokenizer = transformers.EsmcTokenizer()
    return save(folder, random(transformers.EsmcForMaskedLM, config), tokenizer)


# kind: (how it is made, its transformers class, objective, first residue, longest protein,
# text that its own tokenizer is given for a sequence)
KINDS = {
    "esm": (esm_1b, "EsmForMaskedLM", "masked", 1, 62, "".join),
    "bert": (bert, "BertForMaskedLM", "masked", 1, 62, " ".join),
    "t5": (t5, "T5EncoderModel", None, 0, 1022, " ".join),
    "gpt2": (gpt2, "GPT2LMHeadModel", "next residue", 0, 64, "".join),
    "llama": (llama, "LlamaForCausalLM", "next residue", 1, 63, "".join),
    "esmc": (esm_c, "EsmcForMaskedLM", "masked", 1, 2046, "".join),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    made = {}
    for kind, (make, *_) in KINDS.items():
        folder = tmp_path_factory.mktemp(kind)
        made[kind] = make(folder)
    return made


def loaded(folder: Path) -> HuggingFaceModel:
    model = plm.load(folder, "cpu")
    assert isinstance(model, HuggingFaceModel)
    return model


@pytest.fixture(scope="module")
def models(folders) -> dict[str, HuggingFaceModel]:
    return {kind: loaded(folder) for kind, folder in folders.items()}


def peer(kind: str, folder: Path):
    cls = getattr(transformers, KINDS[kind][1])
    model = cls.from_pretrained(folder, attn_implementation="eager").eval()
    return model, transformers.AutoTokenizer.from_pretrained(folder)


def assert_same(mine: Tensor, other: Tensor) -> None:
    assert float((mine - other).abs().max()) <= 1e-5 * float(other.abs().max())


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_model_declares(kind, models, folders):
    _, name, objective, first, longest, _ = KINDS[kind]
    model = models[kind]
    assert isinstance(model, PLM) and model.name == folders[kind].name
    assert f"{name}, 3 layers x 24, float32 on cpu" in repr(model)
    assert (model.widths, model.n_layers) == ((24,) * 4, 3)
    assert (model.objective, model.has_logits) == (objective, objective is not None)
    assert (model.first_residue, model.max_residues) == (first, longest)
    assert set(STANDARD) <= set(model.letters) and "J" not in model.letters
    assert ("U" in model.letters) is (kind not in ("gpt2", "llama"))
    assert not model.recurrent and model.dtype == torch.float32


@pytest.mark.parametrize("kind", KINDS)
def test_every_layer_and_the_logits_are_transformers_own(kind, models, folders):
    model, (theirs, tokenizer) = models[kind], peer(kind, folders[kind])
    for sequence in SEQUENCES:
        ids = tokenizer(KINDS[kind][-1](sequence), return_tensors="pt")["input_ids"]
        assert_close(model.tokens([sequence]), ids)
        with torch.no_grad():
            wanted = theirs(ids, attention_mask=torch.ones_like(ids), output_hidden_states=True)
        ours = model.forward(model.tokens([sequence]), range(4), logits=model.has_logits)
        for layer, states in enumerate(wanted.hidden_states):
            assert_same(ours.representations[layer], states)
        if model.has_logits:
            assert_same(ours.logits, wanted.logits)


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_with_padding_gives_what_each_gives_alone(kind, models):
    model = models[kind]
    batch = model.tokens(SEQUENCES)
    together = model.forward(batch, range(4), logits=model.has_logits)
    for row, sequence in enumerate(SEQUENCES):
        tokens = model.tokens([sequence])
        n = tokens.shape[1]
        assert_close(batch[row, :n], tokens[0])
        alone = model.forward(tokens, range(4), logits=model.has_logits)
        for layer in range(4):
            assert_same(together.representations[layer][row, :n], alone.representations[layer][0])
        if model.has_logits:
            assert_same(together.logits[row, :n], alone.logits[0])


@pytest.mark.parametrize("kind", KINDS)
def test_embed_gives_every_residue_its_own_vector(kind, models):
    model = models[kind]
    proteins = Proteins.from_sequences({f"P{i}": s for i, s in enumerate(SEQUENCES)})
    found = np.full((proteins.n_residues, 24), np.nan, np.float32)
    for rows, layers in model.embed(proteins, [0, 3], 20, progress=False):
        assert np.isnan(found[rows]).all()
        found[rows] = layers[3].numpy()
    for i, sequence in enumerate(SEQUENCES):
        alone = model.forward(model.tokens([sequence]), [3]).representations[3][0]
        mine = alone[model.first_residue : model.first_residue + len(sequence)]
        assert_close(torch.from_numpy(found[proteins.rows(f"P{i}")]), mine, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_classes_are_residues_ids_and_nothing_else(kind, models):
    model = models[kind]
    tokens = model.tokens(["MKT", "M"])
    classes, first = model.classes(tokens), model.first_residue
    assert_close(classes[0, first : first + 3], tokens[0, first : first + 3])
    assert classes[0].ne(-100).sum() == 3 and classes[1].ne(-100).sum() == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layer", range(4))
def test_an_edit_replaces_the_representation_and_the_run_goes_on(kind, layer, models):
    model = models[kind]
    tokens, others = model.tokens(["MKTAYIA", "MKA"]), model.tokens(["AAAAAAA", "CCC"])
    last = {"layers": range(4), "logits": model.has_logits}
    plain = model.forward(tokens, **last)
    other = model.forward(others, **last)
    same = model.forward(tokens, edit={layer: lambda x: x}, **last)
    assert_close(same.representations[3], plain.representations[3], rtol=0, atol=0)
    patched = model.forward(tokens, edit={layer: lambda _: other.representations[layer]}, **last)
    for k in range(4):
        wanted = other if k >= layer else plain
        assert_close(patched.representations[k], wanted.representations[k], rtol=0, atol=0)
    if model.has_logits:
        assert_close(patched.logits, other.logits, rtol=0, atol=0)
        assert not torch.equal(patched.logits, plain.logits)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_flow_from_an_edit(kind, models):
    model = models[kind]
    tokens = model.tokens(["MKTAYIA", "MKA"])

    def value(shift: Tensor) -> Tensor:
        found = model.forward(tokens, [3], {1: lambda x: x + shift}, logits=model.has_logits)
        return (found.logits if model.has_logits else found.representations[3])[0, 3, 5]

    shift = torch.zeros(24, requires_grad=True)
    value(shift).backward()
    step = torch.zeros(24)
    step[2] = 1e-2
    moved = (value(step) - value(-step)) / 2e-2
    assert float(shift.grad[2]) == pytest.approx(float(moved), rel=0.05, abs=1e-2)
    assert float(shift.grad.abs().sum()) > 0


@pytest.mark.parametrize("stop", range(4))
def test_a_run_stops_at_the_deepest_layer_and_leaves_no_hook(stop, models):
    model = models["llama"]
    ran = []
    watches = [
        block.register_forward_hook(lambda *_, k=k: ran.append(k))
        for k, block in enumerate(model._body.blocks, 1)
    ]
    found = model.forward(model.tokens(["MKT"]), [stop])
    for watch in watches:
        watch.remove()
    assert list(found.representations) == [stop] and ran == list(range(1, stop + 1))
    assert not any(b._forward_pre_hooks for b in model._body.blocks)
    with pytest.raises(ValueError, match="the edit at layer 1 returned shape"):
        model.forward(model.tokens(["MKT"]), [2], {1: lambda x: x[..., 0]})
    assert not any(b._forward_pre_hooks for b in model._body.blocks)


def test_what_forward_and_tokens_refuse(models):
    model = models["t5"]
    tokens = model.tokens(["MKT"])
    with pytest.raises(ValueError, match=r"no layer 4; its layers are 0 \(embedding\) to 3"):
        model.forward(tokens, [4])
    with pytest.raises(ValueError, match="has no head, so it has no logits"):
        model.forward(tokens, logits=True)
    with pytest.raises(ValueError, match="is not recurrent, so step_edits"):
        model.forward(tokens, [1], step_edits={1: lambda x, _: x})
    with pytest.raises(
        ValueError, match=r"no token for 'J' \(position 3 of 'MKJA'\.\.\.\); it knows"
    ):
        model.tokens(["MKJA"])
    with pytest.raises(ValueError, match="has no mask token; give sequences without <mask>"):
        models["gpt2"].tokens(["M<mask>K"])


@pytest.mark.parametrize("kind", ["esm", "bert", "esmc"])
def test_a_mask_is_one_token(kind, models, folders):
    _, tokenizer = peer(kind, folders[kind])
    tokens = models[kind].tokens(["MK<mask>A"])
    assert tokens[0, 3] == tokenizer.mask_token_id and tokens.shape == (1, 6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_shuffled_control_keeps_each_parameters_values(kind, models):
    model = models[kind]
    control = model.shuffled(7)
    assert control.name == f"{model.name}-shuffled-7" and control.revision != model.revision
    assert control.revision == model.shuffled(7).revision != model.shuffled(8).revision
    mine, theirs = model._body.module, control._body.module
    assert [k for k, _ in mine.named_parameters()] == [k for k, _ in theirs.named_parameters()]
    for name, value in theirs.named_parameters():
        before = mine.get_parameter(name)
        assert_close(value.flatten().sort()[0], before.flatten().sort()[0], rtol=0, atol=0)
        assert value.numel() < 9 or name.endswith("norm.weight") or not torch.equal(value, before)
    tokens = model.tokens(["MKTAY"])
    found = [m.forward(tokens, [3]).representations[3] for m in (model, control)]
    assert not torch.allclose(*found)


def test_a_head_that_the_weights_lack_is_not_made_up(tmp_path, models):
    folder = esm_1b(tmp_path, head=False)
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(
        json.dumps(settings | {"architectures": ["EsmForMaskedLM"]})
    )
    model = loaded(folder)
    assert not model.has_logits and model.objective is None
    assert repr(model).startswith("HuggingFaceModel(") and "EsmModel" in repr(model)


@pytest.mark.parametrize("kind", ["esm", "bert", "gpt2", "llama"])
def test_one_model_has_one_revision_with_its_head_or_without(kind, tmp_path, folders, models):
    whole, tokenizer = peer(kind, folders[kind])
    bare = loaded(save(tmp_path, whole.base_model, tokenizer))
    assert bare.revision == models[kind].revision and not bare.has_logits
    one, other = (m.shuffled(1).forward(m.tokens(["MKT"]), [3]) for m in (bare, models[kind]))
    assert_close(one.representations[3], other.representations[3], rtol=0, atol=0)
    with torch.no_grad():
        next(whole.base_model.parameters())[0, 0] += 1e-3
    assert loaded(save(tmp_path, whole, tokenizer)).revision != bare.revision


def test_pytorch_model_bin_gives_the_same_model(tmp_path, folders, models):
    whole, tokenizer = peer("bert", folders["bert"])
    save(tmp_path, whole, tokenizer)
    (tmp_path / "model.safetensors").unlink()
    torch.save(whole.state_dict(), tmp_path / "pytorch_model.bin")
    assert loaded(tmp_path).revision == models["bert"].revision


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_is_close(kind, dtype, folders, models):
    half = plm.load(folders[kind], "cpu", dtype)
    assert half.dtype == getattr(torch, dtype) and half.revision == models[kind].revision
    tokens = half.tokens(["MKTAYIAKQR"])
    mine, exact = (m.forward(tokens, [3]).representations[3].float() for m in (half, models[kind]))
    assert mine.isfinite().all()
    assert float((mine - exact).abs().mean()) < 0.1 * float(exact.abs().mean())


def test_inspect_holds_no_weights(folders, models):
    record = plm.inspect(folders["llama"])
    assert (record.revision, record.widths) == (models["llama"].revision, (24,) * 4)
    model = plm.load(folders["llama"], "meta")
    assert isinstance(model, HuggingFaceModel)
    assert {p.device.type for p in model._body.module.parameters()} == {"meta"}


def test_a_tokenizer_that_merges_residues_is_refused(tmp_path):
    gpt2(tmp_path, merges=[("M", "K"), ("A", "Y")])
    with pytest.raises(
        ValueError,
        match=r"its tokens merge residues \('MK' becomes 'MK'\), so no vector belongs to one res",
    ):
        plm.load(tmp_path)


@pytest.mark.parametrize("pair", ["WW", "CH", "YY"])
def test_one_merge_anywhere_is_enough(pair):
    tokenizer = letters_tokenizer(merges=[(pair[0], pair[1])])
    with pytest.raises(ValueError, match=rf"'{pair}'\), so no vector belongs to one residue"):
        residue_tokens(tokenizer, "m")


def test_a_tokenizer_of_text_is_refused(tmp_path):
    vocab = vocabulary(tmp_path, "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "A")
    with pytest.raises(
        ValueError, match=r"m lacks tokens for some of the 20 .*'MKTAYIAK' \.\.\. becomes '\[CLS\]'"
    ):
        residue_tokens(transformers.BertTokenizer(str(vocab)), "m")


def test_padding_that_a_model_reads_is_refused(tmp_path):
    """FNet mixes positions by a Fourier transform and takes no mask."""
    vocab = vocabulary(tmp_path, "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *STANDARD)
    config = transformers.FNetConfig(
        hidden_size=24, num_hidden_layers=2, intermediate_size=48, vocab_size=25
    )
    tokenizer = transformers.BertTokenizer(str(vocab), do_lower_case=False)
    save(tmp_path, random(transformers.FNetModel, config), tokenizer)
    with pytest.raises(ValueError, match="it does not ignore padding, so a prot"):
        plm.load(tmp_path)


def test_no_code_of_a_repository_is_run(tmp_path, folders):
    marker = tmp_path / "marker"
    code = f"open({str(marker)!r}, 'w')\n"
    folder = tmp_path / "m"
    folder.mkdir()
    whole, tokenizer = peer("bert", folders["bert"])
    save(folder, whole, tokenizer)
    for file in ("modeling_own.py", "configuration_own.py", "tokenization_own.py"):
        (folder / file).write_text(code)
    config = folder / "config.json"
    settings = json.loads(config.read_text())
    mapped = {
        "AutoConfig": "configuration_own.OwnConfig",
        "AutoModel": "modeling_own.OwnModel",
        "AutoModelForMaskedLM": "modeling_own.OwnModel",
    }
    config.write_text(json.dumps(settings | {"model_type": "own", "auto_map": mapped}))
    with pytest.raises(ValueError, match="m needs Python code of its own repository, and code"):
        plm.load(folder)
    # Where transformers has the type itself, its own class is taken.
    config.write_text(json.dumps(settings | {"auto_map": mapped}))
    own = json.loads((folder / "tokenizer_config.json").read_text())
    own["auto_map"] = {"AutoTokenizer": ["tokenization_own.Own", None]}
    (folder / "tokenizer_config.json").write_text(json.dumps(own))
    assert "BertForMaskedLM" in repr(plm.load(folder, "cpu"))
    config.write_text(json.dumps(settings | {"model_type": "own"}))
    with pytest.raises(ValueError, match=r"m: transformers \S+ has no model_type 'own'"):
        plm.load(folder)
    assert not marker.exists()


class Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_weights_that_would_run_code_are_refused(tmp_path, folders):
    whole, tokenizer = peer("bert", folders["bert"])
    save(tmp_path, whole, tokenizer)
    (tmp_path / "model.safetensors").unlink()
    state = {**whole.state_dict(), "trap": Trap(tmp_path / "marker")}
    torch.save(state, tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"model\.bin: not a checkpoint that can be read safely"):
        plm.load(tmp_path)
    assert not (tmp_path / "marker").exists()


def test_other_files_than_a_models_are_refused_in_one_sentence(tmp_path, folders):
    whole, tokenizer = peer("bert", folders["bert"])
    save(tmp_path, whole, tokenizer)
    config = tmp_path / "config.json"
    settings = json.loads(config.read_text())
    config.write_text(json.dumps(settings | {"num_hidden_layers": 4}))
    with pytest.raises(
        ValueError, match=r"16 parameters of BertForMaskedLM are missing .* another model's"
    ):
        plm.load(tmp_path)
    config.write_text(json.dumps(settings | {"hidden_size": 48}))
    with pytest.raises(
        ValueError, match=r"transformers cannot read it .*; wanted config.json, weigh"
    ):
        plm.load(tmp_path)
    config.write_text(json.dumps(settings))
    (tmp_path / "model.safetensors").write_bytes(b"not")
    with pytest.raises(ValueError, match="transformers cannot read it"):
        plm.load(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"has no weights; wanted model\.safetensors or"):
        plm.load(tmp_path)


def test_a_sentencepiece_file_as_prott5_has_it(tmp_path):
    """spiece.model alone: no tokenizer.json was saved next to it."""
    sentencepiece = pytest.importorskip("sentencepiece")
    generator, written = np.random.default_rng(0), io.BytesIO()
    lines = (" ".join(generator.choice(list(STANDARD + "XUBZO"), 60)) for _ in range(200))
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=lines,
        model_writer=written,
        vocab_size=54,  # each letter with and without the mark of a word
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    config = transformers.T5Config(d_model=24, d_kv=8, d_ff=48, num_layers=2, vocab_size=54)
    random(transformers.T5EncoderModel, config).save_pretrained(tmp_path)
    (tmp_path / "spiece.model").write_bytes(written.getvalue())
    about = {"tokenizer_class": "T5Tokenizer", "extra_ids": 0}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(about))
    model = loaded(tmp_path)
    assert (model.letters, model.first_residue) == ("ACDEFGHIKLMNPQRSTVWYXBUZO", 0)
    pieces = sentencepiece.SentencePieceProcessor(model_proto=written.getvalue())
    wanted = [*pieces.encode("M K T X"), pieces.eos_id()]
    assert model.tokens(["MKTX"])[0].tolist() == wanted


def test_a_head_that_runs_an_inner_model_itself(tmp_path):
    """OPT's head calls its decoder and passes its bare model by."""
    tokenizer = letters_tokenizer("<|bos|>")
    config = transformers.OPTConfig(
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=3,
        ffn_dim=48,
        vocab_size=23,
        word_embed_proj_dim=24,
        pad_token_id=0,
    )
    model = loaded(save(tmp_path, random(transformers.OPTForCausalLM, config), tokenizer))
    tokens = model.tokens(["MKTAY"])
    plain = model.forward(tokens, [2], logits=True)
    zeroed = model.forward(tokens, [2], {2: torch.zeros_like}, logits=True)
    assert plain.representations[2].any() and not zeroed.representations[2].any()
    assert not zeroed.logits.any() and plain.logits.any()


def test_layers_that_are_not_where_they_are_looked_for_are_refused(tmp_path):
    """XLNet's blocks read [T, B, width]; its hidden states are [B, T, width]."""
    config = transformers.XLNetConfig(d_model=24, n_layer=2, n_head=3, d_inner=48, vocab_size=23)
    tokenizer = letters_tokenizer("<|bos|>")
    save(tmp_path, random(transformers.XLNetLMHeadModel, config), tokenizer)
    with pytest.raises(ValueError, match="the inputs of its blocks are not its hidden states"):
        plm.load(tmp_path)


def test_an_encoder_with_a_decoder_is_refused(tmp_path):
    config = transformers.BartConfig(
        d_model=24,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=3,
        decoder_attention_heads=3,
        vocab_size=23,
    )
    model = random(transformers.BartForConditionalGeneration, config)
    save(tmp_path, model, letters_tokenizer("<|bos|>"))
    with pytest.raises(ValueError, match=r"is an encoder-decoder \(bart\)"):
        plm.load(tmp_path)


def test_without_transformers_the_message_says_what_to_install(monkeypatch, folders):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError, match=r"pip install 'interplm-nb\[huggingface\]'"):
        plm.load(folders["bert"])


def test_transformers_is_imported_for_its_models_only(tmp_path):
    code = (
        "import sys; from interplm_nb import plm; plm.load('esm2-mini', 'cpu'); "
        "import interplm_nb.plm.huggingface; assert 'transformers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)


# The hub.


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with local_hub(monkeypatch, tmp_path) as server:
        yield server


def test_from_a_hub_and_then_from_the_cache(hub, folders, models, monkeypatch):
    more = {
        "README.md": b"---\nlicense: cc-by-4.0\n---\n",
        "modeling_own.py": b"raise SystemExit",
        "pytorch_model.bin": b"not fetched",
        "onnx/model.safetensors": b"not fetched",
    }
    hub.repository("lab/protbert", files_of(folders["bert"]) | more)
    model = plm.load("lab/protbert", "cpu")
    assert (model.name, model.revision) == ("lab/protbert", models["bert"].revision)
    assert model.licence == "cc-by-4.0"
    fetched = {path.split("/")[-1] for method, path, _ in hub.asked if "/resolve/" in path}
    assert "model.safetensors" in fetched and "README.md" in fetched
    assert not fetched & {"modeling_own.py", "pytorch_model.bin"}
    hub.asked.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert plm.load("lab/protbert", "cpu").revision == model.revision
    assert not hub.asked
    assert hub_cache.repository_of(hub_cache.folder_of("lab/protbert")) == "lab/protbert"


def test_weights_that_the_cache_lacks_are_fetched(hub, folders):
    hub.repository("lab/llama", files_of(folders["llama"]))
    first = hub_cache.folder_of("lab/llama")
    (first / "model.safetensors").unlink()
    assert hub_cache.cached("lab/llama") is None
    assert plm.load("lab/llama", "cpu").objective == "next residue"


def test_what_a_hub_lacks_is_said_in_one_sentence(hub, monkeypatch):
    with pytest.raises(FileNotFoundError, match="lab/none: the hub has no such model"):
        plm.load("lab/none")
    hub.repository("lab/text", {"README.md": b"hello"})
    with pytest.raises(
        FileNotFoundError, match=r"lab/text has no readable model: .* found README\.md"
    ):
        plm.load("lab/text")
    hub.repository("lab/gated", {"config.json": b"{}"})
    hub.repositories["lab/gated"].gated = True
    with pytest.raises(PermissionError, match="lab/gated is gated: ask for access"):
        plm.load("lab/gated")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        ConnectionError,
        match=r"lab/x is not in the local hub cache .*fetch it with: hf download lab/x$",
    ):
        plm.load("lab/x")
    with pytest.raises(
        ConnectionError, match=r"or load 'esm2_t6_8M_UR50D', which downloads Meta's"
    ):
        plm.load("facebook/esm2_t6_8M_UR50D")


def test_a_hub_that_does_not_answer(hub, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(
        ConnectionError, match=r"lab/x is not in the local hub cache .* not be reached"
    ):
        plm.load("lab/x")
