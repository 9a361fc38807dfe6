"""A mutational scan read with a run's model and SAE, and with its random SAE as a control."""

from pathlib import Path

from pydantic import Field

from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.steered_layer import steered_layer
from interplm_nb.readers.variants import read_variants
from interplm_nb.steering.experiments.variants.scan import ScanResult, scan_variants
from interplm_nb.steering.experiments.variants.settings import VariantsSettings
from interplm_nb.steering.steered_layer import SteeredLayer


class VariantsInRun(VariantsSettings):
    """Settings of a scan, and its files."""

    scan: str = Field("", description="Table of the variants: TSV, CSV or Parquet; needed.")
    wild_type: str = Field(
        "", description="The sequence, its FASTA file, or the table's column that has it; needed."
    )
    variant_column: str = Field("variant", description="Column of the variants, such as A24C.")
    score_column: str = Field("score", description="Column of the scores; higher is fitter.")
    first: int = Field(1, description="Number that the table gives to the first residue.")


def variants_in_run(
    run: Run, settings: VariantsInRun, source: str = "sae", device: str = "auto"
) -> ScanResult:
    """Score a scan by likelihood, by features and by letters; the random SAE reads it too."""
    if not settings.scan or not settings.wild_type:
        raise PipelineError(
            "a scan needs its table and the sequence that is mutated: -s scan=scan.tsv "
            "-s wild_type=protein.fasta"
        )
    read = read_variants(
        Path(settings.scan).expanduser(),
        settings.wild_type,
        settings.variant_column,
        settings.score_column,
        first=settings.first,
    )
    at = steered_layer(run, source, device)
    controls = {}
    if source == "sae" and "random_sae" in run.with_activations():
        random_sae = run.sae("random_sae", str(at.plm.device))
        controls["random SAE"] = SteeredLayer(at.plm, random_sae, run.maxima("random_sae").train)
    return scan_variants(at, read.scan, settings, controls)
