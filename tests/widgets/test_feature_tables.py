"""What stages `features` and `interpret` say, in the list of features and of each feature."""

import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from interplm_nb.features.hierarchy import HIERARCHY
from interplm_nb.interpret.explain import DESCRIPTIONS, OTHERS
from interplm_nb.interpret.judge import JUDGED
from interplm_nb.pipeline.run import Run
from interplm_nb.questions.feature_tables import OF_STATISTICS, FeatureTables
from interplm_nb.saving import write_parquet
from interplm_nb.widgets.feature_page import FeaturePages
from interplm_nb.widgets.feature_words import NEAREST, feature_words
from tests import shipped

INTERPRETED = "interpreted/statistical/sae"


@pytest.fixture(scope="module")
def tables() -> FeatureTables:
    return FeaturePages(Run.shipped()).tables


@pytest.fixture
def copied(tmp_path: Path) -> Run:
    shutil.copytree(Run.shipped().folder, tmp_path / "run")
    return Run.open(tmp_path / "run")


def of(run: Run) -> FeatureTables:
    return FeaturePages(run).tables


def row(table: pl.DataFrame, feature: int) -> dict[str, Any]:
    return table.row(by_predicate=pl.col("feature") == feature, named=True)


def test_columns_are_the_tables_rows(tables: FeatureTables) -> None:
    run = Run.shipped()
    found = tables.columns
    assert found["feature"].n_unique() == found.height == len(run.maxima())
    motifs = {r["feature"]: r for r in run.feature_table("motifs").to_dicts()}
    said = {r["feature"]: r for r in shipped.interpretation("descriptions").to_dicts()}
    judged = shipped.interpretation("judged").filter(given="description")
    r_of = dict(judged.select("feature", "pearson").iter_rows())
    for own in run.feature_table("statistics").to_dicts():
        feature = own["feature"]
        shown = row(found, feature)
        for name in set(OF_STATISTICS) - {"period", "top_amino_acid"}:
            assert shown[name] == own[name]
        assert shown["period"] == (own["period"] if own["shape"] == "periodic" else None)
        assert shown["top_amino_acid"] == (own["top_amino_acid"] or None)
        motif = motifs.get(feature, {})
        assert shown["motif_information"] == motif.get("information")
        assert shown["motif_pattern"] == (motif.get("pattern") or None)
        assert shown["description"] == said.get(feature, {}).get("summary")
        assert shown["described_by"] == said.get(feature, {}).get("describer")
        assert shown["description_r"] == r_of.get(feature)
    classes = found["density_class"].sort().unique(maintain_order=True).to_list()
    everything = ["silent", "rare", "sparse", "frequent", "dense"]
    assert classes == [name for name in everything if name in classes]


def with_model(run: Run, feature: int, summary: str | None) -> None:
    """What a language model said of a feature, which judged the statistical description too."""
    model = "openai:tiny"
    said = {"feature": feature, "describer": model, "sees": "names", "n_examples": 20}
    said |= {"summary": summary, "description": summary, "failed": None if summary else "refused"}
    judged = [
        {
            "feature": feature,
            "judge": model,
            "describer": who,
            "given": given,
            "n": 20,
            "pearson": r,
        }
        for who, given, r in [
            ("statistical", "description", -0.5),
            (model, "description", 0.75),
            (model, "another description", 0.25),
            ("", "no description", 0.125),
        ]
    ]
    about = {"type": "Interpretation", "version": 1}
    folder = run.folder / "interpreted/openai_tiny/sae"
    write_parquet(pl.DataFrame([said], schema=DESCRIPTIONS), folder / "descriptions.parquet", about)
    write_parquet(pl.DataFrame(judged, schema=JUDGED), folder / "judged.parquet", about)


def test_a_language_models_description_goes_first_with_its_own_score(copied: Run) -> None:
    before = of(copied)
    assert before.descriptions is not None
    feature = before.descriptions["feature"][0]
    statistical = row(before.columns, feature)
    with_model(copied, feature, "Binds zinc.")
    tables = of(copied)
    shown = row(tables.columns, feature)
    assert (shown["description"], shown["described_by"]) == ("Binds zinc.", "openai:tiny")
    assert shown["description_r"] == 0.75
    model, other = feature_words(tables, feature)["descriptions"]
    assert model["score"]["pearson"] == 0.75
    assert {name: score["pearson"] for name, score in model["nulls"].items()} == {
        "another description": 0.25,
        "no description": 0.125,
    }
    assert other["summary"] == statistical["description"]
    assert other["score"]["pearson"] == pytest.approx(statistical["description_r"], rel=1e-5)
    assert other["score"]["judge"] == "ridge"  # and not the -0.5 of the language model


def test_where_a_model_said_nothing_the_next_describer_does(copied: Run) -> None:
    feature = copied.interpretation("descriptions")["feature"][0]
    before = row(of(copied).columns, feature)
    with_model(copied, feature, None)
    assert row(of(copied).columns, feature) == before
    failed = feature_words(of(copied), feature)["descriptions"][0]
    assert (failed["summary"], failed["failed"]) == (None, "refused")


def test_parent_and_children_are_those_beyond_chance(copied: Run) -> None:
    assert feature_words(of(copied), 3)["family"] == {}  # no prefixes
    rows = [  # feature, parent, share, by_chance
        *((3, None, 0.0, None), (70, 3, 0.9, 0.01), (71, 3, 0.95, 0.01)),
        *((72, 3, 0.4, 0.01), (73, 3, 0.9, 0.5), (200, 70, 1 / 3 + 0.5, 0.02)),
    ]
    names = ("feature", "parent", "share", "by_chance")
    table = pl.DataFrame(rows, names, orient="row").with_columns(
        prefix=pl.lit(64), n_active=pl.lit(9), n_both=pl.lit(8), lift=pl.lit(3.0)
    )
    typed = [pl.col(name).cast(kind) for name, kind in HIERARCHY.items()]
    copied.write_feature_table("hierarchy", table.select(typed), "sae")
    family = {f: feature_words(of(copied), f)["family"] for f in (3, 70, 72, 200)}
    assert family[3] == {"parent": [], "children": [[71, 0.95], [70, 0.9]]}
    assert family[70] == {"parent": [[3, 0.9]], "children": [[200, 0.833333]]}
    assert family[72] == {"parent": [], "children": []}
    assert family[200] == {"parent": [[70, 0.833333]], "children": []}


def test_what_is_told_of_a_feature_is_in_the_tables(tables: FeatureTables) -> None:
    run = Run.shipped()
    near = run.feature_table("neighbours")
    described = shipped.interpretation("descriptions")
    nulls = shipped.interpretation("judged").filter(given="another description")
    for feature in [*described["feature"].head(5), 0, 1, 2]:
        words = feature_words(tables, feature)
        json.dumps(words, allow_nan=False)
        assert words["described"] == described.height
        for kind, found in words["nearest"].items():
            own = near.filter(feature=feature, kind=kind).sort("rank").head(NEAREST)
            assert [number for number, _ in found] == own["neighbour"].to_list()
            assert [s for _, s in found] == pytest.approx(own["similarity"].to_list(), rel=1e-5)
        said = described.filter(feature=feature)
        assert [d["summary"] for d in words["descriptions"]] == said["summary"].to_list()
        for one in words["descriptions"]:
            null = one["nulls"]["another description"]
            values = nulls.filter(feature=feature)["pearson"].fill_null(0)
            assert null["of"] == len(values) == OTHERS
            found = [null["pearson"], null["pearson_low"], null["pearson_high"]]
            expected = [values.median(), values.min(), values.max()]
            assert found == pytest.approx(expected, rel=1e-5)
            assert {told["score"] for told in one["told"]} <= {"detection", "fuzzing", "intruder"}
        statistics = row(run.feature_table("statistics"), feature)
        assert words["statistics"]["density"] == pytest.approx(statistics["density"], rel=1e-5)


def test_a_run_without_the_stages_names_the_commands(run: Run) -> None:
    tables = of(run)
    assert tables.columns.columns == ["feature"]
    assert "stage `features` makes them (interplm-nb run PROFILE --out RUN)" in tables.missing
    assert "interplm-nb interpret --run RUN makes them" in tables.missing
    words = feature_words(tables, 0)
    assert (words["descriptions"], words["statistics"], words["nearest"]) == ([], None, None)
    assert not words["tested"]
    assert of(Run.shipped()).missing == ""


@pytest.mark.parametrize(
    ("name", "gone"),
    [
        ("sources/sae/statistics.parquet", "density_class"),
        (f"{INTERPRETED}/descriptions.parquet", ""),  # those of found features are there
        (f"{INTERPRETED}/judged.parquet", ""),
    ],
)
def test_a_damaged_table_is_named_and_the_others_are_shown(
    copied: Run, name: str, gone: str
) -> None:
    path = copied.folder / name
    path.write_bytes(path.read_bytes()[:-40])
    tables = of(copied)
    assert tables.missing.startswith(f"{path}: damaged, ")
    assert gone not in tables.columns.columns
    assert "motif_pattern" in tables.columns.columns


def test_a_control_has_its_own(copied: Run) -> None:
    tables = FeaturePages(copied, "random_sae").tables
    assert tables.missing == ""
    assert tables.neighbours is None and feature_words(tables, 0)["nearest"] is None
    own = copied.feature_table("statistics", "random_sae")
    assert row(tables.columns, 0)["density_class"] == row(own, 0)["density_class"]
