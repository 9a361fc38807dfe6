import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from interplm_nb.activations import FeatureActivations
from interplm_nb.concepts.enrich import enriched
from interplm_nb.figures.family import picture
from interplm_nb.proteins import Proteins
from interplm_nb.questions.annotate import Annotator
from interplm_nb.questions.background import Background, protein_maxima, stretches
from interplm_nb.questions.family import COLUMNS, Family, family
from interplm_nb.readers.alignment import Alignment, FamilyRead
from interplm_nb.readers.report import InputError, ReadReport
from tests.pipeline.asked import with_links

LENGTH = 40
NAMES = [f"m$_{i}$/1-{LENGTH}" for i in range(6)]


@pytest.fixture(scope="module")
def annotator(tiny_run, tmp_path_factory) -> Annotator:
    return Annotator(with_links(tiny_run, tmp_path_factory.mktemp("asked") / "run"), device="cpu")


@pytest.fixture(scope="module")
def alignment(annotator) -> Alignment:
    """Six stretches of the run's proteins, every other one with a gap; column 43 is empty."""
    sequences = {
        name: s[:LENGTH] for name, s in zip(NAMES, annotator.run.proteins().sequences, strict=False)
    }
    whole, gapped = (
        np.arange(1, LENGTH + 1),
        np.concatenate([np.arange(1, 21), np.arange(23, LENGTH + 3)]),
    )
    columns = np.concatenate([gapped if i % 2 else whole for i in range(6)]).astype(np.int32)
    return Alignment(Proteins.from_sequences(sequences), columns, LENGTH + 3, "a $family")


@pytest.fixture(scope="module")
def found(annotator, alignment) -> Family:
    return family(annotator, alignment)


@given(st.lists(st.integers(1, 7), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_maxima_of_proteins(lengths, random):
    proteins = Proteins.from_sequences({f"p{i}": "A" * n for i, n in enumerate(lengths)})
    values = np.array(
        [
            [random.choice([0, 0, 0.3, 0.7, 1.2]) for _ in range(3)]
            for _ in range(proteins.n_residues)
        ],
        np.float32,
    )
    activations = FeatureActivations.from_dense(values, proteins, "max")
    whole = [
        values[a:b].max(axis=0)
        for a, b in zip(proteins.offsets[:-1], proteins.offsets[1:], strict=True)
    ]
    assert (protein_maxima(activations).toarray() == whole).all()


def test_the_background_is_stretches_as_long_as_members_without_their_own_proteins(
    annotator, alignment, monkeypatch
):
    """They are read by themselves, as members are."""
    read: list[Proteins] = []
    own = annotator.activations

    def reading(proteins, progress=False):
        read.append(proteins)
        return own(proteins, progress)

    monkeypatch.setattr(annotator, "activations", reading)
    background = stretches(annotator, alignment.proteins)
    proteins = annotator.run.proteins()
    kept = [
        a
        for a, s in zip(proteins.accessions, proteins.sequences, strict=True)
        if not any(m in s for m in alignment.proteins.sequences)
    ]
    assert background.accessions == kept and len(kept) <= len(proteins) - 6
    assert f"a stretch of each of {len(kept)} proteins" in background.description
    assert f"without {len(proteins) - len(kept)} that contain a member" in background.description
    assert read[0].accessions == kept
    for accession, maxima in zip(kept, background.maxima.toarray(), strict=True):
        stretch, whole = read[0].sequence(accession), proteins.sequence(accession)
        assert stretch in whole and len(stretch) == min(LENGTH, len(whole))
        alone = own(Proteins.from_sequences({"alone": stretch})).of("alone").toarray()
        np.testing.assert_allclose(maxima, alone.max(axis=0), atol=1e-4)
    again, other = (stretches(annotator, alignment.proteins, seed) for seed in (0, 1))
    assert (again.maxima != background.maxima).nnz == 0
    assert (other.maxima != background.maxima).nnz > 0
    monkeypatch.setattr("interplm_nb.questions.background.MOST_STRETCHES", 7)
    few = stretches(annotator, alignment.proteins)
    assert len(few.accessions) == few.maxima.shape[0] == 7 and set(few.accessions) < set(kept)


def test_the_table_is_the_enrichment_of_the_members_maxima_with_names(annotator, alignment, found):
    activations = annotator.activations(alignment.proteins)
    maxima = csr_array(np.array([activations.of(a).toarray().max(axis=0) for a in NAMES]))
    plain = enriched(maxima, found.background.maxima, 0.15)
    assert found.features.select(plain.columns).equals(plain)
    for row in found.features.iter_rows(named=True):
        own = annotator.links.table.filter(
            pl.col("feature") == row["feature"], pl.col("n_instances") > 0
        )
        best = own.sort("validation_f1_per_domain", "concept", descending=[True, False]).head(1)
        named = best.select("concept", "precision", "f1_per_domain").rows() or [(None, None, None)]
        assert (row["concept"], row["precision"], row["f1_per_domain"]) == named[0]


def test_columns_are_means_over_members_that_have_a_residue(annotator, alignment, found):
    assert dict(found.columns.schema) == COLUMNS
    activations = annotator.activations(alignment.proteins)
    shown = found.columns.filter(pl.col("feature") == found.features["feature"][0])
    assert shown["column"].to_list() == list(range(1, 43))
    for column, n, mean in shown.select("column", "n", "mean").iter_rows():
        there = [
            activations.along(name, found.features["feature"][0])[place]
            for name in NAMES
            for place in np.flatnonzero(alignment.columns[alignment.proteins.rows(name)] == column)
        ]
        assert n == len(there) and mean == pytest.approx(np.mean(there), abs=1e-6)
    assert found.columns["feature"].n_unique() == 20


def test_members_that_are_too_long_are_left_out_and_said_once(annotator, alignment):
    sequences = dict(zip(NAMES, alignment.proteins.sequences, strict=True)) | {"long": "A" * 1023}
    read = FamilyRead(Proteins.from_sequences(sequences), None, ReadReport("f"))
    for _ in range(2):
        found = family(annotator, read)
        assert (
            found.members.accessions == NAMES
            and found.alignment is None
            and found.columns.is_empty()
        )
        assert found.report.counts() == {"over 1,022 residues": 1}
    assert read.report.counts() == {}
    with pytest.raises(InputError, match="no sequence can be used"):
        family(annotator, Proteins.from_sequences({"long": "A" * 1023}))


def test_a_background_of_ones_own(annotator, alignment, found):
    own = Background(
        csr_array(found.background.maxima[:5]), found.background.accessions[:5], "five proteins"
    )
    compared = family(annotator, alignment, own, threshold=0.5, top=3)
    assert (
        compared.caption.endswith("background: five proteins")
        and "above 0.5 of their maximum" in compared.caption
    )
    assert (
        compared.features["background"].max() <= 5 and compared.columns["feature"].n_unique() == 3
    )


def test_tsv_and_json(found):
    lines = found.to_tsv().split("\n")
    assert (
        lines[0].split("\t") == found.features.columns and len(lines) == found.features.height + 1
    )
    first = dict(zip(found.features.columns, lines[1].split("\t"), strict=True))
    assert float(first["q_count"]) == pytest.approx(found.features["q_count"][0], rel=1e-3)
    record = json.loads(found.to_json())
    assert list(record)[:4] == ["type", "version", "about", "note"] and (
        record["type"],
        record["version"],
    ) == ("Family", 1)
    assert (
        record["members"] == NAMES
        and record["n_columns"] == 43
        and record["about"]["threshold"] == 0.15
    )
    assert (
        record["features"] == found.features.to_dicts()
        and record["columns"] == found.columns.to_dicts()
    )


def test_the_picture_of_an_alignment_is_its_column_means(found):
    chart = picture(found, 4)
    means, shown = chart.figure.axes[1], found.features.head(4)
    drawn = means.images[0].get_array()
    assert drawn is not None and drawn.shape == (
        4,
        42,
    )  # columns 21 and 22, and the last two, which half of the members have, are shown
    for feature, values in zip(shown["feature"], drawn, strict=True):
        np.testing.assert_allclose(
            values, found.columns.filter(pl.col("feature") == feature)["mean"], rtol=1e-6
        )
    assert found.alignment is not None
    assert (
        "".join(label.get_text() for label in means.get_xticklabels())
        == found.alignment.consensus()[:42]
    )
    assert chart._repr_mimebundle_()[0]["image/png"].startswith(b"\x89PNG")
    assert all(f"f/{feature} in" in chart.description for feature in shown["feature"])


def test_inserts_are_in_no_column(annotator, alignment, found):
    """A column made an insert leaves the picture; the others keep their means."""
    columns = np.where(alignment.columns == 5, 0, alignment.columns).astype(np.int32)
    inserted = family(annotator, replace(alignment, columns=columns), found.background)
    assert inserted.columns.equals(found.columns.filter(pl.col("column") != 5))
    assert inserted.features.equals(found.features)


def test_the_picture_without_an_alignment_is_bars(found):
    chart = picture(replace(found, alignment=None), 4)
    widths = [bar.get_width() for bar in chart.figure.axes[0].patches]
    assert widths == [*found.features["share"].head(4), *found.features["background_share"].head(4)]
    assert chart._repr_mimebundle_()[0]["image/png"].startswith(b"\x89PNG")


def test_a_wide_alignment_is_numbered(annotator, found):
    longest = max(annotator.run.proteins().sequences, key=len)[:170]
    wide = Alignment(
        Proteins.from_sequences({"wide": longest}), np.arange(1, 171, dtype=np.int32), 170
    )
    chart = picture(family(annotator, wide, found.background, top=2), 5)
    axis = chart.figure.axes[1]
    assert [label.get_text() for label in axis.get_xticklabels()] == [
        str(c) for c in range(1, 171, 9)
    ]
    assert axis.images[0].get_size() == (2, 170)
