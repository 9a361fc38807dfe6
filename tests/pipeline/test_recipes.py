"""Recipes: what is written is read again, and what is no recipe is refused."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.recipes import Recipe

VALUES = st.one_of(
    st.booleans(),
    st.integers(-(2**62), 2**62),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
    st.lists(st.integers(0, 9)),
    st.lists(st.text()),
)
NESTED = st.dictionaries(st.from_regex("[a-z_]+", fullmatch=True), VALUES)
NAMES = st.from_regex("[a-z_]+", fullmatch=True)


@settings(max_examples=50, deadline=None)
@given(
    st.text(), st.text(), st.dictionaries(NAMES, VALUES | NESTED), st.dictionaries(NAMES, st.text())
)
def test_a_recipe_is_read_as_it_was_written(tmp_path_factory, kind, run, chosen, made) -> None:
    path = tmp_path_factory.mktemp("recipe") / "recipe.toml"
    recipe = Recipe(kind=kind, run=run, settings=chosen, made_with=made)
    recipe.write(path)
    assert Recipe.read(path) == recipe


def test_a_setting_without_a_value_is_left_out() -> None:
    assert "feature" not in Recipe(kind="dose", settings={"feature": None, "seed": 1}).toml()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind = ", "is not a TOML file"),
        ("run = 'runs/demo'", "is not a recipe of an experiment: kind: field required"),
        ("kind = 'dose'\nfeature = 3", "feature: extra inputs are not permitted; it needs kind"),
        ("kind = 3", "kind: input should be a valid string"),
    ],
)
def test_what_is_no_recipe_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(PipelineError, match=message):
        Recipe.read(path)


def test_a_recipe_of_another_sae_is_refused_with_both_names() -> None:
    recipe = Recipe(kind="dose", run="runs/demo", made_with={"sae": "sha256:aaaa", "plm": "x"})
    recipe.check_made_with({"sae": "sha256:aaaa", "plm": "renamed"})
    with pytest.raises(
        PipelineError, match="made with sae sha256:aaaa, runs/demo has sha256:bbbb: this would be"
    ):
        recipe.check_made_with({"sae": "sha256:bbbb"})
