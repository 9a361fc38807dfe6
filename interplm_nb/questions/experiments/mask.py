"""The mask experiment in a run: its periodic features, and those that stand for the letter."""

from interplm_nb.features.identity import letter_identity
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.steered_layer import steered_layer
from interplm_nb.steering.experiments.mask import (
    MaskResult,
    MaskSettings,
    identity_features,
    mask,
    periodic_features,
)


def mask_in_run(
    run: Run, settings: MaskSettings, source: str = "sae", device: str = "auto"
) -> MaskResult:
    """Clamp the run's periodic features, or those named; identity is counted on test proteins."""
    at = steered_layer(run, source, device)
    own = settings.features or periodic_features(run.feature_table("statistics", source), settings)
    identity = letter_identity(
        run.activations(source).relative_to(at.maxima), run.accessions("test")
    )
    return mask(at, own, identity_features(identity, settings, own), settings)
