"""Notebooks that replace the lessons: each writes one small output of its stage, within seconds."""

import inspect
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.stage_table import REQUIRED, STAGES

OF_DEMO = (*REQUIRED, "steer")
"""Stages of the demo."""

WORK = """
import sys, time
from pathlib import Path
from interplm_nb.pipeline import manifest
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.stage_table import REQUIRED, STAGES
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


def write_axis(run, text):
    """What the runner reads of stage `proteins`: enough proteins and concepts for the demo's
    settings, named after `text`."""
    import hashlib

    import polars as pl

    from interplm_nb.annotations import Annotations
    from interplm_nb.proteins import Proteins

    name = hashlib.sha256(text.encode()).hexdigest()[:8]
    proteins = Proteins.from_sequences({f"{name}_{i}": "MKVLAAGHEQ" * 70 for i in range(150)})
    rows = [
        {"accession": own, "start": 10 * concept + 1, "end": 10 * concept + 5, "instance": i}
        | {"concept": f"Domain_{concept}", "category": "Domain", "level": "instance"}
        for concept in range(10)
        for i, own in enumerate(proteins.accessions)
    ]
    splits = pl.DataFrame(
        {
            "accession": proteins.accessions,
            "cluster": pl.Series(range(150), dtype=pl.UInt32),
            "split": ["train"] * 60 + ["validation"] * 60 + ["test"] * 30,
            "split_published": ["validation", "test"] * 75,
        }
    )
    run.write_axis(proteins, {"strict": Annotations(pl.DataFrame(rows), proteins)}, splits)


WRITE_AXIS = (
    inspect.getsource(write_axis)
    + """
write_axis(here, "{stage} " + str(params.made()))
print("wrote the axis")
"""
)


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
        write = WRITE.format(stage=stage, output=output_of(stage))
        if stage == "proteins":
            write = WRITE_AXIS.replace("{stage}", stage)
        work = code if stage == broken else write
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
    if stage == "proteins":
        write_axis(run, text)
        return
    path = run.folder / output_of(stage)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
