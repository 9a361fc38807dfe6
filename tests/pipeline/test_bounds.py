"""Every number that a parameter takes: the lowest and the highest that is accepted, and that all
others, NaN and infinity among them, are refused by name."""

import math
from typing import Annotated, Any, get_args, get_origin

import pytest
from annotated_types import Ge, Gt, Le, Lt

from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.parameters import PLACE, ProteinsParameters
from interplm_nb.pipeline.stage_table import STAGES

BILLION, MILLION, TRILLION = 10**9, 10**6, 10**12
SEEDS = (0, 2**32 - 1)

ACCEPTED: dict[str, tuple[float, float]] = {
    "proteins.min_instances": (1, BILLION),
    "proteins.max_residues": (0, MILLION),
    "proteins.max_proteins": (0, BILLION),
    "proteins.identity": (1e-9, 1),
    "proteins.coverage": (1e-9, 1),
    "proteins.train_share": (1e-9, 0.79),
    "proteins.validation_share": (1e-9, 0.39),
    "proteins.seed": SEEDS,
    "embed.layer": (-1, MILLION),
    "embed.joined": (1, MILLION),
    "embed.shuffled_seed": SEEDS,
    "embed.tokens_per_batch": (0, BILLION),
    "train.d_sae": (0, MILLION),
    "train.steps": (0, BILLION),
    "train.target": (-1, MILLION),
    "train.batch_size": (1, MILLION),
    "train.lr": (0, 1),
    "train.k": (0, MILLION),
    "train.l1": (0, 1000),
    "train.warmup_fraction": (0, 1),
    "train.resample_every": (0, BILLION),
    "train.dead_after_tokens": (0, TRILLION),
    "train.seed": SEEDS,
    "train.seeds": (1, 3),
    "train.checkpoint_every": (1, BILLION),
    "train.fidelity_proteins": (1, BILLION),
    "train.fidelity_every": (0, BILLION),
    "compare.layers": (0, MILLION),
    "compare.sparsities": (1, MILLION),
    "compare.l1s": (1e-9, 1000),
    "compare.lrs": (1e-12, 1),
    "compare.seeds": SEEDS,
    "compare.d_sae": (0, MILLION),
    "compare.steps": (0, BILLION),
    "compare.batch_size": (1, MILLION),
    "compare.dead_after_tokens": (0, TRILLION),
    "compare.checkpoint_every": (1, BILLION),
    "compare.fidelity_proteins": (1, BILLION),
    "compare.fidelity_every": (0, BILLION),
    "compare.tuning_share": (1e-9, 1),
    "compare.min_instances": (1, BILLION),
    "compare.min_clusters": (1, BILLION),
    "compare.maxima_residues": (0, TRILLION),
    "activations.max_l0": (1e-9, MILLION),
    "concepts.min_instances": (1, BILLION),
    "concepts.min_clusters": (1, BILLION),
    "concepts.bootstrap": (0, MILLION),
    "concepts.null_draws": (0, MILLION),
    "concepts.link_f1": (0, 1),
    "concepts.links_per_concept": (1, MILLION),
    "concepts.seed": SEEDS,
    "features.threshold": (0, 1),
    "features.flank": (0, 100),
    "features.shuffles": (0, MILLION),
    "features.neighbours": (1, MILLION),
    "features.correlated_residues": (1, BILLION),
    "features.seed": SEEDS,
    "interpret.per_bin": (1, BILLION),
    "interpret.seed": SEEDS,
    "steer.strength": (-100, 100),
    "steer.n_sequences": (2, 10_000),
    "steer.length": (20, 2000),
    "steer.temperature": (0, 10),
    "steer.seed": SEEDS,
}
"""What the other parameters' defaults allow, lowest and highest. A new number needs a row."""

BESIDE = {"embed.joined": [0]}
"""What a list must hold besides the number that is tried."""

TRIED = (math.nan, math.inf, -math.inf, -1, -1e-9, 0, 0.5, 1, 2, 10**18, 1e300)


def number_of(annotation: Any) -> Any:
    """int or float, of a number, of an annotated one, or of a list of them; else None."""
    while get_origin(annotation) in (list, Annotated):
        annotation = get_args(annotation)[0]
    return annotation if annotation in (int, float) else None


NUMBERS = {
    f"{stage}.{name}": number_of(field.annotation)
    for stage, record in STAGES.items()
    for name, field in record.parameters.model_fields.items()
    if name not in PLACE and number_of(field.annotation)
}


def accepts(name: str, value: float) -> bool:
    """Whether a parameter takes a value; what refuses it names it, and the value."""
    stage, _, field = name.partition(".")
    model = STAGES[stage].parameters
    is_list = get_origin(model.model_fields[field].annotation) is list
    try:
        model.checked({field: [*BESIDE.get(name, []), value] if is_list else value}, "-p")
    except PipelineError as error:
        text = str(error)
        assert text.startswith((f"-p: {name} = {value!r}: input should be", f"-p: {stage}: "))
        assert field in text and repr(value) in text
        return False
    return True


def test_every_number_has_a_decision():
    assert set(NUMBERS) == set(ACCEPTED)


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_number_is_accepted_from_its_lowest_to_its_highest_and_nowhere_else(name):
    lowest, highest = ACCEPTED[name]
    kind = NUMBERS[name]
    assert accepts(name, kind(lowest)) and accepts(name, kind(highest))
    for value in TRIED:
        whole = kind is float or (math.isfinite(value) and value == int(value))
        given = int(value) if kind is int and whole else value
        assert accepts(name, given) == (whole and lowest <= value <= highest), value
    assert not accepts(name, kind(highest) + kind(1))
    assert not accepts(name, True)


def test_every_bound_has_an_end_on_both_sides():
    for name in NUMBERS:
        stage, _, field = name.partition(".")
        bounds = STAGES[stage].parameters.model_fields[field]
        own = [*bounds.metadata]
        if get_origin(bounds.annotation) is list:
            (item,) = get_args(bounds.annotation)
            own = get_args(item)[1].metadata
        assert any(isinstance(b, Ge | Gt) for b in own), name
        assert any(isinstance(b, Le | Lt) for b in own), name


@pytest.mark.parametrize(
    ("train", "validation", "fits"),
    [
        (0.6, 0.2, True),
        (0.79, 0.2, True),
        (0.8, 0.2, False),
        (0.5, 0.495, False),
        (0.9, 0.9, False),
    ],
)
def test_train_and_validation_leave_a_hundredth_for_test(train, validation, fits):
    values = {"train_share": train, "validation_share": validation}
    if fits:
        assert ProteinsParameters.checked(values, "-p").shares[2] > 0.0099
    else:
        with pytest.raises(
            PipelineError,
            match=rf"^-p: proteins: train_share {train} and validation_share {validation} leave "
            r"nothing for test; lower them so that their sum is at most 0\.99$",
        ):
            ProteinsParameters.checked(values, "-p")
