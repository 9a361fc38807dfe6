"""Profiles: packaged and own, settings from the command line, and what is refused."""

import pytest

from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.parameters import CompareParameters
from interplm_nb.pipeline.profiles import load, packaged, setting_value
from interplm_nb.pipeline.stage_table import REQUIRED, STAGES
from interplm_nb.sae.architectures import BatchTopK, Gated, JumpReLU, Matryoshka, ReLU, TopK
from interplm_nb.stages.sweep import grid


def test_packaged_profiles_are_whole():
    assert set(packaged()) == {"demo", "proteomes", "esm2-8m", "sweep-8m", "laboratory"}
    for name in packaged():
        profile = load(name, ["proteins.path=somewhere.tsv"])
        assert profile.name == name
        assert profile.about


def test_the_papers_settings():
    stages = load("esm2-8m", ["proteins.path=x.tsv"]).stages
    assert (stages["embed"].plm, stages["embed"].layer) == ("esm2_t6_8M_UR50D", 4)
    train = stages["train"]
    assert (train.d_sae, train.recipe, train.batch_size, train.steps) == (
        10240,
        "interplm-paper",
        2048,
        500_000,
    )


def test_an_optional_stage_is_there_where_a_table_or_a_setting_asks_for_it(tmp_path):
    assert list(load("demo").stages) == [*REQUIRED, "steer"]
    for name in ("laboratory", "sweep-8m"):
        asked = {*REQUIRED, "compare"}
        stages = load(name, ["proteins.path=x.tsv"]).stages
        assert list(stages) == [stage for stage in STAGES if stage in asked]
    compare = load("demo", ["compare.seeds=[0, 1]"]).stages["compare"]
    assert (compare.seeds, compare.recipes) == ([0, 1], ["topk"])
    (tmp_path / "own.toml").write_text("required = ['compare.layers']\n[compare]\n")
    with pytest.raises(
        PipelineError,
        match=r"profile own needs compare\.layers; give it with -p compare\.layers=VALUE",
    ):
        load(str(tmp_path / "own.toml"))
    with pytest.raises(
        PipelineError,
        match=r"compare\.recipes = .*should be 'interplm-paper', .* "
        r"Recipes, named as in train\.recipe",
    ):
        load("demo", ['compare.recipes=["top-k"]'])


def test_the_laboratory_has_every_architecture_at_two_sparsities_and_two_seeds():
    compare = load("laboratory").stages["compare"]
    assert isinstance(compare, CompareParameters)
    configs = grid(compare, [3])
    assert {type(c.architecture) for c in configs} == {
        ReLU,
        TopK,
        BatchTopK,
        JumpReLU,
        Gated,
        Matryoshka,
    }
    assert len(configs) == 6 * 2 * 2


def test_what_a_profile_requires_is_asked_for():
    with pytest.raises(
        PipelineError,
        match=r"profile proteomes needs proteins\.path; give it with -p proteins\.path=VALUE",
    ):
        load("proteomes")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("train.steps=500", 500),
        ("train.lr=5e-4", 5e-4),
        ("proteins.strict=true", True),
        ('embed.plm="esm2-mini"', "esm2-mini"),
        ("embed.plm=esm2-mini", "esm2-mini"),
        ("proteins.path=/a b/c.tsv", "/a b/c.tsv"),
        ("proteins.path=x=y.tsv", "x=y.tsv"),
        ("proteins.path=1\ntoo = 2", "1\ntoo = 2"),
    ],
)
def test_a_setting_is_a_toml_literal_else_a_string(setting, value):
    assert setting_value(setting)[1] == value


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("steps=500", "expected stage.name=value"),
        ("train.steps", "expected stage.name=value"),
        ("trian.steps=5", r"unknown parameter 'trian\.steps'; did you mean train\.steps"),
        ("train.step=5", r"unknown parameter 'train\.step'; did you mean train\.steps"),
        ("train.steps=many", r"train\.steps = 'many': input should be a valid integer"),
        ("train.run=elsewhere", "use --out, --device and --scheduler instead"),
    ],
)
def test_a_bad_setting_is_refused(setting, text):
    with pytest.raises(PipelineError, match=text):
        load("demo", [setting])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[train]\nsteps_ = 5",
            r"own\.toml: unknown parameter 'train\.steps_'; did you mean train\.steps",
        ),
        ("[trian]\nsteps = 5", r"own\.toml: unknown key 'trian'; did you mean train"),
        ("train = 5", r"own\.toml: train is a table, written \[train\]"),
        ("[train\n", r"own\.toml is not a TOML file"),
        ("[train]\ndevice = 'cpu'", r"train\.device does not belong in a profile"),
        ("required = 5", r"own\.toml: required = 5: wanted a list of parameters, such as"),
        ("required = 'train.k'", r"own\.toml: required = 'train\.k': wanted a list of parameters"),
        ("[train]\nlr = nan", r"own\.toml: train\.lr = nan: input should be a finite number. Adam"),
        (
            "required = ['proteins.paht']",
            r"own\.toml: required: unknown parameter 'proteins\.paht'; did you mean",
        ),
    ],
)
def test_a_bad_profile_is_refused_by_file_and_key(tmp_path, text, message):
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(PipelineError, match=message):
        load(str(tmp_path / "own.toml"))


def test_a_profile_saved_by_windows_is_read(tmp_path):
    (tmp_path / "own.toml").write_bytes(b"\xef\xbb\xbf[train]\r\nsteps = 7\r\n")
    assert load(str(tmp_path / "own.toml")).stages["train"].model_dump()["steps"] == 7


def test_an_unknown_profile_names_the_known():
    with pytest.raises(
        PipelineError,
        match="no profile 'dmeo': packaged profiles are demo, esm2-8m, laboratory, "
        "proteomes, sweep-8m",
    ):
        load("dmeo")
    with pytest.raises(PipelineError, match=r"no profile file nowhere\.toml"):
        load("nowhere.toml")


def test_files_become_absolute_and_the_place_is_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stages = load("demo", ["proteins.path=mine.tsv"]).at("/runs/x", "cpu")
    assert stages["proteins"].path == str(tmp_path / "mine.tsv")
    assert {(p.run, p.device) for p in stages.values()} == {("/runs/x", "cpu")}


@pytest.mark.parametrize("text", ["a = " + "[" * 100_000, f"a = {'9' * 10_000}"])
def test_brackets_and_digits_without_end(tmp_path, text):
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(PipelineError, match=r"mine\.toml is not a TOML file"):
        load(str(tmp_path / "mine.toml"))
