"""Notebooks that stand in for the lessons: each writes one small output of its stage, in a kernel, in seconds."""

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from interplm_nb.pipeline.layout import ALL_STAGES
from interplm_nb.pipeline.parameters import PARAMETERS
from interplm_nb.pipeline.run import Run

OUTPUT = {
    "proteins": "splits.parquet",
    "embed": "embeddings/layer_02/part.bin",
    "train": "sources/sae/config.json",
    "compare": "comparison/layer_02-topk-k32-s0/config.json",
    "activations": "sources/sae/maxima.parquet",
    "concepts": "sources/sae/scores.parquet",
}
"""One output file of each stage."""

WORK = """
import sys, time
from pathlib import Path
from interplm_nb.pipeline import manifest
from interplm_nb.pipeline.parameters import PARAMETERS
from interplm_nb.pipeline.run import Run
params = PARAMETERS["{stage}"].from_notebook(globals())
here = Run.open(params.run)
manifest.begin(here, params)
"""

WRITE = """
output = here.folder / "{output}"
output.parent.mkdir(parents=True, exist_ok=True)
output.write_text("{stage} " + str(params.made()))
sys.stderr.write("\\rwork:  50%|#####     | 1/2 [00:00<00:00,  2.00it/s]\\rwork: 100%|##########| 2/2 [00:01<00:00,  2.00it/s]\\n")
print("wrote", output.name)
"""


def write_fakes(
    folder: Path, broken: str = "", code: str = "raise ValueError('the first line\\nthe last line')"
) -> Path:
    """Write a notebook per stage; the notebook of stage `broken` runs `code` in its third cell."""
    folder.mkdir(parents=True, exist_ok=True)
    for stage in ALL_STAGES:
        names = PARAMETERS[stage].model_fields.items()
        literals = "\n".join(
            f"{name}: {type(f.default).__name__} = {f.default!r}" for name, f in names
        )
        parameters = new_code_cell(literals, metadata={"tags": ["parameters"]})
        work = code if stage == broken else WRITE.format(stage=stage, output=OUTPUT[stage])
        cells = [
            new_markdown_cell(f"# {stage}"),
            parameters,
            new_code_cell(WORK.format(stage=stage)),
            new_code_cell(work),
        ]
        kernel = {
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "language_info": {"name": "python"},
        }
        nbformat.write(
            new_notebook(cells=cells, metadata=kernel), folder / f"{Run.stage_name(stage)}.ipynb"
        )
    return folder


def work_like(stage: str, run: Run, text: str) -> None:
    """Write a stage's output without a kernel."""
    path = run.folder / OUTPUT[stage]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
