"""Write SAEDashboard's page; the folder PACKAGES holds sae-dashboard.

    python -m benchmarks.peers.page_saedashboard PACKAGES data.json page.html

Its data classes are filled with residues instead of words, at its default layout: 20 windows around
the strongest residues and 5 from each of ten intervals of activation, 11 residues each, a histogram
of activations, and logits, of which an SAE of a masked PLM has none (random numbers).
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

LETTERS = list("ACDEFGHIKLMNPQRSTVWYXBUZO")
FLANK, TOP, PER_INTERVAL, INTERVALS = 5, 20, 5, 10


def main() -> None:
    """Read the activations, write the page."""
    packages, data, page = sys.argv[1:]
    sys.path.insert(0, packages)
    from sae_dashboard.data_writing_fns import (  # pyright: ignore[reportMissingImports]
        save_feature_centric_vis,
    )
    from sae_dashboard.sae_vis_data import (  # pyright: ignore[reportMissingImports]
        SaeVisConfig,
        SaeVisData,
    )
    from sae_dashboard.utils_fns import FeatureStatistics  # pyright: ignore[reportMissingImports]

    found = json.loads(Path(data).read_text(encoding="utf-8"))
    tokens = [[LETTERS.index(letter) for letter in sequence] for sequence in found["sequences"]]
    features = {
        int(name): _feature(tokens, [np.array(t) for t in tracks])
        for name, tracks in found["tracks"].items()
    }
    flat = torch.tensor(
        [[v for track in tracks for v in track] for tracks in found["tracks"].values()]
    )
    model: Any = SimpleNamespace(
        tokenizer=SimpleNamespace(vocab={letter: i for i, letter in enumerate(LETTERS)})
    )
    config = SaeVisConfig(hook_point="layer", features=list(features))
    save_feature_centric_vis(
        SaeVisData(config, features, FeatureStatistics.create(flat), model), Path(page)
    )


def _feature(tokens: list[list[int]], tracks: list[np.ndarray]) -> Any:
    from sae_dashboard import components  # pyright: ignore[reportMissingImports]
    from sae_dashboard.feature_data import FeatureData  # pyright: ignore[reportMissingImports]

    logits = torch.randn(len(LETTERS), generator=torch.Generator().manual_seed(0))
    values = torch.tensor(np.concatenate(tracks))
    order = logits.argsort()
    table = components.LogitsTableData(
        order[:10].tolist(),
        logits[order[:10]].tolist(),
        order[-10:].tolist(),
        logits[order[-10:]].tolist(),
    )
    groups = [
        components.SequenceGroupData(title, [_window(tokens, tracks, logits, *at) for at in places])
        for title, places in _places(tracks)
    ]
    return FeatureData(
        acts_histogram_data=components.ActsHistogramData.from_data(
            values[values > 0], 50, "5 ticks", "ACTIVATIONS"
        ),
        logits_table_data=table,
        logits_histogram_data=components.LogitsHistogramData.from_data(
            logits, 50, "5 ticks", "LOGITS"
        ),
        sequence_data=components.SequenceMultiGroupData(groups),
    )


def _places(tracks: list[np.ndarray]) -> list[tuple[str, list[tuple[int, int]]]]:
    """Groups of (protein, residue): the strongest, then some of each interval."""
    at = [(p, r) for p, track in enumerate(tracks) for r in range(FLANK + 1, len(track) - FLANK)]
    values = np.array([tracks[p][r] for p, r in at])
    groups = [("TOP ACTIVATIONS", [at[i] for i in np.argsort(-values)[:TOP]])]
    rng = np.random.default_rng(0)
    for low, high in zip(
        np.linspace(0, 1, INTERVALS + 1)[:-1], np.linspace(0, 1, INTERVALS + 1)[1:], strict=True
    ):
        inside = np.flatnonzero((values >= low * values.max()) & (values <= high * values.max()))
        chosen = rng.choice(inside, min(PER_INTERVAL, len(inside)), replace=False)
        groups.append((f"INTERVAL {low:.3f} - {high:.3f}", [at[i] for i in chosen]))
    return groups


def _window(
    tokens: list[list[int]],
    tracks: list[np.ndarray],
    logits: torch.Tensor,
    protein: int,
    residue: int,
) -> Any:
    from sae_dashboard.components import SequenceData  # pyright: ignore[reportMissingImports]

    ids = tokens[protein][residue - FLANK : residue + FLANK + 1]
    values = tracks[protein][residue - FLANK : residue + FLANK + 1].tolist()
    return SequenceData(
        original_index=protein,
        qualifying_token_index=residue,
        token_ids=ids,
        feat_acts=values,
        token_logits=logits[ids].tolist(),
    )


if __name__ == "__main__":
    main()
