"""What is kept of an executed notebook."""

import nbformat
from nbformat.v4 import new_code_cell, new_notebook, new_output

from interplm_nb.pipeline.model_note import model_note
from interplm_nb.pipeline.notebooks import clean

BAR = (
    "embed:   0%|          | 0.00/403k [00:00<?, ? residues/s]\r"
    "embed: 100%|██████████| 403k/403k [01:00<00:00, 6.61k residues/s]\n"
)


def test_progress_bars_and_machine_traces_go_and_results_stay():
    widget = new_output(
        "display_data",
        {
            "application/vnd.jupyter.widget-view+json": {"model_id": "x"},
            "text/plain": "train: 50%|#####     | 1/2",
        },
    )
    outputs = [
        new_output("stream", name="stderr", text=BAR),
        new_output("stream", name="stderr", text="a warning\n"),
        new_output("stream", name="stdout", text="100 % of 3 proteins\n"),
        widget,
        new_output("execute_result", {"text/plain": "42"}),
    ]
    cell = new_code_cell(
        "x",
        outputs=outputs,
        metadata={"papermill": {"duration": 1}, "execution": {}, "tags": ["parameters"]},
    )
    kernel = {"name": "python3", "display_name": "Python 3"}
    notebook = new_notebook(
        cells=[cell],
        metadata={"papermill": {"output_path": "/home/me"}, "widgets": {}, "kernelspec": kernel},
    )
    clean(notebook)
    nbformat.validate(notebook)
    assert [o.get("text") or o["data"]["text/plain"] for o in cell.outputs] == [
        "a warning\n",
        "100 % of 3 proteins\n",
        "42",
    ]
    assert cell.metadata == {"tags": ["parameters"]}
    assert set(notebook.metadata) == {"kernelspec"}


def test_a_bar_without_a_share_or_a_rate_goes_too():
    """As of MMseqs2, which says only how long it has searched."""
    said = "".join(f"\rsearching for relatives (MMseqs2): 00:{n:02}" for n in range(2, 60))
    cleared = f"{said}\r{' ' * 42}\r"
    cells = [
        new_code_cell("x", outputs=[new_output("stream", name="stderr", text=text)])
        for text in (cleared, f"{cleared}a warning\n", "two\r\nlines\n")
    ]
    clean(new_notebook(cells=cells))
    assert [[output.text for output in cell.outputs] for cell in cells] == [
        [],
        ["a warning\n"],
        ["two\nlines\n"],
    ]


def test_only_the_embedded_model_has_a_note():
    assert "It is not ESM-2" in model_note("esm2-mini")
    assert model_note("esm2-mini-shuffled-42")
    assert model_note("esm2_t6_8M_UR50D") == ""
