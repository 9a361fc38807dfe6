"""Each peer's own equation, written out plainly, and its file's exact tensors, for the tests of the
importers."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

D_IN, D_SAE, K = 8, 24, 5


class Features(NamedTuple):
    """What a peer computes."""

    f: Tensor
    x_hat: Tensor


def numbers(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * scale


def embeddings(n: int = 64) -> Tensor:
    return numbers(n, D_IN, seed=99) * 2 + 0.5


def linear(**more: Tensor) -> dict[str, Tensor]:
    """An encoder and a decoder that are torch Linear layers; atoms are unit norm."""
    atoms = numbers(D_IN, D_SAE, seed=3)
    base = {
        "encoder.weight": numbers(D_SAE, D_IN, seed=1),
        "encoder.bias": numbers(D_SAE, seed=2),
        "decoder.weight": atoms / atoms.norm(dim=0),
    }
    return base | more


def matrices(**more: Tensor) -> dict[str, Tensor]:
    """An encoder and a decoder that are plain matrices."""
    base = {"W_enc": numbers(D_IN, D_SAE, seed=1), "b_enc": numbers(D_SAE, seed=2)}
    return base | {"W_dec": numbers(D_SAE, D_IN, seed=3), "b_dec": numbers(D_IN, seed=4)} | more


def top_k(values: Tensor, k: int) -> Tensor:
    """The k largest of each row, zeros elsewhere."""
    kept = torch.zeros_like(values)
    for row, value in enumerate(values):
        best = value.argsort(descending=True)[:k]
        kept[row, best] = value[best]
    return kept


def decoded(t: dict[str, Tensor], f: Tensor) -> Features:
    bias = next(t[name] for name in ("bias", "b_dec", "decoder.bias", "decoder_bias") if name in t)
    atoms = t["W_dec"] if "W_dec" in t else t["decoder.weight"].T
    return Features(f, f @ atoms + bias)


def relu(t: dict[str, Tensor], x: Tensor) -> Features:
    return decoded(t, ((x - t["bias"]) @ t["encoder.weight"].T + t["encoder.bias"]).relu())


def plain_relu(t: dict[str, Tensor], x: Tensor) -> Features:
    f = (x @ t["encoder.weight"].T + t["encoder.bias"]).relu()
    return Features(f, f @ t["decoder.weight"].T + t["decoder.bias"])


def interplm_topk(t: dict[str, Tensor], x: Tensor) -> Features:
    return decoded(
        t, top_k(((x - t["b_dec"]) @ t["encoder.weight"].T + t["encoder.bias"]).relu(), int(t["k"]))
    )


def interplm_batchtopk(t: dict[str, Tensor], x: Tensor) -> Features:
    active = ((x - t["b_dec"]) @ t["encoder.weight"].T + t["encoder.bias"]).relu()
    return decoded(t, active * (active > t["threshold"]))


def interplm_jumprelu(t: dict[str, Tensor], x: Tensor) -> Features:
    before = x @ t["encoder.weight"].T + t["encoder.bias"]
    return decoded(t, (before * (before > t["threshold"])).relu())


def plain_jumprelu(t: dict[str, Tensor], x: Tensor) -> Features:
    before = x @ t["W_enc"] + t["b_enc"]
    return decoded(t, (before * (before > t["threshold"])).relu())


def sqrt_d(equation: Any, t: dict[str, Tensor], x: Tensor) -> Features:
    """InterPLM's normalize_to_sqrt_d around an equation, undone."""
    norms = x.norm(dim=1, keepdim=True)
    f, x_hat = equation(t, x / norms * D_IN**0.5)
    return Features(f, x_hat * norms / D_IN**0.5)


def interprot(t: dict[str, Tensor], x: Tensor, k: int) -> Features:
    mean = x.mean(1, keepdim=True)
    std = (x - mean).std(1, keepdim=True)
    f = top_k(((x - mean) / (std + 1e-5) - t["b_pre"]) @ t["w_enc"] + t["b_enc"], k).relu()
    return Features(f, (f @ t["w_dec"] + t["b_pre"]) * std + mean)


def esmc(t: dict[str, Tensor], x: Tensor, k: int) -> Features:
    """x_hat is of the normalised x there; it is undone here."""
    mean = x.mean(1, keepdim=True)
    std = (x - mean).std(1, keepdim=True)
    f = top_k((((x - mean) / (std + 1e-5) - t["b_dec"]) @ t["W_enc"]).relu(), k)
    return Features(f, (f @ t["W_dec"] + t["b_dec"]) * std + mean)


def matryoshka(t: dict[str, Tensor], x: Tensor) -> Features:
    active = ((x - t["b_dec"]) @ t["W_enc"] + t["b_enc"]).relu()
    return decoded(t, active * (active > t["threshold"]))


def gated(t: dict[str, Tensor], x: Tensor) -> Features:
    u = (x - t["decoder_bias"]) @ t["encoder.weight"].T
    return decoded(t, ((u + t["gate_bias"]) > 0) * (t["r_mag"].exp() * u + t["mag_bias"]).relu())


def sparsify(t: dict[str, Tensor], x: Tensor, k: int) -> Features:
    return decoded(
        t, top_k(((x - t["b_dec"]) @ t["encoder.weight"].T + t["encoder.bias"]).relu(), k)
    )


def saelens(t: dict[str, Tensor], x: Tensor, config: dict[str, Any]) -> Features:
    """SAELens' encode and decode of one architecture, with its settings."""
    factor = config.get("factor", 1.0)
    mean = std = None
    if config["normalize_activations"] == "layer_norm":
        mean, std = x.mean(1, keepdim=True), x.std(1, keepdim=True)
        seen = (x - mean) / (std + 1e-5)
    elif config["normalize_activations"] == "constant_norm_rescale":
        mean, std = 0, x.norm(dim=1, keepdim=True) / D_IN**0.5
        seen = x / std
    else:
        seen = x * factor
    seen = seen - t["b_dec"] * config["apply_b_dec_to_input"]
    f, atoms = _saelens_features(t, seen, config)
    out = f @ atoms + t["b_dec"]
    return Features(f, out / factor if std is None else out * std + mean)


def _saelens_features(
    t: dict[str, Tensor], seen: Tensor, config: dict[str, Any]
) -> tuple[Tensor, Tensor]:
    if config["architecture"] == "gated":
        gate = seen @ t["W_enc"] + t["b_gate"] > 0
        return gate * (seen @ (t["W_enc"] * t["r_mag"].exp()) + t["b_mag"]).relu(), t["W_dec"]
    z, atoms = seen @ t["W_enc"] + t["b_enc"], t["W_dec"]
    if config.get("rescale_acts_by_decoder_norm"):
        norms = atoms.norm(dim=1)
        z, atoms = z * norms, atoms / norms[:, None]
    match config["architecture"]:
        case "standard":
            return z.relu(), atoms
        case "topk":
            return top_k(z, config["k"]).relu(), atoms
    threshold = t.get("threshold", t.get("topk_threshold"))
    return z.relu() * (z > threshold), atoms
