"""The live picture: one display, updated in place and throttled; its last state is saved."""

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from interplm_nb.figures import live
from interplm_nb.figures.live import LiveLearning
from interplm_nb.pipeline.notebooks import clean
from interplm_nb.stages.training import together
from tests.clocks import set_clock

CODE = """
from interplm_nb.figures.live import LiveLearning
live = LiveLearning(20, every_seconds=0.0)
for step in range(1, 21):
    for sae in ("layer_03-topk-k16-s0", "layer_03-gated-l0.02-s0"):
        line = {"sae": sae, "step": step, "fvu": 1 / step, "l0": 16.0, "silent_in_window": 0.1}
        live({**line, "density": [1, 2]})
"""


def line(step, sae="sae", **values):
    return {"sae": sae, "step": step, "fvu": 1 / step, "l0": 8.0, "silent_in_window": 0.5, **values}


def test_the_last_picture_stays_in_the_saved_notebook():
    notebook = new_notebook(
        cells=[new_code_cell(CODE)],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    NotebookClient(notebook, timeout=120).execute()
    clean(notebook)
    output, below = notebook.cells[0].outputs
    assert set(below.data) == {"text/html", "text/plain"}
    assert output.output_type == "display_data" and "image/png" in output.data
    assert "to step 20 of 20" in output.data["text/plain"]
    assert "layer_03-topk-k16-s0, layer_03-gated-l0.02-s0" in output.data["text/plain"]
    nbformat.validate(notebook)


def test_outside_a_kernel_nothing_is_shown(capfd):
    shown = LiveLearning(2)
    shown(line(1))
    shown(line(2))
    assert not live.in_notebook() and capfd.readouterr() == ("", "")
    assert list(shown.lines["sae"]) == [1, 2]


@pytest.fixture
def drawn(monkeypatch):
    """The last step of each picture that is shown, on a clock that stands still."""
    steps, clock = [], [0.0]
    monkeypatch.setattr(live, "in_notebook", lambda: True)
    monkeypatch.setattr(
        LiveLearning,
        "_show",
        lambda self: (
            steps.append(max(map(max, self.lines.values()))) or self._showed(clock[0], clock[0])
        ),
    )
    set_clock(monkeypatch, live, lambda: clock[0])
    return steps, clock


def test_it_is_drawn_at_most_so_often_and_at_the_end(drawn):
    steps, clock = drawn
    shown = LiveLearning(10, every_seconds=2)
    for step in range(1, 11):
        for sae in ("a", "b"):
            shown(line(step, sae))
        clock[0] += 0.5
    assert steps == [1, 5, 9, 10]


def test_a_slow_picture_is_drawn_less_often():
    shown = LiveLearning(100, every_seconds=2)
    shown._showed(began=10.0, ended=11.0)
    assert shown._next == 11.0 + 20


def test_what_is_measured_after_the_last_step_joins_its_line():
    shown = LiveLearning(2)
    for one in (line(1), line(2), {"sae": "sae", "step": 2, "loss_recovered": 0.9}):
        shown(one)
    assert shown.lines["sae"][2] == {**line(2), "loss_recovered": 0.9}
    (fvu, *_) = shown.chart().figure.axes
    assert fvu.lines[0].get_xydata().tolist() == [[1, 1], [2, 0.5]]


def test_a_picture_of_nothing_can_be_drawn():
    assert LiveLearning(10).chart()._repr_mimebundle_()


def test_several_logs_hear_the_same():
    first, second = [], []
    together(first.append, second.append)(line(1))
    assert first == second == [line(1)]
