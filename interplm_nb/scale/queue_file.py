"""A file that describes a queue of jobs: Slurm, PBS, LSF, SGE, OAR or HTCondor.

`example.toml` next to this file is the annotated example.
"""

import math
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from interplm_nb.scale.errors import ClusterError

EXAMPLE = Path(__file__).with_name("example.toml")
"""The annotated example."""

Kind = Literal["slurm", "pbs", "lsf", "sge", "oar", "htcondor"]

MOST = 100_000
"""Most workers, cores and minutes: more is a typing error."""

Count = Annotated[int, Field(ge=1, le=MOST)]
Line = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$")]
"""Text of one line: it becomes a part of a line of a job script."""


_MEMORY = r"^(\d+(?:\.\d+)?) ?([KMGT]i?B)$"


class QueueFile(BaseModel):
    """What a job asks of its queue, and how many there are.

    >>> QueueFile(kind="slurm", workers=4, cores=8, memory="16 GB").jobs
    4
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    kind: Kind = Field(description="The queue: slurm, pbs, lsf, sge, oar or htcondor.")
    workers: Count = Field(description="Workers; each computes one shard at a time.")
    workers_per_job: Count = Field(
        1, description="Workers of one job, which share its cores, memory and GPUs equally."
    )
    cores: Count = Field(description="Cores of a job.")
    memory: Annotated[str, Field(pattern=_MEMORY)] = Field(
        description='Memory of a job, such as "16 GB".'
    )
    gpus: Annotated[int, Field(ge=0, le=64)] = Field(
        0, description="GPUs of a job: none, or one for each of its workers."
    )
    walltime: Line = Field(
        "01:00:00", min_length=1, description='Longest time of a job, such as "04:00:00".'
    )
    queue: Line = Field("", description="Queue or partition.")
    account: Line = Field("", description="Account or project that is charged.")
    directives: list[Line] = Field(
        [], description='Further directives of a job, such as ["--constraint=a100"].'
    )
    setup: list[Line] = Field(
        [], description="Lines of shell that a job runs first, such as the loading of modules."
    )
    python: Line = Field(
        "", description="Python of the jobs; empty: the one that this command runs in."
    )
    interface: Line = Field(
        "", description='Network interface between nodes, such as "ib0"; empty: the default one.'
    )
    scratch: Line = Field(
        "/tmp", min_length=1, description="Folder on the node's own disk, for temporary files."
    )
    shared: Line = Field(
        "interplm-nb-jobs",
        min_length=1,
        description="Folder that all nodes see, for the jobs' logs; relative to this file.",
    )
    disk: Line = Field("4 GB", description="Disk of a job, which only HTCondor asks for.")
    wait_minutes: Count = Field(
        60, description="Minutes that the first worker may take to start, queueing included."
    )

    @model_validator(mode="after")
    def _workers_fit_their_jobs(self) -> Self:
        if self.workers % self.workers_per_job or self.cores < self.workers_per_job:
            raise ValueError(
                f"workers = {self.workers} in jobs of workers_per_job = {self.workers_per_job} "
                f"with cores = {self.cores}: jobs are equal, and a worker needs a core"
            )
        if self.gpus not in (0, self.workers_per_job):
            raise ValueError(
                f"gpus = {self.gpus} for workers_per_job = {self.workers_per_job}: a worker has "
                "one GPU or none; set both to the same number"
            )
        return self

    @property
    def jobs(self) -> int:
        """Number of jobs."""
        return self.workers // self.workers_per_job

    @property
    def threads(self) -> int:
        """Cores of each worker."""
        return self.cores // self.workers_per_job

    @property
    def mebibytes(self) -> int:
        """Memory of a job, in units of 2^20 bytes.

        >>> QueueFile(kind="slurm", workers=1, cores=1, memory="16 GB").mebibytes
        15259
        """
        number, unit = re.fullmatch(_MEMORY, self.memory).groups()  # type: ignore[union-attr]
        power = "KMGT".index(unit[0]) + 1
        return math.ceil(float(number) * (1024 if "i" in unit else 1000) ** power / 2**20)

    @classmethod
    def read(cls, path: Path) -> Self:
        """The file, its paths absolute. ClusterError with a sentence for one that does not fit."""
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        except OSError as error:
            raise ClusterError(
                f"{path}: {error.strerror}; wanted a file that describes a queue, such as "
                "`interplm-nb slurm example` prints"
            ) from None
        except (ValueError, RecursionError) as error:  # the second: brackets in brackets
            raise ClusterError(f"{path} is not a TOML file: {error}") from None
        try:
            found = cls(**values)
        except ValidationError as error:
            raise ClusterError(f"{path}: {_complaint(error)}") from None
        shared = path.resolve().parent / Path(found.shared).expanduser()
        return found.model_copy(update={"shared": str(shared)})


def _complaint(error: ValidationError) -> str:
    """The first complaint, in a sentence with what the entry is for."""
    first: Any = error.errors()[0]
    message = first["msg"].removeprefix("Value error, ")
    name = str(first["loc"][0]) if first["loc"] else ""
    known = QueueFile.model_fields
    if not name:
        return message
    if name not in known:
        return f"unknown entry {name!r}; known are {', '.join(known)}"
    about = known[name].description
    if first["type"] == "missing":
        return f"{name} is missing. {about}"
    if first["type"] == "string_pattern_mismatch":
        message = (
            "expected one line of text" if re.search(r"\\x00", message) else "expected other text"
        )
    return f"{name} = {first['input']!r}: {message[0].lower()}{message[1:]}. {about}"
