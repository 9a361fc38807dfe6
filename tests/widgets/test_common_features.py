"""What proteins have in common, against a loop over proteins and scipy's own test."""

from math import ceil

import numpy as np
import polars as pl
import pytest
import traitlets as t
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import fisher_exact

from interplm_nb.pipeline.run import Run
from interplm_nb.widgets.common_features import COMMON, firing, in_common, packed_firing
from interplm_nb.widgets.feature_data import FeatureData
from interplm_nb.widgets.feature_table import FeatureTable
from interplm_nb.widgets.packing import unpack
from interplm_nb.widgets.protein_list import MOST, protein_list


@settings(max_examples=60, deadline=None)
@given(fires=arrays(bool, st.tuples(st.integers(2, 9), st.integers(1, 7))), data=st.data())
def test_in_common_is_fishers_test_of_what_fires_in_half(
    fires: np.ndarray, data: st.DataObject
) -> None:
    n_all = len(fires)
    chosen = data.draw(st.lists(st.integers(0, n_all - 1), min_size=1, unique=True))
    found = in_common(fires, chosen)
    n, others = len(chosen), n_all - len(chosen)
    expected, p_of_all = {}, {}
    for feature in range(fires.shape[1]):
        members = sum(bool(fires[i, feature]) for i in chosen)
        background = sum(bool(fires[i, feature]) for i in range(n_all) if i not in chosen)
        if members + background == 0:
            continue
        counts = [[members, n - members], [background, others - background]]
        p_of_all[feature] = fisher_exact(counts, alternative="greater")[1]
        shares = members / n, background / max(1, others)
        if members >= max(ceil(n / 2), min(2, n)) and shares[0] > shares[1]:
            expected[feature] = (members, shares[0], background, shares[1])
    assert set(found["feature"]) == set(expected)
    assert found["p_count"].is_sorted()
    for row in found.iter_rows(named=True):
        feature = row["feature"]
        assert tuple(row[name] for name in COMMON[:4]) == pytest.approx(expected[feature])
        assert row["p_count"] == pytest.approx(p_of_all[feature])
        above = [q for q in p_of_all.values() if q >= p_of_all[feature] * (1 - 1e-9)]
        slow = min(
            q * len(p_of_all) / sum(r <= q * (1 + 1e-9) for r in p_of_all.values()) for q in above
        )
        assert row["q_count"] == pytest.approx(min(1, slow))


@pytest.fixture
def data() -> FeatureData:
    return FeatureData(Run.shipped(), structures={})


def test_a_feature_fires_above_a_share_of_its_maximum(data: FeatureData) -> None:
    fires = firing(data.pages.activations)
    for i, accession in enumerate(data.pages.proteins.accessions[:5]):
        for feature in range(0, data.pages.activations.n_features, 97):
            along = data.pages.activations.along(accession, feature)
            assert fires[i, feature] == (along.max() > np.float32(0.15))
    record, arrays = unpack(packed_firing(fires))
    assert (record["above"], record["least_share"]) == (0.15, 0.5)
    bits = np.unpackbits(arrays["bits"].reshape(len(fires), -1), axis=1)
    np.testing.assert_array_equal(bits[:, : record["n_features"]], fires)


def test_proteins_list_what_they_have_in_common_and_it_is_sent_once_needed(
    data: FeatureData,
) -> None:
    table = FeatureTable(data)
    everything = table.rows().height
    assert data.firing == b"" and table.order() == ("rank", False)
    globins = data.pages.proteins.table.filter(
        pl.col("protein_name").str.to_lowercase().str.contains("cytochrome c iso")
    )["accession"].to_list()
    assert len(globins) == 2
    data.selection.accessions = globins
    assert data.firing and table.order() == ("p_count", False)
    rows = table.rows()
    assert 0 < rows.height < everything / 2
    assert rows["members"].to_list() == [2] * rows.height
    assert rows["p_count"].is_sorted()
    assert set(COMMON) <= set(rows.columns)
    table.sort = "q_count"
    data.selection.accessions = []
    assert table.order() == ("rank", False) and table.rows().height == everything
    with pytest.raises(t.TraitError, match="cannot sort by 'weight'; the columns are feature, "):
        table.sort = "weight"


def test_a_store_that_is_too_large_lists_all(
    data: FeatureData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interplm_nb.widgets.feature_data.CELLS", 1000)
    data.selection.accessions = data.pages.proteins.accessions[:2]
    assert data.fires is None and data.firing == b""
    assert FeatureTable(data).rows().height == len(data.pages.alive)


def test_the_search_reads_what_the_run_knows_of_a_protein(
    data: FeatureData, monkeypatch: pytest.MonkeyPatch
) -> None:
    proteins = data.pages.proteins
    record, arrays = unpack(data.lists.proteins)
    assert not arrays and record["accession"] == proteins.accessions
    assert record["name"] == proteins.table["protein_name"].to_list()
    assert list(record) == ["n", "accession", "name", "organism", "gene", "entry"]
    monkeypatch.setattr("interplm_nb.widgets.protein_list.MOST", 3)
    assert protein_list(proteins) == ({"n": len(proteins)}, {}) and MOST > 3
