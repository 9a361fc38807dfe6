"""What the parts of the GPU benchmark share: rows, a clock, and timing on a device."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch


@dataclass(frozen=True)
class Row:
    """One line of the table. `other` is a peer, the CPU, the slow definition or a bound: the note
    says which. Figures are None where nothing was measured, and the note says why."""

    part: str
    what: str
    unit: str = ""
    ours: float | None = None
    other: float | None = None
    note: str = ""
    sense: str = ""
    """"at least" or "at most" if ours / other has a goal, which is 1; else ""."""
    failed: bool = False
    """Whether an error ended the measurement."""

    @property
    def ratio(self) -> float | None:
        """ours / other, if both were measured."""
        if self.ours is None or not self.other:
            return None
        return self.ours / self.other


@dataclass(frozen=True)
class Clock:
    """A time budget, in seconds of `time.monotonic` from when it is made."""

    seconds: float
    started: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float:
        """Seconds until the budget is spent; below 0 when it is overdrawn."""
        return self.started + self.seconds - time.monotonic()

    def share(self, part: float) -> "Clock":
        """A budget of a share of what is left."""
        return Clock(max(0.0, self.left) * part)


@dataclass(frozen=True)
class Setting:
    """Where and how large."""

    device: torch.device
    tiny: bool = False
    """Sizes at which a CPU takes seconds: they show that the code works and measure nothing."""

    def pick(self, full: int, tiny: int) -> int:
        """The size that applies."""
        return tiny if self.tiny else full

    def median(self, work: Callable[[], object], clock: "Clock") -> float:
        """Median seconds over up to 9 turns, at least one, after a turn that warms up.

        It stops early when too little time is left for another turn.
        """
        longest = seconds(work, self.device)
        found: list[float] = []
        while not found or (len(found) < self.pick(9, 2) and clock.left > longest):
            found.append(seconds(work, self.device))
            longest = max(found)
        return statistics.median(found)


class Measurement(NamedTuple):
    """A named piece of a part. Its name gets a row even if it fails or has no time."""

    what: str
    take: Callable[[Clock], list[Row]]


def synchronise(device: torch.device) -> None:
    """Wait until the device has finished."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Wall seconds until the device has finished."""
    synchronise(device)
    started = time.perf_counter()
    work()
    synchronise(device)
    return time.perf_counter() - started


def peak_gib(work: Callable[[], object], device: torch.device) -> float | None:
    """Peak GiB that torch held on the device during `work`; None on a CPU."""
    if device.type != "cuda":
        work()
        return None
    torch.cuda.reset_peak_memory_stats(device)
    work()
    synchronise(device)
    return torch.cuda.max_memory_allocated(device) / 2**30


def ceiling(setting: Setting, clock: Clock) -> float:
    """FLOP/s of one large square bfloat16 product on random values, median of some turns."""
    n = setting.pick(8_192, 256)
    generator = torch.Generator(setting.device).manual_seed(0)
    a, b = (
        torch.randn(n, n, device=setting.device, dtype=torch.bfloat16, generator=generator)
        for _ in range(2)
    )
    return 2 * n**3 / setting.median(lambda: a @ b, clock)
