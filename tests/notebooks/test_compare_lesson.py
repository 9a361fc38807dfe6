"""Lesson 03b under the runner: the output of `interplm-nb run laboratory` on few proteins."""

import nbformat
import pytest

from interplm_nb.pipeline.runner import Request, run

SMALL = {
    "embed.plm": "esm2-mini",
    "proteins.max_proteins": 60,
    "embed.layer": 1,
    "train.d_sae": 64,
    "train.steps": 20,
    "train.k": 4,
    "train.batch_size": 256,
    "train.fidelity_proteins": 2,
    "compare.d_sae": 64,
    "compare.steps": 20,
    "compare.batch_size": 256,
    "compare.fidelity_proteins": 2,
    "compare.sparsities": [4],
    "compare.l1s": [0.05],
    "compare.min_instances": 2,
    "compare.min_clusters": 1,
    "concepts.min_instances": 2,
    "concepts.min_clusters": 1,
    "concepts.bootstrap": 5,
}


@pytest.mark.slow
def test_the_laboratory_runs_as_notebooks_and_shows_its_curves_and_charts(tmp_path):
    said = []
    done = run(
        Request(
            "laboratory",
            tmp_path / "run",
            [f"{name}={value}" for name, value in SMALL.items()],
            device="cpu",
        ),
        said.append,
    )
    assert [line.split(":")[0] for line in said if "done in" in line] == [
        "01_proteins",
        "02_embed",
        "03_train",
        "03b_compare",
        "04_activations",
        "05_concepts",
        "06_features",
        "07_interpret",
    ]
    for stage, cell, sae in (
        ("train", "work", "sae, shuffled_sae"),
        ("compare", "work", "layer_01-matryoshka-k4-s1"),
    ):
        cells = {c.id: c for c in nbformat.read(done.notebook(stage), as_version=4).cells}
        # One picture, in its last state, and how it looks on a dark page.
        live, below = [o for o in cells[cell].outputs if o.output_type == "display_data"]
        assert "ipn-below" in below.data["text/html"]
        assert (
            "image/png" in live.data
            and "to step 20 of 20" in live.data["text/plain"]
            and sae in live.data["text/plain"]
        )
    shown = {
        c.id: c.outputs[0].data
        for c in nbformat.read(done.notebook("compare"), as_version=4).cells
        if c.id.endswith(("-figure", "-table"))
    }
    drawn = [data for name, data in shown.items() if name.endswith("-figure")]
    assert all({"image/png", "image/svg+xml"} & set(data) for data in drawn)
    for name in ("fidelity-figure", "concepts-figure"):
        assert "layer_01-topk-k4" in str(shown[name]["application/vnd.plotly.v1+json"])
    assert shown["comparison-table"]["text/html"].count(">chosen<") == 1
    assert done.summary("compare")["chosen"][0] in shown["chosen-table"]["text/html"]
    said.clear()
    run(
        Request(
            "laboratory",
            tmp_path / "run",
            [f"{name}={value}" for name, value in SMALL.items()],
            device="cpu",
        ),
        said.append,
    )
    assert all("unchanged, skipped" in line for line in said) and len(said) == 8
