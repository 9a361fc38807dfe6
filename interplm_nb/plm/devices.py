"""Device and dtype of a model, by name."""

import os

import torch

from interplm_nb.cores import usable_cores

DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "float64": torch.float64,
}


KINDS = ("cpu", "cuda", "mps", "meta")
"""Kinds of devices; on "meta" a model has shapes without values, as `plm.inspect` needs."""


def choose_device(device: str | torch.device) -> torch.device:
    """A device by name; "auto" is CUDA, else MPS, else the CPU.

    Under `torchrun`, CUDA is the process's own GPU (LOCAL_RANK). On a CPU, torch is held to the
    cores that this process may use. Raises ValueError for another name, and for a device that is
    not here.
    """
    if device == "auto":
        mps = "mps" if torch.backends.mps.is_available() else "cpu"
        device = "cuda" if torch.cuda.is_available() else mps
    try:
        found = torch.device(device)
    except RuntimeError:
        found = None
    if found is None or found.type not in KINDS:
        raise ValueError(f"device={str(device)!r}; wanted auto, cpu, cuda, cuda:1 or mps")
    n = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if found.type == "cuda" and not n:
        raise ValueError(
            f"device='{found}', but torch finds no CUDA GPU; use device='auto' or 'cpu'"
        )
    if found.type == "cuda" and (found.index or 0) >= n:
        raise ValueError(f"device='{found}', but torch finds {n} GPUs, numbered from cuda:0")
    if found.type == "mps" and not torch.backends.mps.is_available():
        raise ValueError("device='mps', but this is not a Mac with a GPU that torch can use")
    if found.type == "cuda" and found.index is None and "LOCAL_RANK" in os.environ:
        return torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    if found.type == "cpu" and torch.get_num_threads() > usable_cores():
        torch.set_num_threads(usable_cores())
    return found


def multiplies_bfloat16(device: torch.device) -> bool:
    """Has the device instructions for products of bfloat16?"""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    # torch has no public function for this; another version of torch without these says no.
    asked = [getattr(torch.cpu, f"_is_{k}_supported", None) for k in ("avx512_bf16", "amx_tile")]
    return device.type == "cpu" and any(f is not None and f() for f in asked)


def choose_dtype(dtype: str | torch.dtype, auto: torch.dtype = torch.float32) -> torch.dtype:
    """A dtype by name; "auto" is `auto`, which each model family chooses for its device."""
    if dtype == "auto":
        return auto
    found = DTYPES.get(dtype) if isinstance(dtype, str) else dtype
    if found is None or found not in DTYPES.values():
        raise ValueError(f"dtype must be auto or one of {', '.join(DTYPES)}; got {dtype}")
    return found
