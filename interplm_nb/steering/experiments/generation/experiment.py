"""Do sequences that are generated with a feature clamped carry its concept?

A feature that detects a concept need not cause it. So all conditions are drawn side by side with
the same random numbers, and are judged by what does not know the SAE (`Judging`): a rule on
letters, the same letters shuffled, a probe on another model, the unsteered model's perplexity,
relatives among natural proteins, and the commonest letter, which tells where the text breaks down.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from interplm_nb.readers import mmseqs
from interplm_nb.steering.experiments.generation.conditions import Condition, conditions
from interplm_nb.steering.experiments.generation.judging import Judging
from interplm_nb.steering.experiments.generation.result import GenerationResult
from interplm_nb.steering.experiments.generation.settings import DrawSettings, GenerationSettings
from interplm_nb.steering.experiments.generation.tables import RATES, SEQUENCES, judged, rates
from interplm_nb.steering.generate import Lane, Sampling, Unmasking, sample, unmask
from interplm_nb.steering.intervene import MASK
from interplm_nb.steering.judges import windows
from interplm_nb.steering.steered_layer import SteeredLayer


def generation(
    at: SteeredLayer,
    feature: int,
    judging: Judging,
    settings: GenerationSettings | None = None,
) -> GenerationResult:
    """Generate sequences with a feature clamped, beside all controls, and judge them.

    Parameters
    ----------
    at
        The layer, its PLM and SAE. A next-residue model is sampled from left to right, a masked one
        fills in a sequence of masks.
    feature
        The feature to clamp.
    judging
        The rule, natural proteins and probe.
    settings
        Strengths, numbers, length, temperature; by default a small generation.

    Returns
    -------
    GenerationResult

    Raises
    ------
    ValueError
        For a feature that does not exist or is dead, a model that generates nothing, a strength
        that makes logits infinite or NaN, and more controls than features.
    """
    settings = settings or GenerationSettings()
    plan = conditions(at, feature, settings, judging)
    searched = judging.natural is not None and mmseqs.is_installed()
    sequences = judged(
        _drawn(at, plan, settings), at.plm, judging.rule, judging.probe, judging.natural
    )
    shares = (judging.rule, settings.n_shuffles, settings.seed, searched)
    probe = judging.probe
    return GenerationResult(
        settings,
        feature,
        at.plm.name,
        judging.rule.name,
        judging.rule.words,
        None
        if probe is None
        else f"{probe.name}: on natural test proteins it calls {probe.found[0]} of "
        f"{probe.found[1]} that carry it and {probe.wrong[0]} of {probe.wrong[1]} others",
        rates(sequences, ("kind", "condition", "strength", "which"), *shares),
        rates(sequences, ("kind", "strength"), *shares),
        _natural(at, judging, settings),
        sequences,
    )


def generated(
    at: SteeredLayer, lanes: Sequence[Lane], settings: DrawSettings, seed: int
) -> list[list[str]]:
    """`n_sequences` sequences of each lane, by the way of generating that the model has."""
    if at.plm.objective == "masked":
        how = Unmasking(
            MASK * settings.length,
            settings.temperature,
            settings.order,
            min(settings.n_steps, settings.length),
            seed=seed,
        )
        return unmask(at, lanes, settings.n_sequences, how)
    way = Sampling(settings.length, settings.temperature, settings.prefix, settings.stop, seed=seed)
    return sample(at, lanes, settings.n_sequences, way)


def _drawn(
    at: SteeredLayer, plan: Sequence[Condition], settings: GenerationSettings
) -> pl.DataFrame:
    """kind, condition, strength, which, seed, sequence; sequences without a residue left out."""
    rows = []
    for seed in range(settings.seed, settings.seed + settings.n_seeds):
        lanes = generated(at, [one.lane for one in plan], settings, seed)
        for one, drawn in zip(plan, lanes, strict=True):
            about = (one.kind, one.name, one.strength, one.which, seed)
            rows += [(*about, sequence) for sequence in drawn if sequence]
    schema = {name: SEQUENCES[name] for name in list(SEQUENCES)[:6]}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _natural(at: SteeredLayer, judging: Judging, settings: GenerationSettings) -> pl.DataFrame:
    """Base rates: of windows as long as the generated sequences, and of whole carriers."""
    if judging.natural is None:
        return pl.DataFrame(schema={"kind": pl.String} | RATES)
    proteins, n = judging.natural, settings.n_natural
    drawn = np.random.default_rng([settings.seed, 3]).permutation(len(proteins))
    mixed = [proteins.accessions[i] for i in drawn.tolist()]
    carry = set(judging.carriers)
    carriers = [accession for accession in mixed if accession in carry]
    sets = {
        "natural windows": (windows(proteins, mixed[:n], settings.length, settings.seed), at.plm),
        "natural carriers": ([proteins.sequence(a) for a in carriers[:n]], None),
    }
    tables = [
        judged(_of_kind(kind, some), plm, judging.rule, judging.probe, None)
        for kind, (some, plm) in sets.items()
        if some
    ]
    return rates(
        pl.concat(tables),
        ("kind",),
        judging.rule,
        settings.n_shuffles,
        settings.seed,
        searched=False,
    )


def _of_kind(kind: str, sequences: Sequence[str]) -> pl.DataFrame:
    return pl.DataFrame(
        {"kind": [kind] * len(sequences), "sequence": list(sequences)}
    ).with_columns(
        pl.lit(None, SEQUENCES[name]).alias(name)
        for name in ("condition", "strength", "which", "seed")
    )
