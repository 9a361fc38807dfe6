"""What a training leaves on disk while it runs: metrics line by line, and the state that another process can go on from."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from interplm_nb.sae.model import SAE
from interplm_nb.saving import atomic_path

METRICS = "metrics.jsonl"
STATE = "training.safetensors"
_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


class Metrics:
    """`metrics.jsonl`: one JSON object per line, each on disk as soon as it is known."""

    def __init__(self, path: Path, after_step: int) -> None:
        """Open for appending; lines later than `after_step`, written by a process that then died, are dropped: they will come again."""
        kept = [line for line in read_metrics(path) if line["step"] <= after_step]
        with atomic_path(path) as draft:
            draft.write_text("".join(_line(values) for values in kept), encoding="utf-8")
        self._stream = path.open("a", encoding="utf-8", buffering=1)

    def write(self, values: Mapping[str, float]) -> None:
        """Append one line; `values` hold `step`."""
        self._stream.write(_line(values))

    def close(self) -> None:
        """Close the file; `write` is a ValueError from then on."""
        self._stream.close()


def read_metrics(path: Path) -> list[dict[str, float]]:
    """The lines of a `metrics.jsonl`; a last line that was cut off is left out. Empty if there is no such file."""
    found: list[dict[str, float]] = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return found


def save_state(path: Path, sae: SAE, optimizer: torch.optim.Adam, silent: Tensor, step: int, identity: Mapping[str, Any]) -> None:
    """Write weights, Adam's moments and counters of silence after `step` steps, atomically.

    There is no generator state: everything drawn at random is a function of (seed, step).
    """
    tensors = {"silent": silent}
    for name, weight in sae.named_parameters():
        tensors[name] = weight.detach()
        tensors.update({f"{name}.{moment}": optimizer.state[weight][moment] for moment in _MOMENTS})
    record = json.dumps({"step": step, "identity": dict(identity)})
    with atomic_path(path) as draft:
        save_file({name: value.cpu().contiguous() for name, value in tensors.items()}, draft, metadata={"interplm_nb": record})


def read_state_record(path: Path) -> dict[str, Any]:
    """`step` and `identity` of a saved state."""
    with safe_open(path, "pt") as file:
        return json.loads(file.metadata()["interplm_nb"])


def load_state(path: Path, sae: SAE, optimizer: torch.optim.Adam, silent: Tensor) -> None:
    """Fill weights, moments and counters, in place, from a saved state."""
    with safe_open(path, "pt") as file, torch.no_grad():
        silent.copy_(file.get_tensor("silent"))
        for name, weight in sae.named_parameters():
            weight.copy_(file.get_tensor(name))
            moments = {moment: file.get_tensor(f"{name}.{moment}") for moment in _MOMENTS}
            # Adam's own step count stays where a fused Adam keeps it: with the weights.
            optimizer.state[weight] = {moment: value.to(weight.device) for moment, value in moments.items()}


def _line(values: Mapping[str, float]) -> str:
    return json.dumps(dict(values)) + "\n"
