"""ESM-2 as transformers has it: its config, its vocabulary and its parameter names."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interplm_nb.plm import names
from interplm_nb.plm.tokens import ALPHABET, MASK, PAD

# (key, what transformers takes where it is missing, what ESM-2 has). `hidden_act` is written in
# published configs and not read by transformers, whose ESM is always gelu.
_WANTED: tuple[tuple[str, Any, tuple[Any, ...]], ...] = (
    ("position_embedding_type", "absolute", ("rotary",)),
    ("emb_layer_norm_before", None, (False, None)),
    ("hidden_act", "gelu", ("gelu",)),
    ("layer_norm_eps", 1e-12, (1e-5,)),
    ("rope_theta", 10_000, (10_000,)),
    ("vocab_size", None, (len(ALPHABET),)),
    ("pad_token_id", None, (PAD,)),
    ("mask_token_id", None, (MASK,)),
    ("tie_word_embeddings", True, (True,)),
    ("is_decoder", False, (False, None)),
    ("add_cross_attention", False, (False, None)),
    ("is_folding_model", False, (False, None)),
)


def differences(settings: Mapping[str, Any], folder: Path) -> list[str]:
    """What keeps a model of transformers' type "esm" from being ESM-2; empty where nothing does.

    `settings` is its config; the vocabulary is checked where the folder has vocab.txt.
    """
    found = [
        f"{key} {settings.get(key, default)!r} (ESM-2 has {wanted[0]!r})"
        for key, default, wanted in _WANTED
        if settings.get(key, default) not in wanted
    ]
    width, inner = settings.get("hidden_size"), settings.get("intermediate_size", 3072)
    if isinstance(width, int) and inner != 4 * width:
        found.append(f"intermediate_size {inner} (ESM-2 has 4 x {width})")
    return found + _strange_vocabulary(folder / "vocab.txt")


def sizes(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that this package's ESM-2 has, by its own names of them."""
    return {
        "n_layers": settings.get("num_hidden_layers"),
        "d_model": settings.get("hidden_size"),
        "n_heads": settings.get("num_attention_heads"),
        "token_dropout": settings.get("token_dropout", False),
    }


def name_of(settings: Mapping[str, Any], given: str) -> str:
    """The model's name: Meta's where it is Meta's model, else `given`, a folder's or owner/name.

    So facebook/esm2_t6_8M_UR50D is "esm2_t6_8M_UR50D", as fair-esm's file of it. A folder of
    another name is asked for `_name_or_path`, where its config says what it was saved from.
    """
    owner, _, last = given.rpartition("/")
    if owner not in ("", "facebook"):
        return given
    origin = str(settings.get("_name_or_path", "")).rstrip("/").rpartition("/")[2]
    return next((name for name in (last, origin) if name in names.ESM2), given)


_LAYER = {
    "attention.self.query": "self_attn.q_proj",
    "attention.self.key": "self_attn.k_proj",
    "attention.self.value": "self_attn.v_proj",
    "attention.output.dense": "self_attn.out_proj",
    "attention.LayerNorm": "self_attn_layer_norm",
    "intermediate.dense": "fc1",
    "output.dense": "fc2",
    "LayerNorm": "final_layer_norm",
}
_ELSEWHERE = {
    "embeddings.word_embeddings": "embed_tokens",
    "encoder.emb_layer_norm_after": "emb_layer_norm_after",
    "lm_head.decoder": "lm_head",
}

# Parameters that no layer and no masked prediction depends on: position embeddings (published
# files hold them although ESM-2 is rotary), rotary tables, pooler, contact and task heads.
_LEFT_ASIDE = re.compile(
    r"^embeddings\.position_|rotary_embeddings\.inv_freq$|^pooler\.|^contact_head\.|^classifier\."
)


def renamed(state: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters under fair-esm's names, from transformers' names with the prefix `esm.` or none.

    A name that ESM-2 does not have is kept, so that whoever checks the names refuses it.
    """
    bare = {name.removeprefix("esm."): value for name, value in state.items()}
    return {_fair_esm(k): v for k, v in bare.items() if not _LEFT_ASIDE.search(k)}


# transformers reads these older names of a layer norm's parameters, and at times writes them.
_OLDER = {"gamma": "weight", "beta": "bias"}


def _fair_esm(name: str) -> str:
    module, _, kind = name.rpartition(".")
    kind = _OLDER.get(kind, kind)
    found = re.fullmatch(r"encoder\.layer\.(\d+)\.(.+)", module)
    if found and found[2] in _LAYER:
        return f"layers.{found[1]}.{_LAYER[found[2]]}.{kind}"
    return f"{_ELSEWHERE.get(module, module)}.{kind}"


def _strange_vocabulary(path: Path) -> list[str]:
    if not path.is_file():
        return []
    tokens = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    for place, (found, wanted) in enumerate(zip(tokens, ALPHABET, strict=False)):
        if found != wanted:
            return [f"vocab.txt has {found!r} as token {place} (ESM-2 has {wanted!r})"]
    if len(tokens) != len(ALPHABET):
        return [f"vocab.txt has {len(tokens)} tokens (ESM-2 has {len(ALPHABET)})"]
    return []
