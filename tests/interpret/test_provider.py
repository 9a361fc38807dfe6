"""Calls to an OpenAI-compatible server on the loopback: answers, faults, budget, pace, records."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from interplm_nb.interpret import spending
from interplm_nb.interpret.asking import (
    Completion,
    Message,
    ModelError,
    NoAnswerError,
    Prompt,
    ask,
    quoted,
)
from interplm_nb.interpret.describe import Description
from interplm_nb.interpret.provider import Provider, known_price, without_keys
from interplm_nb.interpret.recorded import Recorded, recorded_calls
from interplm_nb.interpret.spending import (
    MAX_OUTPUT,
    BudgetSpentError,
    Metered,
    Price,
    estimated_tokens,
    most_tokens,
)
from tests.clocks import set_clock
from tests.interpret.model_server import ModelServer, serving

pytest.importorskip("pydantic_ai")

GOOD = json.dumps({"description": "Zinc fingers.", "summary": "Fires on zinc fingers."})
QUESTION = Prompt.load("describe").messages(Description, proteins=quoted({"length": 3}))
KEY = "sk-scripted-secret-key"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with serving(lambda _: GOOD) as server:
        yield server


def model(server: ModelServer, retries: int = 2, timeout: float = 5.0) -> Provider:
    return Provider("openai:scripted", server.address, retries, timeout)


def asked(model: object, draw: int = 0) -> Description:
    return asyncio.run(ask(model, QUESTION, Description, draw=draw))  # type: ignore[arg-type]


def test_a_typed_answer(server: ModelServer) -> None:
    assert asked(model(server)).summary == "Fires on zinc fingers."
    (request,) = server.requests
    assert [m["role"] for m in request["messages"]] == ["system", "user"]
    assert request["model"] == "scripted"
    sent = [m["content"] for m in request["messages"]]
    assert sent == [m.text for m in QUESTION]


@pytest.mark.parametrize("fault", ["429", "500", "half"])
def test_a_passing_fault_is_tried_again(server: ModelServer, fault: str) -> None:
    server.faults = [fault]
    assert asked(model(server)).summary == "Fires on zinc fingers."
    assert len(server.requests) == 2


def test_a_time_out_is_tried_again(server: ModelServer) -> None:
    server.faults = ["hang"]
    assert asked(model(server, timeout=0.3)).summary == "Fires on zinc fingers."


@pytest.mark.parametrize("fault", ["429", "500", "half"])
def test_a_fault_that_stays_is_a_sentence(server: ModelServer, fault: str) -> None:
    server.faults = [fault] * 2
    with pytest.raises(ModelError, match=r"openai:scripted gave no answer: \w"):
        asked(model(server, retries=1))


def test_a_server_that_is_down_is_a_sentence() -> None:
    with serving(lambda _: GOOD) as server:
        address = server.address
    with pytest.raises(ModelError, match=r"openai:scripted gave no answer: \w"):
        asked(Provider("openai:scripted", address, retries=0))


def test_a_refused_key_is_not_in_the_message(server: ModelServer) -> None:
    server.faults = ["401"]
    with pytest.raises(ModelError, match="scripted 401 for Bearer <OPENAI_API_KEY>") as error:
        asked(model(server))
    assert KEY not in str(error.value)
    assert server.keys == [f"Bearer {KEY}"]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("{not JSON", "Invalid JSON"),
        ("", "it was empty"),
        ('{"summary": "No description."}', "description: Field required"),
        ('{"description": "x", "summary": "None"}', "summary: Value error, it says nothing"),
        ('{"description": "x", "summary": "y", "score": 1}', "score: Extra inputs"),
        ("I cannot help with that.", "Invalid JSON"),
    ],
)
def test_an_answer_that_does_not_parse_is_asked_again(
    server: ModelServer, bad: str, said: str
) -> None:
    server.faults = [bad] if bad else []
    if not bad:
        answers = iter(["", GOOD])
        server.answer = lambda _: next(answers)
    assert asked(model(server)).summary == "Fires on zinc fingers."
    again = server.requests[1]["messages"]
    assert [m["role"] for m in again] == ["system", "user", "assistant", "user"]
    assert again[2]["content"] == (bad or "(nothing)")  # some providers refuse an empty turn
    assert said in again[-1]["content"]


@pytest.mark.parametrize(
    ("fault", "said"),
    [("cut", "it was cut off at the token limit"), ("refusal", "ended it early (content_filter)")],
)
def test_a_cut_or_refused_answer_is_none_even_if_it_parses(
    server: ModelServer, fault: str, said: str
) -> None:
    """Public code took an empty answer, cut at the token limit, as a description."""
    server.faults = [fault] * 3
    with pytest.raises(NoAnswerError) as error:
        asked(model(server))
    assert said in str(error.value)
    assert len(server.requests) == 3


def test_three_bad_answers_are_a_failure(server: ModelServer) -> None:
    server.faults = ["no JSON"] * 3
    with pytest.raises(NoAnswerError, match="in 3 tries; the last one: Invalid JSON"):
        asked(model(server))


def test_an_answer_in_a_fence_is_read(server: ModelServer) -> None:
    server.faults = [f"```json\n{GOOD}\n```"]
    assert asked(model(server)).summary == "Fires on zinc fingers."


def test_calls_are_recorded_and_not_made_again(server: ModelServer, tmp_path: Path) -> None:
    first = asked(Recorded(tmp_path, "openai:scripted", model(server)))
    again = asked(Recorded(tmp_path, "openai:scripted", model(server)))
    replayed = asked(Recorded(tmp_path, "openai:scripted"))
    assert first == again == replayed
    assert len(server.requests) == 1
    (call,) = recorded_calls(tmp_path)
    assert call["completion"]["text"] == GOOD
    assert [m["text"] for m in call["messages"]] == [m.text for m in QUESTION]
    asked(Recorded(tmp_path, "openai:scripted", model(server)), draw=1)
    assert len(server.requests) == 2


def test_a_replay_without_a_record_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds no record of this call to openai:scripted"):
        asked(Recorded(tmp_path, "openai:scripted"))


def test_a_failed_call_is_not_recorded(server: ModelServer, tmp_path: Path) -> None:
    server.faults = ["500"]
    with pytest.raises(ModelError):
        asked(Recorded(tmp_path, "openai:scripted", model(server, retries=0)))
    assert recorded_calls(tmp_path) == []


def test_no_key_reaches_a_record(server: ModelServer, tmp_path: Path) -> None:
    asked(Recorded(tmp_path, "openai:scripted", model(server)))
    assert all(KEY not in path.read_text() for path in tmp_path.rglob("*.json"))


def test_keys_are_taken_out_of_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", "abcdef")
    monkeypatch.setenv("SOME_API_TOKEN", "abcdef123")  # begins with another
    assert without_keys("wrong: abcdef123, sk") == "wrong: <SOME_API_TOKEN>, sk"


class Counting:
    """A model that answers at once."""

    name = "made:up"

    def __init__(self, tokens: int = 100) -> None:
        self.calls = 0
        self.tokens = tokens

    async def complete(self, messages: list[Message], draw: int) -> Completion:
        self.calls += 1
        return Completion(GOOD, "stop", self.tokens, self.tokens)


class Slow(Counting):
    """A model during whose answer other calls begin."""

    async def complete(self, messages: list[Message], draw: int) -> Completion:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return await super().complete(messages, draw)


def test_a_budget_in_tokens_is_never_exceeded() -> None:
    inner = Counting(1000)
    most = most_tokens(QUESTION) + MAX_OUTPUT
    metered = Metered(inner, tokens=most + 4000)
    for _ in range(3):
        asked(metered)
    with pytest.raises(BudgetSpentError, match="too little left for the next call: 6,000 were"):
        asked(metered)
    assert inner.calls == 3


def test_a_budget_in_dollars_counts_calls_under_way() -> None:
    price = Price(10, 10)
    most = price.of(most_tokens(QUESTION), MAX_OUTPUT)

    async def three() -> list[object]:
        metered = Metered(Slow(), price, dollars=2.5 * most)
        calls = [metered.complete(QUESTION, draw) for draw in range(3)]
        return await asyncio.gather(*calls, return_exceptions=True)

    found = asyncio.run(three())
    assert [isinstance(answer, BudgetSpentError) for answer in found] == [False, False, True]
    with pytest.raises(ValueError, match="needs the model's price"):
        Metered(Counting(), dollars=1.0)


def test_what_a_server_does_not_count_is_estimated() -> None:
    """Else a budget would never be spent."""
    metered = Metered(Counting(0), tokens=1e6)
    asked(metered)
    assert metered.input_tokens == estimated_tokens(QUESTION) < most_tokens(QUESTION)
    assert metered.output_tokens == len(GOOD) // 3 + 1


def test_no_tokenizer_makes_more_tokens_than_bytes() -> None:
    assert most_tokens([Message("user", "Ä" * 10), Message("system", "")]) == 20 + 2 * 16


def test_of_equal_calls_at_once_one_is_made(tmp_path: Path) -> None:
    """Else both are paid for, and the answer that is recorded may not be the one that was used."""
    inner = Slow()

    async def twice() -> list[Completion]:
        recorded = Recorded(tmp_path, "made:up", inner)
        return await asyncio.gather(*(recorded.complete(QUESTION, 0) for _ in range(2)))

    first, second = asyncio.run(twice())
    assert first == second
    assert (inner.calls, len(recorded_calls(tmp_path))) == (1, 1)


def test_calls_start_no_faster_than_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def paused(seconds: float) -> None:
        pauses.append(seconds)

    set_clock(monkeypatch, spending, lambda: 100.0)
    monkeypatch.setattr(spending, "asyncio", SimpleNamespace(sleep=paused))

    async def many() -> None:
        metered = Metered(Counting(), per_minute=30)
        for draw in range(4):
            await metered.complete(QUESTION, draw)

    asyncio.run(many())
    assert pauses == [0, 2, 4, 6]


def test_a_missing_key_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(ModelError, match="needs a key: set the environment variable OPENAI_API"):
        Provider("openai:gpt-5-mini")


@pytest.mark.parametrize(
    ("name", "said"),
    [("gpt-5-mini", "PROVIDER:MODEL"), ("nobody:x", "nobody:x cannot be used: .*nobody")],
)
def test_names_that_cannot_be_used(name: str, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        Provider(name)
    with pytest.raises(ModelError, match="give openai:x, not 'anthropic:x'"):
        Provider("anthropic:x", base_url="http://127.0.0.1:1/v1")


def test_prices() -> None:
    known = known_price("openai:gpt-4o")
    assert known is not None
    assert 0 < known.input < known.output
    assert known_price("openai:no-such-model") is None
