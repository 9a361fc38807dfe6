"""What a feature is, in words: a description and a one-sentence summary."""

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

LONGEST = {"description": 4000, "summary": 400}
"""Characters of each text."""

_SAYS_NOTHING = re.compile(
    r"(none|n/?a|null|nil|unknown|unclear|undefined|no (description|summary|answer|pattern))?\W*",
    re.I,
)


def _said(text: str) -> str:
    text = " ".join(text.split())
    if _SAYS_NOTHING.fullmatch(text):
        raise ValueError(f"it says nothing: {text!r}")
    return text


def _one_sentence(text: str) -> str:
    text = _said(text)
    if len(text) > LONGEST["summary"]:
        raise ValueError(f"a summary has at most {LONGEST['summary']} characters, not {len(text)}")
    return text


def _bounded(text: str) -> str:
    text = _said(text)
    if len(text) > LONGEST["description"]:
        raise ValueError(
            f"a description has at most {LONGEST['description']} characters, not {len(text)}"
        )
    return text


class Description(BaseModel):
    """What a describer says of a feature.

    Text that says nothing ("None", an empty one) is refused: it is not a description, and a judge
    that is given it scores the metadata alone.

    Examples
    --------
    >>> Description(description="Zinc fingers of four cysteines.", summary="Zinc fingers.").summary
    'Zinc fingers.'
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    description: Annotated[str, AfterValidator(_bounded)]
    """What it fires on, and what speaks against it."""
    summary: Annotated[str, AfterValidator(_one_sentence)]
    """One sentence from which the feature's maximum over a new protein can be predicted."""
