"""Training on several processes (`torchrun`): what they must agree on. For one process, everything
here is the identity."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from interplm_nb.scale.torchrun import FRESH_STORE


class World:
    """The processes of one training; each has an equal share of every batch."""

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank = rank
        self.size = size

    @property
    def writes(self) -> bool:
        """Is this the process that saves, logs and shows progress?"""
        return self.rank == 0

    def sum(self, value: Tensor) -> Tensor:
        """The sum over processes, a new tensor of the same shape; no gradient."""
        if self.size == 1:
            return value.detach()
        total = value.detach().clone()
        dist.all_reduce(total)
        return total

    def mean(self, value: Tensor) -> Tensor:
        """The mean over processes; no gradient."""
        return self.sum(value) / self.size

    def agreed(self, value: Tensor) -> Tensor:
        """The mean over all residues from this process's mean, differentiable: averaging gradients
        over processes gives the gradient of a function of the global mean."""
        return value if self.size == 1 else value + (self.mean(value) - value.detach())

    def gather(self, value: Tensor) -> Tensor:
        """All processes' values end to end along the first axis, in order of rank."""
        if self.size == 1:
            return value
        parts = [torch.empty_like(value) for _ in range(self.size)]
        dist.all_gather(parts, value.contiguous())
        return torch.cat(parts)

    def average_gradients(self, parameters: Iterator[Tensor]) -> None:
        """Replace each gradient by its mean over processes."""
        if self.size > 1:
            for parameter in parameters:
                if parameter.grad is not None:
                    dist.all_reduce(parameter.grad)
                    parameter.grad /= self.size

    def any(self, flag: bool, device: torch.device) -> bool:
        """Is the flag set on any process?"""
        return (
            flag if self.size == 1 else bool(self.sum(torch.tensor(int(flag), device=device)) > 0)
        )

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.size > 1:
            dist.barrier()


ALONE = World()


@contextmanager
def joined(device: torch.device) -> Iterator[World]:
    """The world that `torchrun` set up (RANK, WORLD_SIZE), by NCCL for CUDA devices and gloo
    elsewhere; `ALONE` without it. RuntimeError where torchrun started these processes again so
    that they would wait for those that ended."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    _check_store()
    ours = not dist.is_initialized()
    if ours:
        if device.type == "cuda":
            torch.cuda.set_device(device)
        # Long, because the others wait while one process evaluates.
        dist.init_process_group(
            "nccl" if device.type == "cuda" else "gloo", timeout=timedelta(hours=12)
        )
    try:
        yield World(dist.get_rank(), dist.get_world_size())
        dist.barrier()  # a process that leaves earlier ends gloo's threads while others use them
    finally:
        if ours:
            dist.destroy_process_group()


def _check_store() -> None:
    restarts = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    if restarts != "0" and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        raise RuntimeError(
            "torchrun started this training again, and its processes would wait for those that "
            f"ended. Run the same command with {'='.join(FRESH_STORE)} set in its environment, or "
            "with --max-restarts=0: the training goes on from its newest checkpoint"
        )


def rank_and_size() -> tuple[int, int]:
    """RANK and WORLD_SIZE as `torchrun` sets them; (0, 1) without it."""
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
