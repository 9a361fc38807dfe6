"""Notebooks that replace the lessons: each writes one small output of its stage, within seconds."""

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.stage_table import STAGES

WORK = """
import sys, time
from pathlib import Path
from interplm_nb.pipeline import manifest
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.stage_table import STAGES
params = STAGES["{stage}"].parameters.from_notebook(globals())
here = Run.open(params.run)
manifest.begin(here, params)
"""

WRITE = """
output = here.folder / "{output}"
output.parent.mkdir(parents=True, exist_ok=True)
output.write_text("{stage} " + str(params.made()))
sys.stderr.write("\\rwork:  50%|#####     | 1/2 [00:00<00:00,  2.00it/s]")
sys.stderr.write("\\rwork: 100%|##########| 2/2 [00:01<00:00,  2.00it/s]\\n")
print("wrote", output.name)
"""


def output_of(stage: str) -> str:
    """One output file of a stage, relative to the run."""
    first = STAGES[stage].outputs[0]
    return first if Path(first).suffix else f"{first}/layer_02/part.bin"


def write_fakes(
    folder: Path, broken: str = "", code: str = "raise ValueError('the first line\\nthe last line')"
) -> Path:
    """Write a notebook per stage; the notebook of stage `broken` runs `code` in its third cell."""
    folder.mkdir(parents=True, exist_ok=True)
    for stage, record in STAGES.items():
        names = record.parameters.model_fields.items()
        literals = "\n".join(
            f"{name}: {type(f.default).__name__} = {f.default!r}" for name, f in names
        )
        parameters = new_code_cell(literals, metadata={"tags": ["parameters"]})
        work = code if stage == broken else WRITE.format(stage=stage, output=output_of(stage))
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
            new_notebook(cells=cells, metadata=kernel), folder / f"{record.folder}.ipynb"
        )
    return folder


def work_like(stage: str, run: Run, text: str) -> None:
    """Write a stage's output without a kernel."""
    path = run.folder / output_of(stage)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
