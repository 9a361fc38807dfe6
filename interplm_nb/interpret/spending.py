"""What calls cost, before and while they are made: estimates, a budget, and a pace."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import NamedTuple

from interplm_nb.interpret.asking import Completion, Message, Model

LETTERS_PER_TOKEN = 3.0
"""Characters of a prompt per token. English text has about 4 and protein sequences about 2 in the
tokenizers of today; an estimate before anything is spent, not a count."""
AROUND = 16
"""Tokens around a message at most: marks of its role and its ends."""
MAX_OUTPUT = 4096
"""Tokens of one answer at most; a longer one is cut, and is not an answer."""


class Price(NamedTuple):
    """US dollars for a million tokens."""

    input: float
    output: float

    def of(self, input_tokens: float, output_tokens: float) -> float:
        """US dollars of these tokens.

        >>> Price(3, 15).of(1_000_000, 100_000)
        4.5
        """
        return (input_tokens * self.input + output_tokens * self.output) / 1e6


class BudgetSpentError(Exception):
    """The next call might exceed the budget. What was done so far is kept."""


def estimated_tokens(messages: Iterable[Message]) -> int:
    """Tokens of a conversation, estimated from its length."""
    return int(sum(len(message.text) for message in messages) / LETTERS_PER_TOKEN) + 1


def most_tokens(messages: Iterable[Message]) -> int:
    """Tokens of a conversation at most: no tokenizer makes more than one of a byte; and what a
    server puts around each message."""
    return sum(len(message.text.encode()) + AROUND for message in messages)


class Metered(Model):
    """A model within a budget and a pace.

    Before each call the most that it can cost (`most_tokens`, the longest answer) is set aside;
    where the budget has too little left for that, it is a BudgetSpentError. After the call, what
    the server counted is spent, or what is estimated where it counted nothing. A call that failed
    has no count, and is not spent.

    Parameters
    ----------
    model : Model
        Who answers.
    price : Price, optional
        Without one, dollars are not counted.
    dollars, tokens : optional
        The budget; no limit by default.
    per_minute : float, optional
        Calls that may start in a minute; no limit by default.

    Raises
    ------
    ValueError
        For a budget in dollars without a price.
    """

    def __init__(
        self,
        model: Model,
        price: Price | None = None,
        dollars: float | None = None,
        tokens: float | None = None,
        per_minute: float | None = None,
    ) -> None:
        if dollars is not None and price is None:
            raise ValueError(
                "a budget in dollars needs the model's price; give --price INPUT,OUTPUT in dollars "
                "per million tokens, or a budget in tokens"
            )
        self._model, self._price, self._dollars, self._tokens = model, price, dollars, tokens
        self._every = 60 / per_minute if per_minute else 0.0
        self._next = 0.0
        self._aside = 0
        self._aside_dollars = 0.0
        self.calls = 0
        self.input_tokens = 0
        self.output_tokens = 0

    @property
    def name(self) -> str:
        """The model's name."""
        return self._model.name

    @property
    def dollars(self) -> float | None:
        """What was spent; None without a price."""
        return self._price.of(self.input_tokens, self.output_tokens) if self._price else None

    async def complete(self, messages: list[Message], draw: int) -> Completion:
        """The model's answer; BudgetSpentError where the budget has too little left."""
        async with self._set_aside(most_tokens(messages)):
            now = time.monotonic()
            start = max(now, self._next)
            self._next = start + self._every
            await asyncio.sleep(start - now)
            completion = await self._model.complete(messages, draw)
            self.calls += 1
            said = [Message("assistant", completion.text)]
            self.input_tokens += completion.input_tokens or estimated_tokens(messages)
            self.output_tokens += completion.output_tokens or estimated_tokens(said)
            return completion

    @asynccontextmanager
    async def _set_aside(self, input_tokens: int) -> AsyncIterator[None]:
        most = input_tokens + MAX_OUTPUT
        cost = self._price.of(input_tokens, MAX_OUTPUT) if self._price else 0.0
        spent = self.input_tokens + self.output_tokens
        if self._tokens is not None and spent + self._aside + most > self._tokens:
            raise BudgetSpentError(
                f"the budget of {self._tokens:,.0f} tokens has too little left for the next call: "
                f"{spent:,} were used in {self.calls} calls"
            )
        dollars = self.dollars or 0.0
        if self._dollars is not None and dollars + self._aside_dollars + cost > self._dollars:
            raise BudgetSpentError(
                f"the budget of ${self._dollars:g} has too little left for the next call: "
                f"${dollars:.4f} were spent in {self.calls} calls"
            )
        self._aside, self._aside_dollars = self._aside + most, self._aside_dollars + cost
        try:
            yield
        finally:
            self._aside, self._aside_dollars = self._aside - most, self._aside_dollars - cost
