"""UniRep with few units and random weights, and its equations one residue at a time in float64."""

from pathlib import Path

import numpy as np
import torch

from interplm_nb.plm.unirep import UniRep, encoder_revision
from interplm_nb.plm.unirep_weights import shapes


def random_arrays(units: int = 8, n_layers: int = 2, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {k: rng.normal(size=s).astype(np.float32) for k, s in shapes(units, n_layers).items()}


def tiny(units: int = 8, n_layers: int = 2, dtype: str = "float32", seed: int = 0) -> UniRep:
    weights = {k: torch.from_numpy(v) for k, v in random_arrays(units, n_layers, seed).items()}
    return UniRep(weights, "tiny", encoder_revision(weights), "cpu", dtype)


def write_npz(path: Path, units: int = 8, n_layers: int = 1) -> Path:
    np.savez(path, allow_pickle=False, **random_arrays(units, n_layers))
    return path


IDS = {c: i for i, c in enumerate("MRHKDESTNQCUGPAVIFYWLO", 1)} | dict.fromkeys("XZBJ", 23)


def by_hand(arrays: dict[str, np.ndarray], sequence: str) -> tuple[list[np.ndarray], np.ndarray]:
    """Each layer's output, [1 + L, width], and the logits, by the published equations."""

    def sigmoid(x: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-x))

    a = {k: v.astype(np.float64) for k, v in arrays.items()}
    x = [a["embedding"][i] for i in (24, *(IDS[c] for c in sequence))]
    outputs = [np.array(x)]
    for n in range(sum(k.endswith(".wmh") for k in a)):
        w = {
            k: a[f"mlstm.{n}.{k}"]
            / np.linalg.norm(a[f"mlstm.{n}.{k}"], axis=0)
            * a[f"mlstm.{n}.g{k[1:]}"]
            for k in ("wx", "wh", "wmx", "wmh")
        }
        h = c = np.zeros(w["wmh"].shape[0])
        out = []
        for x_t in x:
            m = (x_t @ w["wmx"]) * (h @ w["wmh"])
            i, f, o, u = np.split(x_t @ w["wx"] + m @ w["wh"] + a[f"mlstm.{n}.b"], 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(u)
            h = sigmoid(o) * np.tanh(c)
            out.append(h)
        x = out
        outputs.append(np.array(out))
    return outputs, outputs[-1] @ a["dense.w"] + a["dense.b"]
