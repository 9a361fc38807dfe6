"""Every call to a language model, kept: a run is repeated, audited and resumed from its records."""

import asyncio
from pathlib import Path
from typing import Any

from interplm_nb.interpret.asking import Completion, Message, Model, ModelError, conversation_key
from interplm_nb.saving import read_json, write_json


class Recorded(Model):
    """A model whose answers are kept in a folder, one JSON file a call, and taken from there.

    A call that was recorded is never repeated, so a run that was stopped goes on where it was.
    Without a `model`, only records answer: a replay. Calls that failed are not kept. A record holds
    the conversation and the answer; no key is in either.

    Parameters
    ----------
    folder : Path
        Where records lie; made when needed.
    name : str
        The model's name, as in records.
    model : Model, optional
        Who answers what is not recorded.
    """

    def __init__(self, folder: Path, name: str, model: Model | None = None) -> None:
        self._folder, self._name, self._model = folder, name, model
        self._under_way: dict[Path, asyncio.Lock] = {}

    @property
    def name(self) -> str:
        """The model's name."""
        return self._name

    def path(self, messages: list[Message], draw: int) -> Path:
        """The file of a call, whether or not it is there."""
        key = conversation_key(self._name, messages, draw)
        return self._folder / key[:2] / f"{key}.json"

    async def complete(self, messages: list[Message], draw: int) -> Completion:
        """The recorded answer, or the model's, which is then recorded.

        Of equal calls at once one is made, and the others take its record.
        """
        path = self.path(messages, draw)
        async with self._under_way.setdefault(path, asyncio.Lock()):
            return await self._completed(path, messages, draw)

    async def _completed(self, path: Path, messages: list[Message], draw: int) -> Completion:
        if path.exists():
            return Completion(**read_json(path, "Call", 1)["completion"])
        if self._model is None:
            raise ModelError(
                f"{self._folder} holds no record of this call to {self._name}; it was made with "
                "other proteins, settings or prompts: leave --replay out to ask the model"
            )
        completion = await self._model.complete(messages, draw)
        call: dict[str, Any] = {"type": "Call", "version": 1, "model": self._name, "draw": draw}
        call["messages"] = [message._asdict() for message in messages]
        write_json(call | {"completion": completion._asdict()}, path)
        return completion


def recorded_calls(folder: Path) -> list[dict[str, Any]]:
    """Every recorded call, in the order of their names."""
    return [read_json(path, "Call", 1) for path in sorted(folder.glob("*/*.json"))]
