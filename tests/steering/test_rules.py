"""Rules find what their definition says, in letters alone."""

import re

import numpy as np
import pytest

from interplm_nb.steering.rules import (
    HYDROPATHY,
    PROSITE_HTH,
    RULES,
    helix_turn_helix,
    membrane_segment,
    pattern,
    rule_of,
    signal_sequence,
)

FINGER = "YKCPECGKSFSQSSNLQKHQRTHTG"
"""A finger of Zif268's family, by the consensus of C2H2 fingers."""
LACI = "MKPVTLYDVAEYAGVSYQTVSRVVNQASHVSAKTREKVEAAMAELNYIPNRVAQQLAGKQSL"
"""The start of the lac repressor of E. coli (P03023)."""
BACTERIORHODOPSIN = "QAQITGRPEWIWLALGTALMGLGTLYFLVKGMGVSDPDAKKFYAITTLVPAIAFTMYLSMLLGYGLTMVPF"
"""The start of bacteriorhodopsin (P02945), with its first two helices."""
LYSOZYME = "MRSLLILVLCFLPLAALGKVFGRCELAAAMKRHGLDNYRGYSLGNWVCAAKFESNFNTQATNRN"
"""The start of hen egg-white lysozyme (P00698): the signal peptide is residues 1 to 18."""
UBIQUITIN = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG"


def test_each_rule_finds_a_textbook_protein_and_not_ubiquitin() -> None:
    cases = {
        "Zinc finger_any": FINGER,
        "DNA binding_H-T-H motif": LACI,
        "Transmembrane_Helical": BACTERIORHODOPSIN,
        "Signal peptide": LYSOZYME,
    }
    for concept, sequence in cases.items():
        rule = rule_of(concept)
        assert rule is not None and rule.find(sequence), concept
        assert not rule.find(UBIQUITIN), concept
    assert rule_of("Active site_any") is None
    assert len(cases) == len(RULES)


def test_places_are_counted_from_1_and_whole() -> None:
    (start, end), *_ = pattern("finger", "C.{2,4}C.{12}H.{3,5}H").find(FINGER)
    assert FINGER[start - 1 : end] == "CPECGKSFSQSSNLQKHQRTH"
    assert helix_turn_helix().find(LACI) == [(6, 24)]


def test_a_membrane_segment_is_every_window_above_the_mean() -> None:
    (place, *_) = membrane_segment().find(BACTERIORHODOPSIN)
    covered = np.zeros(len(BACTERIORHODOPSIN), bool)
    for start in range(len(BACTERIORHODOPSIN) - 18):
        if sum(HYDROPATHY[c] for c in BACTERIORHODOPSIN[start : start + 19]) / 19 > 1.6:
            covered[start : start + 19] = True
    runs = [m.span() for m in re.finditer("1+", "".join("01"[int(c)] for c in covered))]
    assert membrane_segment().find(BACTERIORHODOPSIN) == [(a + 1, b) for a, b in runs]
    assert 8 <= place[0] <= 12
    assert membrane_segment().find("LLLL") == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda s: s, True),
        (lambda s: s.replace("R", "E"), False),  # no positive start
        (lambda s: s.replace("LLILVLCFL", "DDIDVDCFD"), False),  # no core
        (lambda s: s[:9] + "W" * 12 + s[21:], False),  # nothing small where it would be cut
        (lambda s: "G" * 30 + s, False),  # too late
    ],
)
def test_a_signal_sequence_needs_all_of_its_parts(change, found: bool) -> None:
    assert bool(signal_sequence().find(change(LYSOZYME))) is found


def test_a_pattern_is_prosite_or_a_regular_expression() -> None:
    for text in ("C-x(2,4)-C-x(12)-H-x(3,5)-H", "C.{2,4}C.{12}H.{3,5}H"):
        assert pattern("finger", text).find(FINGER) == [(3, 23)]
    assert pattern("dashes", "[A-C]{2}").find("DABD") == [(2, 3)]
    with pytest.raises(ValueError, match="element 2, 'q', of the pattern"):
        pattern("wrong", "C-q-C")
    with pytest.raises(ValueError, match=r"neither a PROSITE pattern .* nor a regular expression"):
        pattern("wrong", "C(")
    assert all(pattern(name, text).find for name, text in PROSITE_HTH.items())


def test_shuffles_keep_the_letters_and_lose_the_order() -> None:
    seen: list[str] = []
    rule = pattern("order", "AAAACCCC")
    shares = type(rule)("spy", "", lambda s: seen.append(s) or rule.find(s)).shuffled(
        ["AAAACCCC", "CAAAACCCCA"], 30, seed=1
    )
    assert shares.shape == (30,) and shares.mean() < 0.2
    assert {"".join(sorted(s)) for s in seen} == {"AAAACCCC", "AAAAACCCCC"}
    assert pattern("one letter", "A{4}").shuffled(["AAAA"], 3, 0).tolist() == [1, 1, 1]
