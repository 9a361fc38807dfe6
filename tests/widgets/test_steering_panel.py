"""The panel's Python half: what it asks of the model, what it sends, and the Python that it writes.

The model is the embedded one, with the SAE of a whole small run.
"""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
import pytest
import traitlets as t

from interplm_nb.features.logos import AMINO_ACIDS
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.run_model import RunModel
from interplm_nb.pipeline.steered_layer import steered_layer
from interplm_nb.plm import fetching
from interplm_nb.plm.fetching import Fetch
from interplm_nb.steering.controls import matched_changes
from interplm_nb.steering.intervene import Change
from interplm_nb.steering.steered_sequence import SteeredSequence
from interplm_nb.widgets import model_view
from interplm_nb.widgets.feature_data import FeatureData
from interplm_nb.widgets.packing import unpack
from interplm_nb.widgets.playground.sequence_playground import SequencePlayground
from interplm_nb.widgets.steering import steering_panel
from interplm_nb.widgets.steering.steered import Settings, changed_words, moved
from interplm_nb.widgets.steering.steering_panel import SteeringPanel
from tests.widgets.small_run import simple_run

SEQUENCE = "MKTAYIAKQRQISFVKSHFSRQ"


@pytest.fixture(scope="module")
def data(tiny_run: Run) -> FeatureData:
    return FeatureData(tiny_run, structures={})


@pytest.fixture
def alive(data: FeatureData) -> list[int]:
    return data.pages.alive.tolist()


@pytest.fixture
def panel(data: FeatureData, alive: list[int]) -> Iterator[SteeringPanel]:
    data.selection.update({"feature": alive[0], "accession": "", "position": None})
    made = SteeringPanel(data, sequence=SEQUENCE)
    yield made
    made.close()


def told(panel: SteeringPanel, request: int = 7, **settings: Any) -> dict[str, Any]:
    """What the page is sent after a request."""
    panel._told(None, {"steer": request, "settings": settings}, None)
    return unpack(panel.result)[0] if panel.result else {}


def test_it_predicts_what_the_library_predicts(panel: SteeringPanel, alive: list[int]) -> None:
    panel.strength, panel.positions = 1.5, [3, 4]
    found = panel.steer()
    at = steered_layer(panel.data.pages.run, device="cpu")
    changes = [Change(alive[0], "clamp", 1.5, (3, 4))]
    one = SteeredSequence(at, SEQUENCE)
    wanted = [one.unsteered(), *one.steered([changes, matched_changes(at, changes, 0)])]
    for name, values in zip(("unsteered", "steered", "control"), wanted, strict=True):
        np.testing.assert_allclose(found[name], values.ravel(), atol=1e-6)
    assert found.height == 20 * len(SEQUENCE)
    row = found.row(20 * 4 + 3, named=True)
    assert (row["position"], row["residue"], row["amino_acid"]) == (5, "Y", "E")
    record, arrays = unpack(panel.result)
    np.testing.assert_array_equal(arrays["steered"], found["steered"])
    np.testing.assert_allclose(arrays["active"], one.activations([alive[0]])[0], rtol=1e-5)
    assert (record["letters"], record["first"], record["request"]) == (AMINO_ACIDS, 1, None)
    assert record["controls"] == [c.feature for c in matched_changes(at, changes, 0)]


SNIPPETS: list[dict[str, Any]] = [
    {},
    {"how": "add", "strength": 0.35, "positions": [2, 9], "seed": 3},
    {"how": "ablate", "control": "direction", "seed": 5},
    {"how": "scale", "strength": 2.0, "keep_error": False, "masks": [4, 5]},
]


@pytest.mark.parametrize("settings", SNIPPETS, ids=lambda one: one.get("how", "default"))
def test_the_snippet_gives_the_same_numbers(
    panel: SteeringPanel, alive: list[int], settings: dict[str, Any]
) -> None:
    for name, value in {"features": alive[:2], **settings}.items():
        setattr(panel, name, value)
    found = panel.steer()
    names: dict[str, Any] = {}
    exec(compile(unpack(panel.result)[0]["snippet"], "snippet", "exec"), names)
    columns = found.select("unsteered", "steered", "control").to_numpy().T
    np.testing.assert_allclose(names["p"].reshape(3, -1), columns, atol=1e-6)


def test_inside_a_recurrence_the_snippet_gives_the_same_numbers() -> None:
    run = Run.shipped()
    model = run.model()
    assert model is not None
    if fetching.to_fetch(model.weights):
        pytest.skip(f"the weights of {model.name} are not here")
    panel = SteeringPanel(FeatureData(run), sequence=SEQUENCE, where="recurrence", strength=2)
    found = panel.steer()
    assert "Run.shipped()" in panel.snippet() and found["position"].min() == 2
    names: dict[str, Any] = {}
    exec(compile(panel.snippet(), "snippet", "exec"), names)
    columns = found.select("unsteered", "steered", "control").to_numpy().T
    np.testing.assert_allclose(names["p"].reshape(3, -1), columns, atol=1e-6)
    inside = found["steered"].to_numpy()
    panel.where = "output"
    assert np.abs(panel.steer()["steered"].to_numpy() - inside).max() > 0.01


def test_nothing_runs_until_it_is_asked_for(
    panel: SteeringPanel, data: FeatureData, alive: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[float] = []
    steer = steering_panel.steer
    monkeypatch.setattr(
        steering_panel, "steer", lambda *args: ran.append(args[2].strength) or steer(*args)
    )
    panel.strength = 0.5
    data.selection.feature = alive[1]
    assert ran == [] and panel.result == b""
    panel.steer()
    panel.strength = 2
    panel.seed = 1
    assert ran == [0.5, 2, 2], "from then on each change is answered"
    told(panel, strength=1.0, how="add", seed=2)
    assert ran == [0.5, 2, 2, 1.0], "settings that come together are answered once"


def test_requests_are_answered_by_their_number(
    panel: SteeringPanel, alive: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[dict] = []
    monkeypatch.setattr(panel, "send", lambda content, buffers=None: sent.append(content))
    record = told(panel, 41, features=[alive[2]], positions=[3], how="scale", strength=0.5)
    assert (record["request"], record["features"], record["positions"]) == (41, [alive[2]], [3])
    assert record["sentence"].startswith(f"Feature {alive[2]}")
    assert "multiplied by 0.5 at 1 residue moves" in record["sentence"]
    assert panel.features == [alive[2]] and sent[-1] == {"done": True, "steered": 41}
    assert told(panel, 42, positions=[99]) == {} and panel.result == b"", "nothing older stays"
    assert panel.problem == (
        f"This could not be steered: feature {alive[2]}: position 99 is outside the sequence, "
        "which has residues 1 to 22"
    )
    assert sent[-1] == {"done": True, "steered": 42}
    assert told(panel, 43, positions=[], features=[alive[0]])["request"] == 43
    assert panel.problem == ""
    told(panel, 44, features=[10**6])
    assert panel.problem.startswith("This could not be steered: sae has features 0 to")
    told(panel, 45, features=[alive[0]], sequence="MK-V")
    assert "gap in the sequence" in panel.problem


def test_the_protein_is_that_in_focus_else_the_strongest(
    data: FeatureData, panel: SteeringPanel, alive: list[int]
) -> None:
    strongest = data.pages.top(alive[0], 1)["accession"][0]
    record = told(panel, sequence="")
    assert (record["name"], record["accession"]) == (strongest, strongest)
    other = next(a for a in data.pages.proteins.accessions if a != strongest)
    data.selection.accession = other
    assert told(panel)["accession"] == other
    record = told(panel, sequence=f">{other}\n{SEQUENCE}")
    assert (record["name"], record["accession"]) == (other, ""), "another sequence of that name"


def test_a_sequence_is_read_once(panel: SteeringPanel) -> None:
    said: list[str] = []
    panel.observe(lambda change: said.append(change["new"]), "progress")
    panel.steer()
    assert [words for words in said if words.startswith("Running")] == [
        "Running esm2-mini on 22 residues, unsteered (1 of 2)",
        "Running esm2-mini on 22 residues, with the change and with its control (2 of 2)",
    ]
    said.clear()
    panel.strength = 2
    assert said == []


def test_the_playground_and_the_panel_share_one_model(
    data: FeatureData, panel: SteeringPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel.steer()
    monkeypatch.setattr(model_view, "Annotator", None)
    playground = SequencePlayground(data, sequence=SEQUENCE)
    assert playground.result and not playground.problem


def test_dead_features_and_settings_that_make_no_sense_are_refused(
    panel: SteeringPanel, data: FeatureData, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, wrong in (("strength", 2.6), ("strength", -0.1), ("positions", [0])):
        with pytest.raises(t.TraitError):
            setattr(panel, name, wrong)
    with pytest.raises(t.TraitError):
        panel.how = "double"
    with pytest.raises(t.TraitError, match="over 2 residues"):
        monkeypatch.setitem(panel.about, "limit", 2)
        panel.sequence = "MKV"
    with pytest.raises(ValueError, match="position 23 cannot be masked"):
        panel.masks = [23]
        panel.steer()


def test_where_no_model_can_run_one_sentence_says_why(
    tmp_path: Any, data: FeatureData, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = pl.DataFrame(
        {"accession": ["P1", "P2", "P3"], "sequence": ["MAAPWK"] * 3, "protein_name": ["a"] * 3}
    )
    run = simple_run(tmp_path / "run", table)
    run.note_model(RunModel("arrays mine.npz", "mine", None))
    arrays = SteeringPanel(FeatureData(run, structures={}))
    assert arrays.about["unable"] == (
        "This run came without a model, so that there is nothing to steer."
    )
    told(arrays)
    assert arrays.problem.endswith("so that there is nothing to steer.")
    assert "came without a model" in arrays.figure().texts[0].get_text()
    monkeypatch.setattr(steering_panel, "find_spec", lambda _: None)
    assert SteeringPanel(data).about["unable"] == (
        "Steering runs the model, which needs torch, and torch is not installed here: "
        "run `pip install torch`, then restart the kernel."
    )


def test_weights_that_are_not_here_are_asked_for(
    panel: SteeringPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    here: list[str] = []
    wanted = Fetch("esm2-mini", 76_992_389, "by pip", "MIT")
    monkeypatch.setattr(fetching, "to_fetch", lambda _: None if here else wanted)
    monkeypatch.setattr(fetching, "fetch", here.append)
    told(panel)
    assert (panel.result, panel.problem) == (b"", "")
    assert panel.missing["text"] == "Steering needs esm2-mini, which is not here yet."
    panel._told(None, {"fetch": True, "steer": 8, "settings": {}}, None)
    assert len(here) == 1 and unpack(panel.result)[0]["request"] == 8 and not panel.missing


def test_opening_the_view_loads_no_torch(data: FeatureData) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from interplm_nb.widgets.feature_data import FeatureData\n"
        "from interplm_nb.widgets.steering.steering_panel import SteeringPanel\n"
        f"data = FeatureData(Path({str(data.pages.run.folder)!r}), structures={{}})\n"
        "SteeringPanel(data)._repr_mimebundle_()\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_total_variation_is_the_largest_difference_over_sets_of_letters() -> None:
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(6), 3), rng.dirichlet(np.ones(6), 3)
    for i, value in enumerate(moved(p, q)):
        sets = [[bool(s >> k & 1) for k in range(6)] for s in range(64)]
        assert value == pytest.approx(max(abs(p[i, s].sum() - q[i, s].sum()) for s in sets))


def test_a_change_in_words() -> None:
    one = Settings((3,), (), (), "clamp", 1.5, "recurrence", False, "feature", 0)
    assert changed_words(one, {3: "Zinc finger"}) == (
        "Feature 3 (Zinc finger) set to 1.5 × its maximum at every residue (without the SAE's "
        "error), inside the recurrence,"
    )
    two = Settings((3, 4), (1, 2), (), "add", 1.0, "output", True, "feature", 0)
    assert changed_words(two, {}) == "Features 3, 4 raised by 1 × their maxima at 2 residues"


def test_figures_have_one_scale_for_feature_and_control(panel: SteeringPanel) -> None:
    assert "Nothing has been steered" in panel.figure().texts[0].get_text()
    found = panel.steer()
    figure = panel.figure()
    images = [axes.images[0] for axes in figure.axes[:4]]
    assert images[0].get_clim() == images[1].get_clim() == (0, 1)
    assert images[2].get_clim() == images[3].get_clim()
    drawn = np.asarray(images[0].get_array())
    wanted = found["steered"].to_numpy().reshape(-1, 20)
    np.testing.assert_allclose(drawn[0], wanted[:, AMINO_ACIDS.index("D")])


def test_a_page_hears_that_it_is_over_also_where_the_kernel_failed(
    panel: SteeringPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[dict] = []
    monkeypatch.setattr(panel, "send", lambda content, buffers=None: sent.append(content))

    def failing() -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(panel, "_answer", failing)
    with pytest.raises(RuntimeError):
        panel._told(None, {"steer": 3, "settings": {}}, None)
    assert sent == [{"done": True, "steered": 3}]
