import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from biotite.sequence.io.gff import GFFFile

from interplm_nb.figures.annotate import along
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.plain_text import plain
from interplm_nb.proteins import Proteins
from interplm_nb.questions.annotate import AnnotatedSequences, Annotator
from interplm_nb.questions.annotate_formats import format_of, to_gff3, to_json, to_tsv, written
from interplm_nb.readers.label_files import read_gff3
from tests.pipeline.asked import with_links

EVIL = '=1;evil=2,\t%09>&"$x$ ../../name'


@pytest.fixture(scope="module")
def found(tiny_run, tmp_path_factory) -> AnnotatedSequences:
    run = with_links(tiny_run, tmp_path_factory.mktemp("asked") / "run")
    sequences = run.proteins().sequences
    asked = {EVIL: sequences[0], "plain": sequences[1], "long": "A" * 1023, "silent": "W"}
    found = Annotator(run, device="cpu")(asked, 0.05)
    # half of the features keep their names, and one sequence has none, in every tiny run
    concepts = found.concepts.filter(pl.col("feature") % 2 == 0, pl.col("accession") != "silent")
    named = (pl.col("feature") % 2 == 0) & (pl.col("accession") != "silent") & pl.col("named")
    return replace(
        found, concepts=concepts, features=found.features.with_columns(named.alias("named"))
    )


def named(found: AnnotatedSequences, top: int) -> list[tuple]:
    return found.top(top)[0].select("accession", "concept", "feature", "start", "end").rows()


def others(found: AnnotatedSequences, top: int) -> list[tuple]:
    rows = found.top(top)[1].iter_rows(named=True)
    return [
        (row["accession"], row["feature"], s["start"], s["end"])
        for row in rows
        for s in row["spans"]
    ]


def test_json_says_what_it_is_and_what_was_left_out(found):
    text = to_json(found, 3)
    record = json.loads(text)
    assert list(record) == ["type", "version", "about", "note", "left_out", "sequences"]
    assert (record["type"], record["version"]) == ("AnnotatedSequences", 1)
    assert record["about"] == {**found.about, "top": 3}
    assert "not ESM-2" in record["note"]
    assert record["left_out"] == [{"reason": "over 1,022 residues", "n": 1, "records": ["long"]}]
    assert [s["accession"] for s in record["sequences"]] == [EVIL, "plain", "silent"]
    assert [
        (s["accession"], *(c[k] for k in ("concept", "feature", "start", "end")))
        for s in record["sequences"]
        for c in s["concepts"]
    ] == named(found, 3)
    first = record["sequences"][0]
    assert first["n_concepts"] == found.concepts.filter(pl.col("accession") == EVIL).height
    assert list(first["concepts"][0]) == found.concepts.columns[1:]
    assert list(first["features"][0]) == found.features.columns[1:]
    assert to_json(found, 3) == text


def test_gff3_is_read_back_by_others_and_by_us(found, tmp_path):
    text = to_gff3(found, 4)
    read = GFFFile.read(io.StringIO(text))
    rows = [
        (seqid, attributes["Name"], int(attributes["feature"]), start, end)
        for seqid, _, _, start, end, _, _, _, attributes in read
    ]
    wanted = [*named(found, 4), *((a, f"f/{f}", f, s, e) for a, f, s, e in others(found, 4))]
    assert sorted(rows) == sorted(wanted)
    ids = [entry[8]["ID"] for entry in read]
    assert len(set(ids)) == len(ids) and ids[0] == f"{EVIL}.1"
    for _, source, kind, _, _, score, strand, phase, attributes in read:
        assert (source, kind, strand, phase) == ("interplm-nb", "polypeptide_region", None, None)
        assert (score is None) == attributes["Name"].startswith("f/") == ("f1" not in attributes)
    (tmp_path / "a.gff3").write_text(text)
    labels = read_gff3(tmp_path / "a.gff3", found.proteins)
    assert labels.annotations.table.height == len(wanted)


def test_gff3_lines_are_whole_and_a_silent_sequence_is_said_to_be_so(found):
    lines = to_gff3(found, 4).split("\n")
    assert lines[0] == "##gff-version 3"
    assert all(line.startswith("#") or line.count("\t") == 8 for line in lines)
    assert "# left out or changed: 1 x over 1,022 residues" in lines
    assert "# silent: no named concept with confidence >= 0.05" in lines


def as_shown(name):
    return ("'" if name[0] in "=+-@" else "") + name.replace("\t", "\\u0009")


def test_tsv_has_a_row_per_stretch_in_the_order_of_the_sequences(found):
    rows = list(csv.DictReader(io.StringIO(to_tsv(found, 4)), delimiter="\t"))
    assert list(rows[0]) == found.concepts.columns
    raw = {as_shown(accession): accession for accession in found.proteins.accessions}
    assert any(accession.startswith("'=") and "\\u0009" in accession for accession in raw)
    rows = [row | {"accession": raw[row["accession"]]} for row in rows]
    pairs = [
        (row["accession"], row["concept"], int(row["feature"]), int(row["start"]), int(row["end"]))
        for row in rows
    ]
    assert [pair for pair in pairs if pair[1]] == named(found, 4)
    assert [(a, f, s, e) for a, concept, f, s, e in pairs if not concept] == others(found, 4)
    order = [found.proteins.index(row["accession"]) for row in rows]
    assert order == sorted(order)
    assert all(
        bool(row["confidence"]) == bool(row["precision"]) == bool(row["concept"]) for row in rows
    )


def test_a_small_q_value_is_not_written_as_0(found):
    tiny = found.concepts.with_columns(pl.lit(1.234567e-9).alias("q_value"))
    changed = replace(found, concepts=tiny)
    assert (
        next(csv.DictReader(io.StringIO(to_tsv(changed, 1)), delimiter="\t"))["q_value"]
        == "1.235e-09"
    )
    assert json.loads(to_json(changed, 1))["sequences"][0]["concepts"][0]["q_value"] == 1.235e-9
    assert "q_value=1.235e-09" in to_gff3(changed, 1)


@pytest.mark.parametrize(
    ("path", "wanted", "kind"),
    [
        ("a.json", None, "json"),
        ("a.GFF", None, "gff3"),
        ("a.gff3", "tsv", "tsv"),
        (None, None, "tsv"),
        ("a.b", "json", "json"),
    ],
)
def test_the_format_is_that_of_the_suffix(path, wanted, kind, found):
    assert format_of(Path(path) if path else None, wanted) == kind
    assert written(found, kind, 1) == {"json": to_json, "gff3": to_gff3, "tsv": to_tsv}[kind](
        found, 1
    )


def test_a_suffix_of_no_format_is_refused():
    with pytest.raises(
        PipelineError,
        match=r"a\.xlsx: no format has the suffix '\.xlsx'; name the file \.json, \.gff3 or \.tsv",
    ):
        format_of(Path("a.xlsx"), None)


@pytest.mark.parametrize("accession", [EVIL, "plain", "silent"])
def test_the_picture_shows_names_above_and_others_below(found, accession):
    chart = along(found, accession, 3)
    axis = chart.figure.axes[0]
    labels = [label.get_text() for label in axis.get_yticklabels()]
    names = (
        found.concepts.filter(pl.col("accession") == accession)
        .unique(["concept", "feature"], keep="first", maintain_order=True)
        .head(3)
    )
    assert [label.split(" (")[0] for label in labels[: names.height]] == names["concept"].to_list()
    features = [int(label.rpartition("f/")[2]) for label in labels]
    others = found.features.filter(accession=accession, named=False)
    inside = others.filter(pl.col("position") > 1)
    drawn = inside if inside.height or names.height else others
    assert features[names.height :] == drawn["feature"].to_list()[:3]
    n_first = others.height - drawn.height
    said = f"Not drawn: {n_first} without a name, strongest at residue 1."
    assert (said in chart.description) == (n_first > 0)
    shown = axis.images[0].get_array()
    assert shown is not None
    assert (found.activations.of(accession)[:, features].toarray() == shown.T).all()
    assert chart._repr_mimebundle_()[0]["image/png"].startswith(b"\x89PNG")
    assert ("none with confidence >= 0.05" in chart.description) == (names.height == 0)


def test_json_shows_no_mark_that_a_terminal_obeys(found):
    names = [f"{a}\u202e\x9b\U000e0041" for a in found.proteins.accessions]
    renamed = dict(zip(found.proteins.accessions, names, strict=True))
    proteins = Proteins.from_sequences(dict(zip(names, found.proteins.sequences, strict=True)))
    concepts = found.concepts.with_columns(pl.col("accession").replace(renamed))
    features = found.features.with_columns(pl.col("accession").replace(renamed))
    text = to_json(replace(found, proteins=proteins, concepts=concepts, features=features))
    assert plain(text) == text
    assert [row["accession"] for row in json.loads(text)["sequences"]] == names
