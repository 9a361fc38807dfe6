"""Parameters: strict models, and errors that name the key and the nearest known ones."""

from typing import get_args

import pytest

from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.parameters import (
    L1_RECIPES,
    EmbedParameters,
    ProteinsParameters,
    Recipe,
    TrainParameters,
)
from interplm_nb.pipeline.stage_table import STAGES
from interplm_nb.sae.architectures import Gated, ReLU
from interplm_nb.sae.config import RECIPES, SAEConfig


def test_every_stage_has_a_model_and_every_field_says_what_it_is():
    for stage in STAGES.values():
        assert stage.parameters.stage == stage.name
        fields = stage.parameters.model_fields.values()
        assert all(field.description for field in fields)


def test_every_recipe_of_training_can_be_asked_for():
    assert get_args(Recipe) == tuple(RECIPES)
    with_l1 = [
        name
        for name in RECIPES
        if isinstance(SAEConfig.recipe(name, 64).architecture, ReLU | Gated)
    ]
    assert tuple(with_l1) == L1_RECIPES


def test_a_misspelt_name_is_refused_with_the_nearest():
    with pytest.raises(
        PipelineError,
        match=r"mine\.toml: unknown parameter 'train\.step'; did you mean train\.steps",
    ):
        TrainParameters.checked({"step": 5}, "mine.toml")


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"steps": "500"}, r"train\.steps = '500': input should be a valid integer"),
        (
            {"lr": -1.0},
            r"train\.lr = -1\.0: input should be greater than or equal to 0. Adam's learning rate",
        ),
        (
            {"recipe": "top-k"},
            r"train\.recipe = 'top-k': input should be 'interplm-paper', .* or 'matryoshka'",
        ),
        ({"steps": True}, r"train\.steps = True"),
    ],
)
def test_a_wrong_type_or_value_is_refused_with_what_it_is_for(values, text):
    with pytest.raises(PipelineError, match=text):
        TrainParameters.checked(values, "mine.toml")


def test_a_model_without_a_name_is_refused():
    with pytest.raises(PipelineError, match=r"^-p: embed\.plm = '': string should have at least 1"):
        EmbedParameters.checked({"plm": ""}, "-p")


def test_a_notebook_gives_all_of_its_parameters():
    namespace = {name: field.default for name, field in TrainParameters.model_fields.items()} | {
        "other": 1
    }
    assert TrainParameters.from_notebook(namespace) == TrainParameters()
    with pytest.raises(PipelineError, match="parameters cell of the train notebook has no k"):
        TrainParameters.from_notebook(
            {name: value for name, value in namespace.items() if name != "k"}
        )


def test_the_place_and_the_name_of_a_file_are_no_part_of_what_is_made(tmp_path):
    here = ProteinsParameters(run="a", device="cpu", path=str(tmp_path / "x.fasta"))
    there = ProteinsParameters(run="b", device="cuda", path=str(tmp_path / "y.fasta"))
    assert here.made() == there.made()
    assert "path" not in here.made()
    assert here.input_files() == {"path": tmp_path / "x.fasta"}
