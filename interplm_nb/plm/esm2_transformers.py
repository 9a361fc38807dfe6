"""ESM-2 in transformers' format: config, vocabulary and parameter names."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interplm_nb.plm import names
from interplm_nb.plm.tokens import ALPHABET, MASK, PAD

# (key, transformers' default, ESM-2's values). Published configs have `hidden_act`, but
# transformers does not read it: its ESM always uses gelu.
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
    """How a model of transformers' type "esm" differs from ESM-2; empty if it does not.

    `settings` is its config; the vocabulary is checked if the folder has vocab.txt.
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
    """The settings of this package's ESM-2, by its own names."""
    return {
        "n_layers": settings.get("num_hidden_layers"),
        "d_model": settings.get("hidden_size"),
        "n_heads": settings.get("num_attention_heads"),
        "token_dropout": settings.get("token_dropout", False),
    }


def name_of(settings: Mapping[str, Any], given: str) -> str:
    """The model's name: Meta's if it is Meta's model, else `given`, a folder's or owner/name.

    For a folder with another name, `_name_or_path` of its config says what it was saved from.

    Examples
    --------
    >>> name_of({}, "facebook/esm2_t6_8M_UR50D"), name_of({}, "lab/esm2_t6_8M_UR50D")
    ('esm2_t6_8M_UR50D', 'lab/esm2_t6_8M_UR50D')
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

# Parameters that no layer and no masked prediction depends on: position embeddings (in published
# files although ESM-2 is rotary), rotary tables, pooler and task heads.
_LEFT_ASIDE = re.compile(
    r"^embeddings\.position_|rotary_embeddings\.inv_freq$|^pooler\.|^classifier\."
)


def renamed(state: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters by fair-esm's names, from transformers' names with or without the prefix `esm.`.

    Other names are kept, for the check of names to refuse.
    """
    bare = {name.removeprefix("esm."): value for name, value in state.items()}
    return {_fair_esm(k): v for k, v in bare.items() if not _LEFT_ASIDE.search(k)}


# Older names of a layer norm's parameters, which transformers reads and sometimes writes.
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
