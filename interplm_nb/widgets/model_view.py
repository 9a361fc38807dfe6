"""A view that runs the model of its data: what is missing first, what is done, what failed."""

import logging
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import traitlets as t

from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.plm import fetching
from interplm_nb.questions.annotate import Annotator
from interplm_nb.widgets.feature_data import UNREADABLE, FeatureData
from interplm_nb.widgets.view import View

log = logging.getLogger(__name__)

_loaded: WeakKeyDictionary[FeatureData, Annotator] = WeakKeyDictionary()
"""One model for all views of the same data."""


class ModelView(View):
    """A view whose answers come from the model, in a running kernel.

    The model is loaded at the first question, once for all views of the same data. Where its
    weights are missing nothing is answered: a button asks first, and `fetch` does the same.
    """

    needs: ClassVar[str]
    """What needs the model, as a sentence begins: "Reading a sequence"."""

    failed: ClassVar[str]
    """What could not be done: "This sequence could not be read"."""

    progress = t.Unicode("", help="what is being done; empty: nothing").tag(sync=True)
    problem = t.Unicode("", help="why the last request failed, for a person").tag(sync=True)
    missing = t.Dict(
        read_only=True,
        help="text, button and licence where the model's weights must be fetched first; else empty",
    ).tag(sync=True)

    @abstractmethod
    def _answer(self) -> None:
        """Send what the model says, or why it cannot."""

    def _asks_run(self) -> bool:
        """Whether the model is the run's, and not one that the view was given."""
        return True

    @t.default("missing")
    def _not_here(self) -> dict[str, str]:
        return missing_words(self.data.pages.run, self.needs) if self._asks_run() else {}

    def _look_again(self) -> bool:
        """Whether weights are missing now: another program may have fetched them."""
        self.set_trait("missing", self._not_here())
        return bool(self.missing)

    def fetch(self) -> None:
        """Fetch the model's weights where they are not here, then answer.

        Raises ConnectionError where they cannot be fetched, with the way out.
        """
        self._fetch_weights()
        self._answer()

    def _fetch_weights(self) -> None:
        model = self.data.pages.run.model()
        try:
            if model and self.missing:
                self.progress = f"Fetching {model.name}"
                fetching.fetch(model.weights)
        finally:
            self.progress = ""
            self._look_again()

    def _loaded(self) -> Annotator:
        """The run's model; PipelineError where its weights are missing."""
        if self._look_again():
            raise PipelineError(f"{self.missing['text']} Press its button, or call fetch()")
        if self.data not in _loaded:
            self.progress = "Loading the model"
            _loaded[self.data] = Annotator(self.data.pages.run, self.data.pages.source)
        return _loaded[self.data]

    def _trying(self, act: Callable[[], None], failed: str = "") -> None:
        """Do it, or say why it cannot be done."""
        try:
            act()
            self.problem = ""
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
            self.problem = no_torch(self.needs)
        except UNREADABLE as error:
            log.exception("%s", type(self).__name__)
            self.problem = f"{failed or self.failed}: {error}"
        finally:
            self.progress = ""

    def _tell_done(self, **content: Any) -> None:
        """Whoever asked hears that it is over, even where nothing has changed."""
        self.send({"done": True, **content})


def no_torch(needs: str) -> str:
    """What to do where torch is missing."""
    return (
        f"{needs} runs the model, which needs torch, and torch is not installed here: "
        "run `pip install torch`, then restart the kernel."
    )


def missing_words(run: Run, needs: str) -> dict[str, str]:
    """text, button and licence where the model's weights must be fetched; else empty."""
    model = run.model()
    wanted = fetching.to_fetch(model.weights) if model and model.record else None
    if wanted is None:
        return {}
    return {
        "text": f"{needs} needs {wanted.name}, which is not here yet.",
        "button": wanted.words,
        "licence": f"weights: {wanted.licence}" if wanted.licence else "",
    }
