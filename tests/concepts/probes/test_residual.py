import numpy as np
import pytest

from interplm_nb.concepts.probes.examples import SPLITS, Examples
from interplm_nb.concepts.probes.fitting import logistic_probe
from interplm_nb.concepts.probes.residual import RESIDUAL, residual_view


def made() -> tuple[Examples, Examples, np.ndarray]:
    """Features 0 and 1 tell the label, 2 to 9 do not, 10 is dead; the embedding mixes all."""
    rng = np.random.default_rng(0)
    values = rng.random((1200, 11)).astype(np.float32)
    values[:, 10] = 0
    carried = values[:, 0] + values[:, 1] + 0.2 * rng.standard_normal(1200) > 1.3
    places: dict[str, np.ndarray] = dict(
        zip(SPLITS, np.split(np.arange(1200), [600, 900]), strict=True)
    )
    mixed = values @ rng.standard_normal((11, 11)).astype(np.float32)
    features, embedding = (
        Examples("residues", places, {s: v[rows] for s, rows in places.items()})
        for v in (values, mixed)
    )
    return features, embedding, carried


def test_the_linked_features_carry_what_the_others_do_not() -> None:
    examples, embedding, carried = made()
    table = residual_view(examples, embedding, "task", carried, [1, 0, 1])
    assert table.columns == list(RESIDUAL)
    names = [
        "linked features",
        "as many others",
        "other features",
        "all features",
        "embedding",
        "all positive",
        "majority",
    ]
    assert table["probe"].to_list() == names
    assert table["n_features"].to_list() == [2, 2, 9, 11, 11, 0, 0]
    share = dict(table.select("probe", "share").iter_rows())
    assert share["linked features"] > 0.9
    assert share["other features"] < 0.2
    assert share["as many others"] < 0.2
    assert share["embedding"] == 1
    assert share["all positive"] == share["majority"] == 0
    assert table["n"].unique().to_list() == [300]
    for name, features in (("linked features", [0, 1]), ("other features", list(range(2, 11)))):
        probe = logistic_probe(examples, carried, np.array(features))
        row = table.row(names.index(name), named=True)
        assert (row["f1"], row["auprc"]) == (probe.test.f1, probe.test.auprc)
        told = table["auprc"][4] - probe.test.prevalence
        assert row["share"] == pytest.approx((probe.test.auprc - probe.test.prevalence) / told)


def test_the_control_is_drawn_from_features_that_live() -> None:
    examples, embedding, carried = made()
    table = residual_view(examples, embedding, "task", carried, range(5))
    assert table["n_features"].to_list()[:3] == [5, 5, 6]
    six = residual_view(examples, embedding, "task", carried, range(6))
    assert six["n_features"].to_list()[:3] == [6, 4, 5]


def test_where_the_embedding_tells_nothing_there_is_no_share() -> None:
    examples, embedding, carried = made()
    silent = Examples(
        "residues", embedding.places, {s: np.zeros_like(v) for s, v in embedding.values.items()}
    )
    assert residual_view(examples, silent, "task", carried, [0])["share"].to_list() == [None] * 7


def test_links_that_do_not_fit_are_refused() -> None:
    examples, embedding, carried = made()
    for linked in ([], range(11)):
        with pytest.raises(ValueError, match=f"{len(list(linked))} of 11 features are linked"):
            residual_view(examples, embedding, "task", carried, linked)
    with pytest.raises(
        ValueError,
        match="linked features must be 0 to 10, not 3 to 11; "
        "take links and examples from one source",
    ):
        residual_view(examples, embedding, "task", carried, [3, 11])
