"""How fast this CPU multiplies matrices, to estimate how long a run takes."""

import time

import torch


def product_rate(dtype: str = "float32", seconds: float = 0.3) -> float:
    """FLOP/s of products of [128, 2048] x [2048, 2048], over about `seconds`."""
    a = torch.ones(128, 2048, dtype=getattr(torch, dtype))
    b = torch.ones(2048, 2048, dtype=getattr(torch, dtype))
    with torch.inference_mode():
        _ = a @ b
        begun, n = time.perf_counter(), 0
        while time.perf_counter() - begun < seconds:
            _ = a @ b
            n += 1
    return n * 2.0 * a.numel() * b.shape[1] / (time.perf_counter() - begun)
