"""Stage `interpret` on a copy of the run that ships, and where no feature has enough examples."""

import shutil
from pathlib import Path

import polars as pl
import pytest

from interplm_nb.figures import interpret as figures
from interplm_nb.figures.tables import Sentence
from interplm_nb.interpret.explain import OTHERS
from interplm_nb.interpret.judge import MEDIANS
from interplm_nb.interpret.recognition import AVERAGES
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.manifest import key
from interplm_nb.pipeline.nearest_run import RunToRead
from interplm_nb.pipeline.parameters import InterpretParameters
from interplm_nb.pipeline.run import Run
from interplm_nb.questions.feature_tables import FeatureTables
from interplm_nb.readers import demo
from interplm_nb.stages.interpret import InterpretStage, interpret, place, prepared
from interplm_nb.widgets.feature_words import feature_words

PARAMS = InterpretParameters(features="random:4,ids:0")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, InterpretStage]:
    folder = tmp_path_factory.mktemp("interpret") / "run"
    shutil.copytree(Run.shipped().folder, folder)
    run = Run.open(folder)
    with_matches(run)
    return run, interpret(run, PARAMS)


def with_matches(run: Run) -> None:
    """Let the first four features with enough examples match a concept: those that do have too few
    in a run that is cut down to 120 proteins."""
    enough = prepared(run, "sae", InterpretParameters(features="all")).chosen.features
    found = run.table("concepts", "found")
    first = found.filter(source="sae", convention="strict").head(4)
    assert first.height == 4
    features = pl.Series(sorted(enough)[:4], dtype=found["feature"].dtype)
    run.write_table("concepts", "found", first.with_columns(feature=features))


def test_each_sae_is_described_and_judged_beside_its_nulls(
    made: tuple[Run, InterpretStage],
) -> None:
    _, result = made
    counts = result.counts.rows(named=True)
    assert [row["source"] for row in counts] == ["sae", "random_sae"]
    assert [row["n_described"] for row in counts] == [4, 4]
    assert all(row["n_drawn"] >= 4 for row in counts)
    assert counts[0]["n_enough"] == 61 < counts[0]["n_alive"]
    assert result.descriptions.height == 8
    given = result.judged.group_by("source", "given").len().sort("source", "given")
    assert set(given["len"]) == {4, 12}  # three other features each
    assert result.medians.columns == ["source", *MEDIANS]
    assert result.scores.columns == ["source", *AVERAGES]


def test_features_that_match_a_concept_are_described_apart_and_change_no_figure(
    made: tuple[Run, InterpretStage], tmp_path: Path
) -> None:
    run, result = made
    matching = run.table("concepts", "found").filter(source="sae", convention="strict")
    enough = set(prepared(run, "sae", InterpretParameters(features="all")).chosen.features)
    sample = set(result.descriptions.filter(source="sae")["feature"])
    apart = sorted((set(matching["feature"]) & enough) - sample)
    assert apart and result.found.descriptions["feature"].to_list() == apart
    nulls = result.found.judged.filter(given="another description")
    assert set(nulls.group_by("feature").len()["len"]) == {len(sample)} and len(sample) < OTHERS
    shutil.copytree(Run.shipped().folder, tmp_path / "run")
    with_matches(Run.open(tmp_path / "run"))
    without = interpret(Run.open(tmp_path / "run"), PARAMS.model_copy(update={"found": False}))
    assert without.found.descriptions.is_empty() and without.found.judged.is_empty()
    for name in ("descriptions", "judged", "recognised", "counts", "medians", "scores"):
        assert getattr(without, name).equals(getattr(result, name))
    # Asked for by number they are said the same of; only the others that they are judged against
    # differ.
    asked = "ids:" + ";".join(map(str, apart))
    whole = InterpretParameters(features=asked, found=False)
    alone = interpret(Run.open(tmp_path / "run"), whole)
    own = {"given": "description", "source": "sae"}
    assert alone.descriptions.filter(source="sae").drop("source").equals(result.found.descriptions)
    expected = alone.judged.filter(**own).drop("source")
    assert result.found.judged.filter(given="description").equals(expected)


def test_what_was_described_apart_is_in_the_workbench_s_tables(
    made: tuple[Run, InterpretStage],
) -> None:
    run, result = made
    assert run.describers() == ["statistical", "statistical-found"]
    columns = FeatureTables.of(run, "sae", None).columns.drop_nulls("description")
    every = [*result.descriptions.filter(source="sae")["feature"]]
    every += [*result.found.descriptions["feature"]]
    assert sorted(columns["feature"]) == sorted(every)
    assert columns["description_r"].null_count() < len(every)
    feature = result.found.descriptions["feature"][0]
    words = feature_words(FeatureTables.of(run, "sae", None), feature)
    assert words["described"] == len(every)
    assert words["descriptions"][0]["nulls"]["another description"]["of"] == 4


def test_the_stage_is_deterministic_and_what_is_read_is_what_was_made(
    made: tuple[Run, InterpretStage],
) -> None:
    run, result = made
    read = interpret(RunToRead.open(run.folder), PARAMS)
    again = interpret(run, PARAMS)
    for name in ("descriptions", "judged", "recognised", "counts", "medians", "scores"):
        assert getattr(read, name).equals(getattr(result, name))
        assert getattr(again, name).equals(getattr(result, name))
    for name in ("descriptions", "judged", "recognised"):
        assert getattr(read.found, name).equals(getattr(result.found, name))


def test_pictures_and_tables_of_the_lesson(made: tuple[Run, InterpretStage]) -> None:
    _, result = made
    own = [getattr(result, name).filter(source="sae") for name in ("descriptions", "judged")]
    scored = figures.with_scores(*own)
    assert scored.height == 4
    assert scored["pearson"].drop_nulls().is_sorted(descending=True)
    assert "<td" in figures.descriptions(scored).html()  # type: ignore[union-attr]
    found = figures.found(result.found.descriptions, result.found.judged)
    assert "no figure of this lesson counts them" in repr(found)
    assert isinstance(figures.found(pl.DataFrame(), pl.DataFrame()), Sentence)
    chart = figures.medians(result.medians)
    assert "SAE, the description: " in repr(chart)
    assert "random SAE, the length alone: " in repr(chart)
    assert "balanced accuracy" in figures.scores(result.scores).html()  # type: ignore[union-attr]


def test_a_run_without_enough_examples_says_so(tiny_run: Run, tmp_path: Path) -> None:
    shutil.copytree(tiny_run.folder, tmp_path / "run")
    run = Run.open(tmp_path / "run")
    run.clear("interpret")
    proteins = run.proteins()
    assert len(proteins) == 40
    result = interpret(run, InterpretParameters(features="ids:0"))
    if result.descriptions.is_empty():
        assert isinstance(figures.medians(result.medians), Sentence)
    assert isinstance(figures.descriptions(pl.DataFrame()), Sentence)
    assert isinstance(figures.scores(pl.DataFrame()), Sentence)


def test_features_that_are_no_choice_are_a_sentence(tiny_run: Run, tmp_path: Path) -> None:
    shutil.copytree(tiny_run.folder, tmp_path / "run")
    with pytest.raises(PipelineError, match="features: 'best' chooses no features"):
        interpret(Run.open(tmp_path / "run"), InterpretParameters(features="best"))


def test_links_are_read_only_where_features_are_chosen_by_them(tmp_path: Path) -> None:
    """A run of looked-at proteins has none."""
    shutil.copytree(Run.shipped().folder, tmp_path / "run")
    run = Run.open(tmp_path / "run")
    run.of_source("sae", "links").unlink()
    assert prepared(run, "sae", InterpretParameters(features="random:2")).subjects
    with pytest.raises(PipelineError, match=r"links\.parquet"):
        prepared(run, "sae", InterpretParameters(features="f1:0.5"))


def structures(folder: Path, *accessions: str) -> str:
    """A table of embedded structures, copied next to it."""
    lines = ["accession\tfile"]
    for accession in accessions:
        file = demo.folder() / "structures" / demo.structure(accession).name
        shutil.copy(file, folder)
        lines.append(f"{accession}\t{file.name}")
    (folder / "structures.tsv").write_text("\n".join(lines) + "\n")
    return str(folder / "structures.tsv")


def test_structures_are_read_from_a_table_that_is_part_of_the_key(
    tiny_run: Run, tmp_path: Path
) -> None:
    shutil.copytree(Run.shipped().folder, tmp_path / "run")
    run = Run.open(tmp_path / "run")
    asked = PARAMS.model_copy(update={"structures": structures(tmp_path, "P00044", "P00128")})
    ready = prepared(run, "sae", asked)
    assert ready.known.structures is not None
    assert ready.known.has_structure.sum() == 2
    assert prepared(run, "sae", PARAMS).known.structures is None
    assert key(tiny_run, asked).hash != key(tiny_run, PARAMS).hash


def test_another_structure_behind_the_same_table_is_another_key(
    tiny_run: Run, tmp_path: Path
) -> None:
    asked = PARAMS.model_copy(update={"structures": structures(tmp_path, "P00044", "P00128")})
    before = key(tiny_run, asked).hash
    assert key(tiny_run, asked).hash == before
    one, other = sorted(f for f in tmp_path.iterdir() if f.suffix != ".tsv")
    one.write_bytes(other.read_bytes())
    changed = key(tiny_run, asked).hash
    assert changed != before
    one.unlink()
    assert key(tiny_run, asked).hash not in (before, changed)


def test_structures_of_other_proteins_are_a_sentence(tiny_run: Run, tmp_path: Path) -> None:
    path = structures(tmp_path, "P00044")
    assert "P00044" not in tiny_run.proteins()
    asked = InterpretParameters(structures=path)
    with pytest.raises(PipelineError, match=r"none of .* labels a protein of .* give others"):
        prepared(tiny_run, "sae", asked)
    with pytest.raises(PipelineError, match=r"interpret\.structures: .* is a folder; give a file"):
        key(tiny_run, InterpretParameters(structures=str(tmp_path)))


def test_what_a_provider_made_lies_in_a_folder_of_its_name(tiny_run: Run) -> None:
    folder = place(tiny_run, "sae", "openai:../x y")
    assert folder.relative_to(tiny_run.folder).as_posix() == "interpreted/openai_.._x_y/sae"
    assert ".." not in place(tiny_run, "sae", "../..").relative_to(tiny_run.folder).parts
