"""What a training writes while it runs: metrics line by line, and states from which it can
resume."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from interplm_nb.saving import atomic_path, remove

METRICS = "metrics.jsonl"
CHECKPOINTS = "checkpoints"
_RECORD = "interplm_nb"


class Metrics:
    """`metrics.jsonl`: one JSON object per line, each on disk as soon as it is known."""

    def __init__(self, path: Path, after_step: int) -> None:
        """Open for appending. Lines after `after_step`, from a process that was then killed, are
        dropped: they will be written again."""
        kept = [line for line in read_metrics(path) if line["step"] <= after_step]
        with atomic_path(path) as draft:
            draft.write_text("".join(_line(values) for values in kept), encoding="utf-8")
        self._stream = path.open("a", encoding="utf-8", buffering=1)

    def write(self, values: Mapping[str, Any]) -> None:
        """Append one line; `values` has `step`."""
        self._stream.write(_line(values))

    def close(self) -> None:
        """Close the file; `write` then raises ValueError."""
        self._stream.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a `metrics.jsonl`, without a last line that was cut off; empty if there is no
    such file."""
    found: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return found


def save_state(
    folder: Path, tensors: Mapping[str, Tensor], step: int, record: Mapping[str, Any], keep: int
) -> None:
    """Write `checkpoints/step_NNNNNNNN.safetensors`, atomically, and remove all but the newest
    `keep`."""
    path = folder / CHECKPOINTS / f"step_{step:08d}.safetensors"
    with atomic_path(path) as draft:
        metadata = {_RECORD: json.dumps({"step": step, **record})}
        save_file(
            {name: value.detach().cpu().contiguous() for name, value in tensors.items()},
            draft,
            metadata=metadata,
        )
    for old in states(folder)[:-keep]:
        remove(old)


def states(folder: Path) -> list[Path]:
    """Saved states, oldest first."""
    found = (folder / CHECKPOINTS).glob("step_*.safetensors")
    return sorted(p for p in found if re.fullmatch(r"step_\d+\.safetensors", p.name))


def newest_state(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    """Record (with `step`) and tensors of the newest state, or None without one. ValueError for a
    state that cannot be read."""
    paths = states(folder)
    if not paths:
        return None
    try:
        with safe_open(paths[-1], "pt") as file:
            names = file.keys()
            return json.loads(file.metadata()[_RECORD]), {n: file.get_tensor(n) for n in names}
    except (SafetensorError, TypeError, KeyError, ValueError) as error:
        raise ValueError(
            f"{paths[-1]}: cannot read this training state ({error}); remove it to resume from the "
            "one before"
        ) from error


def optimizer_tensors(
    optimizer: torch.optim.Optimizer, parameters: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The optimizer's moments and step counts, named after the parameters."""
    return {
        f"{name}.{moment}": value
        for name, weight in parameters.items()
        for moment, value in optimizer.state[weight].items()
    }


def load_optimizer(
    optimizer: torch.optim.Optimizer,
    parameters: Mapping[str, Tensor],
    tensors: Mapping[str, Tensor],
) -> None:
    """Fill the optimizer's moments from the result of `optimizer_tensors`."""
    for name, weight in parameters.items():
        moments = {
            key.removeprefix(f"{name}."): value
            for key, value in tensors.items()
            if key.startswith(f"{name}.")
        }
        # A fused Adam keeps its step count on the device of the weights.
        optimizer.state[weight] = {
            moment: value.to(weight.device) for moment, value in moments.items()
        }


def _line(values: Mapping[str, Any]) -> str:
    return json.dumps(dict(values)) + "\n"
