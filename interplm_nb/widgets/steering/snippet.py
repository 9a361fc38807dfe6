"""The settings of the panel as Python that gives the same numbers."""

from interplm_nb.pipeline.run import Run
from interplm_nb.widgets.steering.steered import Settings


def snippet(run: Run, source: str, sequence: str, settings: Settings) -> str:
    """Lines that end with `p`, float32 [3, n, 20]: unsteered, steered and control."""
    shipped = run.folder.resolve() == Run.shipped().folder.resolve()
    opened = "Run.shipped()" if shipped else f"Run.open({str(run.folder)!r})"
    positions = f", positions={settings.positions}" if settings.positions else ""
    changes = "".join(
        f"    Change({feature}, {settings.how!r}, {settings.strength!r}{positions}),\n"
        for feature in settings.features
    )
    control = (
        f"along_random(changes, seed={settings.seed})"
        if settings.control == "direction"
        else f"matched_changes(at, changes, seed={settings.seed})"
    )
    maker = control.partition("(")[0]
    read = f"masked({sequence!r}, {settings.masks})" if settings.masks else repr(sequence)
    names = "SteeredSequence, masked" if settings.masks else "SteeredSequence"
    error = "" if settings.keep_error else ", keep_error=False"
    return (
        "import numpy as np\n\n"
        "from interplm_nb.features.logos import AMINO_ACIDS  # columns of p\n"
        "from interplm_nb.pipeline.run import Run\n"
        "from interplm_nb.pipeline.steered_layer import steered_layer\n"
        f"from interplm_nb.steering.controls import {maker}\n"
        "from interplm_nb.steering.intervene import Change\n"
        f"from interplm_nb.steering.steered_sequence import {names}\n\n"
        f"at = steered_layer({opened}, {source!r})\n"
        f"sequence = SteeredSequence(at, {read})\n"
        f"changes = [\n{changes}]\n"
        f"control = {control}\n"
        f"steered = sequence.steered([changes, control], {settings.where!r}{error})\n"
        "p = np.concatenate([sequence.unsteered()[None], steered])  # of residues from "
        "sequence.first\n"
    )
