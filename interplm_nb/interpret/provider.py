"""A language model of any provider that pydantic-ai knows, or of any OpenAI-compatible server."""

import os
import re
import warnings
from typing import TYPE_CHECKING, Any

from interplm_nb.interpret.asking import Completion, Message, Model, ModelError
from interplm_nb.interpret.spending import MAX_OUTPUT, Price
from interplm_nb.plain_text import plain_cell

if TYPE_CHECKING:
    from pydantic_ai.models import Model as PydanticModel  # pyright: ignore[reportMissingImports]

RETRIES = 4
"""Times that a call is repeated after a 429, a 5xx or a broken connection, with growing pauses;
a server's Retry-After is heeded."""
TIMEOUT = 120.0
"""Seconds for one call."""

_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD", re.I)
_LONGEST = 300


class Provider(Model):
    """A model named as in pydantic-ai, "PROVIDER:MODEL", such as "anthropic:claude-sonnet-4-5".

    Its key comes from the environment variable that the provider defines (OPENAI_API_KEY,
    ANTHROPIC_API_KEY, ...). Providers other than OpenAI's take the extra of pydantic-ai-slim of
    their name.

    Parameters
    ----------
    name : str
        "PROVIDER:MODEL".
    base_url : str, optional
        Address of an OpenAI-compatible server, such as "http://127.0.0.1:8080/v1"; the provider is
        then "openai". A local server needs no key.
    retries, timeout : optional
        As `RETRIES` and `TIMEOUT`; of servers at `base_url` and of OpenAI. Other providers'
        clients have their own.

    Raises
    ------
    ModelError
        For a name without a provider, a missing key or package, in one sentence.
    """

    def __init__(
        self,
        name: str,
        base_url: str | None = None,
        retries: int = RETRIES,
        timeout: float = TIMEOUT,
    ) -> None:
        kind, colon, model = name.partition(":")
        if not (kind and colon and model):
            raise ModelError(
                f"a provider is given as PROVIDER:MODEL, such as openai:gpt-5-mini, not {name!r}; "
                "or take 'statistical', which needs no language model"
            )
        if base_url is not None and kind != "openai":
            raise ModelError(
                f"--base-url is of a server that speaks OpenAI's protocol: give openai:{model}, "
                f"not {name!r}"
            )
        self._name = name
        self._model = _opened(name, base_url, retries, timeout)

    @property
    def name(self) -> str:
        """ "PROVIDER:MODEL"."""
        return self._name

    async def complete(self, messages: list[Message], draw: int) -> Completion:
        """One call; repeats of a draw differ as far as the model is random."""
        from pydantic_ai.direct import model_request  # pyright: ignore[reportMissingImports]
        from pydantic_ai.exceptions import (  # pyright: ignore[reportMissingImports]
            AgentRunError,
            UserError,
        )

        try:
            response = await model_request(
                self._model, _turns(messages), model_settings={"max_tokens": MAX_OUTPUT}
            )
        except (AgentRunError, UserError, OSError) as error:
            raise ModelError(f"{self._name} gave no answer: {_said(error)}") from error
        usage = response.usage
        return Completion(
            response.text or "",
            response.finish_reason or "stop",
            usage.input_tokens or 0,
            usage.output_tokens or 0,
        )


def known_price(name: str) -> Price | None:
    """A model's price as pydantic-ai's table has it; None for a model that it does not know."""
    try:
        from genai_prices import Usage, calc_price  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError:
        return None
    kind, _, model = name.partition(":")
    million = 1_000_000
    try:
        prices = [
            calc_price(Usage(**{side: million}), model, provider_id=kind).total_price
            for side in ("input_tokens", "output_tokens")
        ]
    except LookupError:
        return None
    return Price(*map(float, prices))


def without_keys(text: str) -> str:
    """`text` without the value of any environment variable that is named like a secret."""
    secrets = [(v, k) for k, v in os.environ.items() if _SECRET.search(k) and len(v) >= 6]
    # The longest first: one may begin with another.
    for value, variable in sorted(secrets, key=lambda secret: -len(secret[0])):
        text = text.replace(value, f"<{variable}>")
    return text


def _said(error: BaseException) -> str:
    return plain_cell(without_keys(" ".join(str(error).split())))[:_LONGEST] or type(error).__name__


def _opened(name: str, base_url: str | None, retries: int, timeout: float) -> "PydanticModel[Any]":
    try:
        from pydantic_ai.exceptions import UserError  # pyright: ignore[reportMissingImports]
        from pydantic_ai.models import infer_model  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError as error:
        raise ModelError(
            "a language model takes the extra 'interpret', which is not installed: "
            "pip install 'interplm-nb[interpret]', or take 'statistical', which needs none"
        ) from error
    kind, _, model = name.partition(":")
    try:
        if kind == "openai":
            return _openai(model, base_url, retries, timeout)
        return infer_model(name)
    except ImportError as error:
        raise ModelError(
            f"{name} takes a package that is not installed: "
            f"pip install 'pydantic-ai-slim[{kind}]' ({_said(error)})"
        ) from error
    except (UserError, ValueError) as error:
        raise ModelError(f"{name} cannot be used: {_said(error)}") from error


def _openai(model: str, base_url: str | None, retries: int, timeout: float) -> Any:
    """Chat completions, which every OpenAI-compatible server has."""
    from openai import AsyncOpenAI  # pyright: ignore[reportMissingImports]
    from pydantic_ai.models.openai import OpenAIChatModel  # pyright: ignore[reportMissingImports]
    from pydantic_ai.providers.openai import (  # pyright: ignore[reportMissingImports]
        OpenAIProvider,
    )

    key = os.environ.get("OPENAI_API_KEY")
    if not key and base_url is None:
        raise ModelError(
            f"openai:{model} needs a key: set the environment variable OPENAI_API_KEY, or give "
            "--base-url of a server that needs none"
        )
    client = AsyncOpenAI(
        base_url=base_url, api_key=key or "none", max_retries=retries, timeout=timeout
    )
    return OpenAIChatModel(model, provider=OpenAIProvider(openai_client=client))


def _turns(messages: list[Message]) -> list[Any]:
    from pydantic_ai.messages import (  # pyright: ignore[reportMissingImports]
        ModelRequest,
        ModelResponse,
        SystemPromptPart,
        TextPart,
        UserPromptPart,
    )

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        turns: list[Any] = []
        for role, text in messages:
            if role == "assistant":
                turns.append(ModelResponse([TextPart(text)]))
            else:
                part = SystemPromptPart if role == "system" else UserPromptPart
                turns.append(ModelRequest([part(text)]))
    return turns
