"""Motifs of features, against windows letter by letter and patterns by regular expressions."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.activations import FeatureActivations
from interplm_nb.features import motifs
from interplm_nb.features.logos import AMINO_ACIDS, UNIFORM, composition, position_weights, windows
from interplm_nb.features.motifs import (
    MOTIFS,
    LetterAxis,
    Motif,
    MotifSearch,
    Pattern,
    consensus,
    feature_motifs,
    held_out,
    motif,
    pattern,
    sites,
)
from interplm_nb.proteins import Proteins, Residue
from interplm_nb.readers.motif_files import pattern_regex


def planted(n: int = 60, seed: int = 0) -> tuple[Proteins, np.ndarray]:
    """Random proteins with one CxxC[ST] each, and the rows of its first cysteine."""
    rng = np.random.default_rng(seed)
    sequences, places = {}, []
    for i in range(n):
        letters = rng.choice(list("ADEFGHIKLMNPQRTVWY"), rng.integers(30, 60))
        at = rng.integers(8, len(letters) - 12)
        letters[[at, at + 3]] = "C"
        letters[at + 4] = rng.choice(["S", "T"])
        sequences[f"P{i}"] = "".join(letters)
        places.append(at)
    proteins = Proteins.from_sequences(sequences)
    return proteins, proteins.offsets[:-1] + np.array(places)


@given(
    st.lists(st.text("ACWX", min_size=1, max_size=9), min_size=1, max_size=5),
    st.integers(0, 4),
    st.data(),
)
def test_counts_are_those_of_the_windows(
    sequences: list[str], flank: int, data: st.DataObject
) -> None:
    proteins = Proteins.from_sequences({f"P{i}": s for i, s in enumerate(sequences)})
    rows = np.array(data.draw(st.lists(st.integers(0, proteins.n_residues - 1), min_size=1)))
    found = LetterAxis(proteins, flank).counts(rows)
    residues = [proteins.residue(int(row)) for row in rows]
    seen = windows(proteins, [(r.accession, r.position) for r in residues], flank)
    np.testing.assert_array_equal(found, position_weights(seen, UNIFORM).counts)
    many = LetterAxis(proteins, flank).counts(np.array([rows, rows[::-1]]))
    np.testing.assert_array_equal(many, [found, found])


@given(st.integers(0, 1000), st.booleans(), st.booleans())
def test_sites_equal_a_loop_over_proteins(seed: int, some: bool, clustered: bool) -> None:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 6, 6)
    proteins = Proteins.from_sequences({f"P{i}": "A" * n for i, n in enumerate(lengths)})
    values = rng.choice([0, 0.2, 0.5, 0.6, 1.0], proteins.n_residues).astype(np.float32)
    store = FeatureActivations.from_dense(values[:, None], proteins)
    chosen = proteins.accessions[::2] if some else proteins.accessions
    clusters = {f"P{i}": i // 2 for i in range(6)} if clustered else None
    peaks = []
    for accession in chosen:
        track = values[proteins.rows(accession)]
        peaks.append((-track.max(), proteins.row(Residue(accession, int(track.argmax()) + 1))))
    top = -min(peaks)[0]
    expected, seen = [], set()
    for value, row in sorted(peaks):
        cluster = clusters and clusters[proteins.residue(row).accession]
        if -value > motifs.STRONG * top and (cluster is None or cluster not in seen):
            seen.add(cluster)
            expected.append(row)
    assert sites(store, 0, chosen if some else None, clusters).tolist() == expected


def test_a_planted_motif_is_found_and_shuffled_maxima_have_none() -> None:
    proteins, rows = planted()
    axis, background = LetterAxis(proteins, 5), composition(proteins)
    found = motif(axis, rows, background, 200, seed=3)
    assert found.p == 1 / 201 and found.information.sum() > 3 * found.by_chance
    stated = pattern(found)
    assert (stated.text, stated.offset) == ("C-x(2)-C-[ST]", 0)
    assert consensus(found)[5] == "C" and consensus(found)[0].islower()
    anywhere = proteins.offsets[:-1] + np.random.default_rng(1).integers(0, 30, len(proteins))
    by_luck = motif(axis, anywhere, background, 200, seed=3)
    assert by_luck.p > 0.05
    assert by_luck.information.sum() == pytest.approx(by_luck.by_chance, rel=0.5)


def test_p_counts_the_shuffles_that_reach_the_information() -> None:
    """Against windows drawn one by one with the same numbers."""
    proteins, rows = planted(12)
    axis, background = LetterAxis(proteins, 2), composition(proteins)
    found = motif(axis, rows, background, 50, seed=(4, 7))
    drawn = np.random.default_rng((4, 7)).random((50, 12))
    sums = []
    for draw in drawn:
        centres = [
            (a, 1 + int(u * n))
            for a, u, n in zip(proteins.accessions, draw, proteins.lengths, strict=True)
        ]
        safe = np.maximum(background, 1e-9) / np.maximum(background, 1e-9).sum()
        sums.append(position_weights(windows(proteins, centres, 2), safe).information.sum())
    own = found.information.sum()
    assert found.p == (1 + sum(s >= own - 1e-6 for s in sums)) / 51
    assert found.by_chance == pytest.approx(np.mean(sums), rel=1e-6)


@given(st.integers(0, 10_000))
def test_a_pattern_states_the_fewest_letters_that_cover(seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(50, rng.dirichlet(np.full(20, 0.1)), size=5)
    bits = rng.choice([0.1, 2.0], 5)
    found = pattern(Motif(50, counts, counts / 50, bits, 0.0, 0.01))
    columns: list[str] = []
    for column in range(5):
        letters, covered = [], 0
        for i in sorted(range(20), key=lambda i: (-counts[column, i], i)):
            if covered < motifs.COVERED * 50:
                letters.append(AMINO_ACIDS[i])
                covered += counts[column, i]
        stated = bits[column] > 1 and len(letters) <= motifs.MOST_LETTERS
        columns.append(f"[{''.join(sorted(letters))}]" if stated else "[A-Z]")
    while columns and columns[-1] == "[A-Z]":
        columns.pop()
    offset = next((i for i, c in enumerate(columns) if c != "[A-Z]"), 2)
    assert found.offset == offset - 2 if found.text else not columns
    if found.text:
        written = pattern_regex(found.text).pattern
        words = re.findall(r"(\[[A-Z-]+\]|[A-Z])(?:\{(\d+)\})?", written)
        plain = [w if w[0] == "[" else f"[{w}]" for w, n in words for _ in range(int(n or 1))]
        assert plain == columns[offset:]


@given(st.integers(0, 10_000))
def test_held_out_figures_equal_a_look_at_every_place(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sequences = {f"P{i}": "".join(rng.choice(list("ACX"), rng.integers(1, 9))) for i in range(5)}
    proteins = Proteins.from_sequences(sequences)
    flank, width = 2, int(rng.integers(1, 4))
    allowed = np.zeros((width, 20), bool)
    allowed[:, :2] = rng.random((width, 2)) < 0.6
    allowed[[0, -1], 0] = True
    if width == 3 and rng.random() < 0.5:
        allowed[1] = True
    stated = Pattern("any", int(rng.integers(-flank, flank + 2 - width)), allowed)
    active = np.flatnonzero(rng.random(proteins.n_residues) < 0.3)
    within = rng.random(5) < 0.7
    rows = np.flatnonzero(
        np.repeat(within, proteins.lengths) & (rng.random(proteins.n_residues) < 0.3)
    )
    found = held_out(LetterAxis(proteins, flank), stated, rows, active, within)
    on, matched, places = set(active.tolist()), {}, 0
    for i, accession in enumerate(proteins.accessions):
        for at in range(len(sequences[accession]) - width + 1) if within[i] else ():
            word = sequences[accession][at : at + width]
            row = int(proteins.offsets[i]) + at
            touched = any(r in on for r in range(row, row + width))
            fits = all(
                may.all() or (a in AMINO_ACIDS and may[AMINO_ACIDS.index(a)])
                for a, may in zip(word, allowed, strict=True)
            )
            places += 1
            matched[row] = (fits, touched)
    hits = [touched for fits, touched in matched.values() if fits]
    assert (found.sites, found.matches) == (len(rows), len(hits))
    assert found.precision == pytest.approx(np.mean(hits) if hits else 0)
    assert found.by_chance == pytest.approx(
        np.mean([touched for _, touched in matched.values()]) if places else 0
    )

    def met(row: int) -> bool:
        start = row + stated.offset
        own = proteins.residue(row).accession
        inside = 0 <= start < proteins.n_residues and proteins.residue(start).accession == own
        return inside and matched.get(start, (False,))[0]

    assert found.recall == pytest.approx(np.mean([met(int(r)) for r in rows]) if len(rows) else 0)


def test_the_table_states_patterns_that_hold_on_other_proteins() -> None:
    proteins, rows = planted(90)
    values = np.zeros((proteins.n_residues, 3), np.float32)
    values[rows, 0] = 1.0
    values[proteins.offsets[:-1] + 9, 1] = 1.0  # a place, no letters
    values[rows[:5], 2] = 1.0
    store = FeatureActivations.from_dense(values, proteins, "max")
    train, test = proteins.accessions[:60], proteins.accessions[60:]
    clusters = {a: i for i, a in enumerate(proteins.accessions)}
    search = MotifSearch(train, test, clusters, flank=5, shuffles=100)
    table, found = feature_motifs(store, search)
    assert dict(table.schema) == MOTIFS
    assert table["feature"].to_list() == list(found) == [0, 1], "5 sites are too few"
    first, place = table.to_dicts()
    assert (first["pattern"], first["pattern_offset"], first["n_sites"]) == ("C-x(2)-C-[ST]", 0, 60)
    assert (first["held_out_sites"], first["pattern_recall"]) == (30, 1)
    assert (first["held_out_matches"], first["pattern_precision"]) == (30, 1)
    assert first["precision_by_chance"] == pytest.approx(
        5 * 30 / (proteins.n_residues / 3), rel=0.2
    )
    assert place["q_motif"] > 0.05 and (place["pattern"], place["pattern_recall"]) == ("", 0)
    assert feature_motifs(store, search, [0])[0]["p_motif"][0] == first["p_motif"]
    related = search._replace(clusters=dict.fromkeys(proteins.accessions, 1))
    assert feature_motifs(store, related)[0].is_empty(), "one family is one site"
    assert not feature_motifs(store, search._replace(test=[]))[0]["held_out_sites"].sum()


def test_a_negative_flank_is_refused() -> None:
    with pytest.raises(ValueError, match="flank must be 0 or more, not -1"):
        LetterAxis(planted(3)[0], -1)
