"""What generated sequences are judged by."""

from collections.abc import Collection
from dataclasses import dataclass

from interplm_nb.proteins import Proteins
from interplm_nb.steering.judges import ProbeJudge
from interplm_nb.steering.rules import Rule


@dataclass(frozen=True)
class Judging:
    """What generated sequences are judged by."""

    rule: Rule
    """The concept in letters."""
    natural: Proteins | None = None
    """Proteins for base rates, and among which relatives are searched for."""
    carriers: Collection[str] = ()
    """Those that carry the concept."""
    probe: ProbeJudge | None = None
    """The concept's probe on another model or layer."""
    related: Collection[int] = ()
    """Features of the same concept, which are no controls."""
