"""What the describer without a language model states, against definitions taken literally."""

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.stats import fisher_exact

from interplm_nb.interpret.describe import Description
from interplm_nb.interpret.known import SEES, Known
from interplm_nb.interpret.statements import Concept, Letters, Pattern, Position, Word
from interplm_nb.interpret.statistical import Stated, describe_statistically
from tests.interpret.planted import drawn, planted

ACTIVATIONS, KNOWN, CLUSTERS = planted()
FOUND = drawn(ACTIVATIONS, 0, CLUSTERS)
STATED = describe_statistically(FOUND, ACTIVATIONS, KNOWN)


def the(kind: type, stated: Stated = STATED):
    (only,) = [s for s in stated.statements if isinstance(s, kind)]
    return only


def test_a_planted_feature_is_described() -> None:
    assert the(Pattern).motif.consensus == "W-x-K"
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
        f"In {STATED.n_strong} proteins of the training half it reaches 0.5. Shape: point."
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
    strong = [i for i in np.flatnonzero(FOUND.in_training) if FOUND.maximum[i] >= 0.5]
    silent = [i for i in np.flatnonzero(FOUND.in_training) if FOUND.maximum[i] == 0]
    names = KNOWN.proteins.table["protein_name"]
    ours, others = (sum("kinase" in names[int(i)] for i in of) for of in (strong, silent))
    assert (word.n_strong, word.strong) == (ours, len(strong))
    assert (word.n_silent, word.silent) == (others, len(silent))
    table = [[ours, len(strong) - ours], [others, len(silent) - others]]
    p = fisher_exact(table, alternative="greater").pvalue
    assert word.q == pytest.approx(p)  # three words with the same p


def test_the_motif_scores_every_place_by_its_log_odds() -> None:
    motif = the(Pattern).motif
    sequence = KNOWN.proteins.sequences[1]
    letters = "ACDEFGHIKLMNPQRSTVWY"
    for at in (0, 20, 59):
        expected = 0.0
        for column in range(11):
            place = at + column - 5
            if 0 <= place < 60:
                n, root = motif.weights.n[column], np.sqrt(motif.n_sites)
                background = motif.weights.background
                letter = letters.index(sequence[place])
                count = motif.weights.counts[column, letter]
                share = (count + root * background[letter]) / (n + root)
                expected += np.log2(share / background[letter])
        assert motif.along(sequence)[at] == pytest.approx(expected)


def test_values_of_statements() -> None:
    places = np.array([1, 2])
    carried = KNOWN.annotations.table.filter(concept="Active site_Lysine", accession="P1")
    n = (carried["end"] - carried["start"] + 1)[0]
    assert the(Concept).values(KNOWN, places).tolist() == pytest.approx([np.log(1 + n), 0])
    word = next(s for s in STATED.statements if isinstance(s, Word))
    assert word.values(KNOWN, places).tolist() == [1, 0]
    assert the(Letters).values(KNOWN, places).tolist() == pytest.approx([1 / 60, 0])
    best = [the(Pattern).motif.along(KNOWN.proteins.sequences[i]).max() for i in places]
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
    again = describe_statistically(FOUND, changed, known)
    assert again.description == STATED.description


def test_blind_hides_names_and_annotations() -> None:
    for sees, kinds in zip(SEES, ({Pattern, Letters}, {Word}, {Concept}), strict=True):
        stated = describe_statistically(FOUND, ACTIVATIONS, KNOWN, sees)
        assert stated.statements == stated.for_a_judge_who(sees)
        assert kinds <= {type(s) for s in stated.statements}
    blind = describe_statistically(FOUND, ACTIVATIONS, KNOWN, "sequence").description
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
        Position, describe_statistically(drawn(first, 0, CLUSTERS), first, KNOWN, "sequence")
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
