"""The figure of each further experiment that stage `steer` was asked for."""

from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module

from interplm_nb.figures.chart import Chart, NothingToDrawError
from interplm_nb.figures.tables import Sentence
from interplm_nb.stages.steer import SteerStage

_FIGURES = {
    "dose": ("dose", "all_features"),
    "mask": ("mask", "picture"),
    "attribution": ("attribution", "carriers"),
    "attribution-survey": ("attribution", "removals"),
}
"""Module of this folder and function; imported at the first use, as the modules need torch."""

NOTHING = Sentence(
    "This run has no further experiment. In your own run, set more = "
    '["dose", "mask", "attribution"] in the cell of the parameters; they need the model.'
)


def further(stage: SteerStage) -> Iterator[Sentence | Chart]:
    """What each experiment found, in a sentence and a figure; a sentence if none was asked for.

    A run that is read has the sentences; its tables are in `08_steer/`.
    """
    if not stage.more:
        yield NOTHING
    for kind, result in stage.more.items():
        if isinstance(result, str):
            yield Sentence(result)
            continue
        module, function = _FIGURES[kind]
        yield Sentence(result.sentence)
        with suppress(NothingToDrawError):  # the sentence has said why
            yield getattr(import_module(f"{__package__}.{module}"), function)(result)
