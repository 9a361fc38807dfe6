"""Errors that a person can act on: the command line prints them as one sentence."""


class PipelineError(Exception):
    """Something that the person who runs the pipeline can put right; the text says what and how."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: the sentence, without the calls that led to it."""
        return [str(self)]


class DamagedRunError(PipelineError):
    """A file of the run cannot be used as it is; the text says how to make it again."""


class StageError(PipelineError):
    """A stage's notebook stopped; the text names the notebook, the cell and the way to resume."""


class RunLockedError(PipelineError):
    """Another process is working in this run folder."""
