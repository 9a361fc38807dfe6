"""What the describer without a language model states, against definitions taken literally."""

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError
from scipy.stats import binomtest, false_discovery_control, fisher_exact, pearsonr
from sklearn.linear_model import RidgeCV

from interplm_nb.annotations import Annotations
from interplm_nb.features.log_odds import along, log_odds
from interplm_nb.features.logos import composition
from interplm_nb.features.motifs import LetterAxis, motif, pattern, sites
from interplm_nb.interpret.describe import Description
from interplm_nb.interpret.judge import PENALTIES, judge_statistically
from interplm_nb.interpret.known import SEES, Known
from interplm_nb.interpret.statements import (
    IN_STRUCTURES,
    Concept,
    Letters,
    Pattern,
    Position,
    Structure,
    Word,
)
from interplm_nb.interpret.statistical import Stated, describe_statistically
from interplm_nb.readers.structure_labels import CONCEPTS, LABELLED, StructureLabels
from tests.interpret.planted import drawn, planted, segment

ACTIVATIONS, KNOWN, CLUSTERS = planted()
FOUND = drawn(ACTIVATIONS, 0, CLUSTERS)
STATED = describe_statistically(FOUND, ACTIVATIONS, KNOWN, CLUSTERS)


def the(kind: type, stated: Stated = STATED):
    (only,) = [s for s in stated.statements if isinstance(s, kind)]
    return only


def test_a_planted_feature_is_described() -> None:
    assert pattern(the(Pattern).found).text == "W-x-K"
    assert the(Letters).letters == "K"
    assert the(Concept).name == "Active site_Lysine"
    assert {s.word for s in STATED.statements if isinstance(s, Word)} == {
        "kinase",
        "serine",
        "subunit",
    }
    assert STATED.description.summary == (
        'Fires on Active site_Lysine, in proteins named "kinase", in proteins named "serine", in '
        'proteins named "subunit", at the motif W-x-K, on K.'
    )
    assert STATED.description.description.startswith(
        f"It is above half of its largest value in {STATED.n_strong} proteins of the training half."
        " Shape: point."
    )


def test_the_support_of_a_concept_is_counted_on_the_training_half_alone() -> None:
    concept = the(Concept)
    active = right = carried = 0
    with_one = set()
    mask = KNOWN.annotations.mask(concept.name)
    for i, accession in enumerate(KNOWN.proteins.accessions):
        if not FOUND.in_training[i]:
            continue
        here = mask[KNOWN.proteins.rows(accession)]
        on = ACTIVATIONS.along(accession, 0) > concept.threshold
        active, carried = active + int(on.sum()), carried + int(here.sum())
        right += int((on & here).sum())
        if (on & here).any():
            with_one.add(accession)
    counted = (concept.n_active, concept.n_right, concept.n_carried, concept.n_proteins)
    assert counted == (active, right, carried, len(with_one))
    precision, recall = right / active, right / carried
    assert concept.f1 == pytest.approx(2 * precision * recall / (precision + recall))


def test_words_are_tested_by_fisher_between_strong_and_silent_proteins() -> None:
    word = next(s for s in STATED.statements if isinstance(s, Word))
    strong = [i for i in np.flatnonzero(FOUND.in_training) if FOUND.maximum[i] > 0.5]
    silent = [i for i in np.flatnonzero(FOUND.in_training) if FOUND.maximum[i] == 0]
    names = KNOWN.proteins.table["protein_name"]
    ours, others = (sum("kinase" in names[int(i)] for i in of) for of in (strong, silent))
    assert (word.n_strong, word.strong) == (ours, len(strong))
    assert (word.n_silent, word.silent) == (others, len(silent))
    table = [[ours, len(strong) - ours], [others, len(silent) - others]]
    p = fisher_exact(table, alternative="greater").pvalue
    # serine, kinase and subunit have this p; membrane and protein are in silent ones alone
    assert word.q == pytest.approx(false_discovery_control([p, p, p, 1, 1])[0])


def test_of_a_cluster_the_strongest_protein_alone_counts() -> None:
    one_family = np.where(np.arange(len(CLUSTERS)) % 2, 0, CLUSTERS + 1)
    stated = describe_statistically(FOUND, ACTIVATIONS, KNOWN, one_family)
    assert stated.n_strong == 1
    assert {type(s) for s in stated.statements} == {Concept}, "one family is one site, one name"
    apart = describe_statistically(FOUND, ACTIVATIONS, KNOWN)
    assert apart.n_strong == np.sum(FOUND.in_training & (FOUND.maximum > 0.5))


def test_the_motif_is_that_of_stage_features_on_the_training_half() -> None:
    half = [a for a, on in zip(KNOWN.proteins.accessions, FOUND.in_training, strict=True) if on]
    rows = sites(ACTIVATIONS, 0, half, dict(zip(KNOWN.proteins.accessions, CLUSTERS, strict=True)))
    background = composition(KNOWN.proteins.select(half))
    expected = motif(LetterAxis(KNOWN.proteins, 7), rows, background)
    found = the(Pattern)
    assert found.found.n_sites == len(rows)
    assert found.found.counts.tolist() == expected.counts.tolist()
    assert found.odds.tolist() == log_odds(expected.counts, background).tolist()


def test_values_of_statements() -> None:
    places = np.array([1, 2])
    carried = KNOWN.annotations.table.filter(concept="Active site_Lysine", accession="P1")
    n = (carried["end"] - carried["start"] + 1)[0]
    assert the(Concept).values(KNOWN, places).tolist() == pytest.approx([np.log(1 + n), 0])
    word = next(s for s in STATED.statements if isinstance(s, Word))
    assert word.values(KNOWN, places).tolist() == [1, 0]
    assert the(Letters).values(KNOWN, places).tolist() == pytest.approx([1 / 60, 0])
    best = [along(the(Pattern).odds, KNOWN.proteins.sequences[i]).max() for i in places]
    assert the(Pattern).values(KNOWN, places).tolist() == best


def test_the_evaluation_half_is_not_looked_at() -> None:
    """Names, annotations and activations of the evaluation half change nothing."""
    table = KNOWN.proteins.table.with_columns(
        protein_name=np.where(
            FOUND.in_training, KNOWN.proteins.table["protein_name"].to_numpy(), "Zebra"
        )
    )
    proteins = type(KNOWN.proteins)(table)
    training = [a for a, on in zip(proteins.accessions, FOUND.in_training, strict=True) if on]
    own = KNOWN.annotations.table.filter(KNOWN.annotations.table["accession"].is_in(training))
    known = Known(proteins, type(KNOWN.annotations)(own, proteins))
    values = np.concatenate(
        [
            ACTIVATIONS.of(a).toarray() * (1 if on else 0.3)
            for a, on in zip(proteins.accessions, FOUND.in_training, strict=True)
        ]
    )
    changed = type(ACTIVATIONS).from_dense(values, proteins, unit="max")
    again = describe_statistically(FOUND, changed, known, CLUSTERS)
    assert again.description == STATED.description


def test_blind_hides_names_and_annotations() -> None:
    for sees, kinds in zip(SEES, ({Pattern, Letters}, {Word}, {Concept}), strict=True):
        stated = describe_statistically(FOUND, ACTIVATIONS, KNOWN, CLUSTERS, sees)
        assert stated.statements == stated.for_a_judge_who(sees)
        assert kinds <= {type(s) for s in stated.statements}
    blind = describe_statistically(FOUND, ACTIVATIONS, KNOWN, sees="sequence").description
    assert "kinase" not in blind.description + blind.summary
    assert "Active site" not in blind.description + blind.summary


def test_a_feature_that_fires_anywhere_is_said_to_have_no_support() -> None:
    stated = describe_statistically(drawn(ACTIVATIONS, 1, CLUSTERS), ACTIVATIONS, KNOWN)
    assert stated.statements == ()
    assert stated.description.summary == (
        "No concept, name, motif, amino acid, position or period is supported."
    )


def test_a_feature_of_the_first_residues_is_described_by_position() -> None:
    values = np.zeros((ACTIVATIONS.n_residues, 1))
    values[KNOWN.proteins.offsets[:-1:2] + 1] = 1.0
    first = type(ACTIVATIONS).from_dense(values, KNOWN.proteins, unit="max")
    position = the(
        Position, describe_statistically(drawn(first, 0, CLUSTERS), first, KNOWN, sees="sequence")
    )
    assert (position.at_start, position.n, position.of) == (True, 40, 40)
    assert position.by_chance == pytest.approx(5 / 60)


@pytest.mark.parametrize("text", ["", "  ", "None", "none.", "N/A", "null", "Unknown", "unclear"])
def test_a_text_that_says_nothing_is_no_description(text: str) -> None:
    """In public code "None" was judged like a description and scored 0.71."""
    with pytest.raises(ValidationError, match="it says nothing"):
        Description(description="A description.", summary=text)
    with pytest.raises(ValidationError, match="it says nothing"):
        Description(description=text, summary="A summary.")


def test_long_texts_are_refused() -> None:
    with pytest.raises(ValidationError, match="at most 400 characters, not 401"):
        Description(description="A description.", summary="x" * 401)
    with pytest.raises(ValidationError, match="at most 4000 characters, not 4001"):
        Description(description="x" * 4001, summary="A summary.")


def test_annotations_of_other_proteins_are_refused() -> None:
    other = planted(20)[1]
    with pytest.raises(ValueError, match="on other proteins"):
        Known(KNOWN.proteins, other.annotations)


def test_what_is_shown_of_a_protein() -> None:
    letters = KNOWN.proteins.sequence("P1")
    assert KNOWN.shown("P1", "sequence") == {"length": 60, "sequence": letters}
    names = {"length": 60, "protein_name": "Serine kinase subunit", "organism": "Made <b>up</b>"}
    assert KNOWN.shown("P1", "names") == names
    assert "P1" not in str(KNOWN.shown("P1", "annotations"))
    assert len(KNOWN.shown("P1", "annotations")["annotations"]) == 2  # type: ignore[arg-type]


def structured(every: int = 1) -> Known:
    """Every protein but some has a structure, in which its lysines, and as many other residues as
    there are, are buried."""
    rng, rows, read = np.random.default_rng(3), [], []
    for i, (accession, sequence) in enumerate(
        zip(KNOWN.proteins.accessions, KNOWN.proteins.sequences, strict=True)
    ):
        if i % 3 == 2 or i // 3 % every:
            continue
        read.append({"accession": accession, "n_residues": 60, "n_labelled": 60})
        buried = {*rng.integers(60, size=6).tolist(), *np.flatnonzero(np.array([*sequence]) == "K")}
        rows += [segment(accession, "Accessibility_Buried", r + 1, r + 1, r) for r in buried]
        rows += [segment(accession, "Secondary structure_Helix", 1, 30, i)]
    labels = Annotations(pl.DataFrame(rows), KNOWN.proteins)
    return Known(
        KNOWN.proteins,
        KNOWN.annotations,
        StructureLabels(labels, pl.DataFrame(), pl.DataFrame(read, schema=LABELLED)),
    )


def test_where_in_the_fold_maxima_lie_is_stated_with_its_support() -> None:
    known = structured()
    stated = describe_statistically(FOUND, ACTIVATIONS, known, CLUSTERS)
    structure = the(Structure, stated)
    places = [
        (i, int(ACTIVATIONS.along(a, 0).argmax()))
        for i, a in enumerate(known.proteins.accessions)
        if FOUND.in_training[i] and FOUND.maximum[i] > 0.5 and i % 3 < 2
    ]
    shares = [known.on_structures["Accessibility_Buried"][60 * i : 60 * i + 60] for i, _ in places]
    assert (structure.n, structure.of) == (len(places), len(places))
    assert structure.by_chance == pytest.approx(np.mean([share.mean() for share in shares]))
    assert "on buried residues" in stated.description.summary
    assert (
        f"{len(places)} of {len(places)} maxima in proteins with a structure lie on buried residues"
        in stated.description.description
    )
    p = binomtest(structure.n, structure.of, structure.by_chance, "greater").pvalue
    assert 2 * p < 0.01, "the helix, half of each protein, is by chance"


def test_the_value_of_a_structure_is_the_motif_on_its_residues_where_it_can_be_known() -> None:
    known = structured()
    structure = the(Structure, describe_statistically(FOUND, ACTIVATIONS, known, CLUSTERS))
    found = structure.values(known, np.array([0, 1, 2]))
    for i in (0, 1):
        fits = along(structure.odds, known.proteins.sequences[i])
        on = known.on_structures["Accessibility_Buried"][60 * i : 60 * i + 60]
        assert found[i] == max(fit for fit, here in zip(fits, on, strict=True) if here)
    assert np.isnan(found[2])
    helix = Structure("Secondary structure_Strand", 1, 1, 0.5, structure.odds)
    known.on_structures["Secondary structure_Strand"] = np.zeros(9600, bool)  # type: ignore
    assert (
        helix.values(known, np.array([1]))[0]
        == along(structure.odds, known.proteins.sequences[1]).min()
    )


def test_a_judge_takes_a_structure_that_is_not_known_as_the_mean() -> None:
    known = structured()
    stated = describe_statistically(FOUND, ACTIVATIONS, known, CLUSTERS)
    alone = Stated(0, (the(Structure, stated),), 1, "point")
    (train, test) = (known.places(half["accession"].to_list()) for half in FOUND[3:])
    values = [alone.statements[0].values(known, places) for places in (train, test)]
    assert np.isnan(values[0]).any() and np.isnan(values[1]).any()
    judged = judge_statistically(FOUND, alone, [], known, CLUSTERS, "names")
    centre = np.nanmean(values[0])
    x, new = (np.nan_to_num(v, nan=centre)[:, None] for v in values)
    x, new = ((v - centre) / np.nanstd(values[0]) for v in (x, new))
    model = RidgeCV(PENALTIES).fit(x, FOUND.maximum[train])
    expected = pearsonr(model.predict(new), FOUND.maximum[test]).statistic
    assert judged.filter(given="description")["pearson"][0] == pytest.approx(expected, abs=1e-6)
    hidden = judge_statistically(FOUND, alone, [], known, CLUSTERS, "sequence")
    assert hidden.filter(given="description")["pearson"].to_list() == [None]


def test_without_structures_enough_nothing_is_said_of_them() -> None:
    few = describe_statistically(FOUND, ACTIVATIONS, structured(every=8), CLUSTERS)
    assert few.description == STATED.description
    blind = describe_statistically(FOUND, ACTIVATIONS, structured(), CLUSTERS, "sequence")
    assert not [s for s in blind.statements if isinstance(s, Structure)]


def test_every_label_of_structures_has_its_words() -> None:
    assert set(IN_STRUCTURES) == set(CONCEPTS)
