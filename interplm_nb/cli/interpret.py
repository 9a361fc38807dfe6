"""`interplm-nb interpret`: what features respond to, in words, and how well words predict it."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from interplm_nb.cli.numbers import count, factor
from interplm_nb.cli.paths import a_path

if TYPE_CHECKING:
    from interplm_nb.pipeline.parameters import InterpretParameters
    from interplm_nb.pipeline.run import Run
    from interplm_nb.stages.interpret import Prepared

_EXAMPLES = """\
examples:
  interplm-nb interpret --run runs/demo --features random:200
  interplm-nb interpret --run runs/demo --features f1:0.5,ids:12;40 --provider openai:gpt-5-mini \\
      --dry-run                                            calls, tokens and cost, and no call
  interplm-nb interpret --run runs/demo --features random:200 --provider openai:gpt-5-mini \\
      --budget 5
  interplm-nb interpret --run runs/demo --provider openai:qwen3 --base-url http://127.0.0.1:8080/v1
  interplm-nb interpret --run runs/demo --provider openai:qwen3 --replay

Without --provider no language model is asked: statistics of half of the proteins make the
description, a ridge regression judges it on the other half. With one, it describes from examples
of one half and predicts the maxima of the other, with nulls. Keys come from the provider's
environment variable, such as OPENAI_API_KEY. Every call is kept in the run, in interpreted/, and
never made twice: after a stop, give the same command again.
"""


def add_interpret_command(
    commands: Any, add: Callable[..., argparse.ArgumentParser], say: Callable[[str], None]
) -> None:
    """Add `interpret` to the commands; `add` makes a parser, `say` prints a text."""
    command = add(
        commands, "interpret", "describe features in words, and score the descriptions", _EXAMPLES
    )
    _add_features(command)
    _add_describer(command)
    _add_calls(command)
    command.add_argument(
        "--out",
        type=a_path,
        metavar="DIR",
        help="write tables here; a language model's go into the run otherwise",
    )
    command.set_defaults(do=lambda options: say(_interpret(options)))


def _add_features(command: argparse.ArgumentParser) -> None:
    """What is described."""
    command.add_argument(
        "--run", type=a_path, required=True, metavar="RUN", help="folder of a finished run"
    )
    command.add_argument(
        "--features",
        default="random:50",
        metavar="WHICH",
        help="f1:0.5, random:200, ids:12;40 or all, joined by commas (default: %(default)s)",
    )
    command.add_argument(
        "--source", default="sae", help="which of the run's SAEs (default: %(default)s)"
    )


def _add_describer(command: argparse.ArgumentParser) -> None:
    """Who describes and who judges, and what they see."""
    command.add_argument(
        "--provider",
        default="statistical",
        metavar="NAME",
        help="statistical, or a language model as PROVIDER:MODEL (default: %(default)s)",
    )
    command.add_argument(
        "--base-url",
        metavar="URL",
        help="an OpenAI-compatible server; with openai:MODEL",
    )
    command.add_argument(
        "--blind",
        action="store_true",
        help="hide names and annotations: what sequences alone tell",
    )
    command.add_argument(
        "--judge-sees",
        default="names",
        choices=("names", "annotations"),
        help="what a judge sees of proteins; annotations: as in the paper (default: %(default)s)",
    )
    command.add_argument(
        "--structures",
        type=a_path,
        metavar="PATH",
        help="folder of files named by accession, or a table with the columns accession and file: "
        "say where in the fold maxima lie (default: say nothing about it)",
    )
    command.add_argument(
        "--per-bin",
        type=count,
        default=2,
        metavar="N",
        help="proteins of each half from each bin of 0.1 below the top one (default: %(default)s); "
        "1 reads the paper's 2 as of both halves together",
    )
    command.add_argument(
        "--close",
        action="store_true",
        help="silent proteins from clusters that fire first",
    )
    command.add_argument(
        "--twice", action="store_true", help="describe each feature a second time, and judge both"
    )


def _add_calls(command: argparse.ArgumentParser) -> None:
    """Calls of a language model: which are made, and their limits."""
    command.add_argument(
        "--dry-run", action="store_true", help="say calls, tokens and cost, and make no call"
    )
    command.add_argument("--replay", action="store_true", help="take recorded calls alone")
    command.add_argument(
        "--budget", type=factor, metavar="DOLLARS", help="stop before more than this is spent"
    )
    command.add_argument(
        "--price",
        type=_price,
        metavar="IN,OUT",
        help="dollars per million tokens (default: as in pydantic-ai's table)",
    )
    command.add_argument(
        "--max-tokens", type=factor, metavar="N", help="stop before more tokens than this are used"
    )
    command.add_argument(
        "--at-once",
        type=count,
        default=4,
        metavar="N",
        help="calls under way together (default: %(default)s)",
    )
    command.add_argument(
        "--per-minute", type=factor, metavar="N", help="calls that may start in a minute"
    )


def _price(text: str) -> tuple[float, float]:
    parts = text.split(",")
    if len(parts) != 2:
        raise argparse.ArgumentTypeError(
            f"wanted two numbers, input and output, such as 0.25,2; got {text!r}"
        )
    return factor(parts[0]), factor(parts[1])


def _interpret(options: argparse.Namespace) -> str:
    from interplm_nb.pipeline.errors import PipelineError
    from interplm_nb.pipeline.parameters import InterpretParameters
    from interplm_nb.pipeline.run import Run
    from interplm_nb.stages.interpret import prepared

    run = Run.open(options.run)
    asked = {"features": options.features, "close": options.close, "twice": options.twice}
    asked |= {"per_bin": options.per_bin}
    if options.structures:
        asked |= {"structures": str(options.structures)}
    if options.blind:
        asked |= {"sees": "sequence", "judge_sees": "sequence"}
    else:
        asked |= {"judge_sees": options.judge_sees}
    params = InterpretParameters.checked(asked, "interplm-nb interpret")
    ready = prepared(run, options.source, params)
    if not ready.subjects:
        raise PipelineError(
            f"none of these features has enough examples ({ready.chosen.n_enough} of "
            f"{ready.chosen.n_alive} features have); choose others, or a run with more proteins"
        )
    of = _by_statistics if options.provider == "statistical" else _by_a_model
    return "\n\n".join(of(run, ready, params, options))


def _by_statistics(
    run: "Run", ready: "Prepared", params: "InterpretParameters", options: argparse.Namespace
) -> list[str]:
    from interplm_nb.interpret.explain import explain_statistically
    from interplm_nb.stages.interpret import terms_of, write_explained

    if options.dry_run:
        return ["0 calls: 'statistical' asks no language model"]
    found = explain_statistically(*ready[:4], terms_of(params))
    if not options.out:
        return _text(ready, found)
    write_explained(run, found, options.out)
    return [*_text(ready, found), f"written: {options.out}"]


def _by_a_model(
    run: "Run", ready: "Prepared", params: "InterpretParameters", options: argparse.Namespace
) -> list[str]:
    from interplm_nb.interpret.asking import ModelError
    from interplm_nb.interpret.provider import known_price
    from interplm_nb.interpret.spending import Price
    from interplm_nb.pipeline.errors import PipelineError
    from interplm_nb.stages.interpret import Calls, interpret_with, place, plan

    price = Price(*options.price) if options.price else known_price(options.provider)
    if options.dry_run:
        return [f"{options.provider}: {plan(ready, params).text(price)}"]
    out = options.out or place(run, options.source, options.provider)
    calls = Calls(
        options.provider,
        options.base_url,
        options.replay,
        price,
        options.budget,
        options.max_tokens,
        options.at_once,
        options.per_minute,
    )
    try:
        found = interpret_with(run, ready, params, calls, out)
    except ModelError as error:
        raise PipelineError(str(error)) from error
    stopped = f"stopped early: {found.stopped}; the same command goes on from here"
    return [*_text(ready, found), *([stopped] if found.stopped else []), f"written: {out}"]


def _text(ready: Any, found: Any) -> list[str]:
    """What was found, for people."""
    import polars as pl

    from interplm_nb.interpret.judge import medians
    from interplm_nb.interpret.recognition import average_scores
    from interplm_nb.pipeline.text import text_table

    chosen, structures = ready.chosen, ready.known.structures
    parts = [
        f"{len(ready.subjects)} features described; {chosen.n_enough} of {chosen.n_alive} features "
        "have enough examples"
        + (f"; left out of those requested: {len(chosen.left_out)}" if chosen.left_out else "")
    ]
    parts += [str(structures)] if structures else []
    failed = found.descriptions.filter(pl.col("failed").is_not_null())
    if failed.height:
        parts.append(f"{failed.height} without a description; the first: {failed['failed'][0]}")
    shown = found.descriptions.select("feature", pl.col("summary").fill_null("–")).head(_SHOWN)
    parts.append(text_table(shown))
    if found.judged.height:
        parts.append(text_table(medians(found.judged).drop("median_spearman")))
    if found.recognised.height:
        parts.append(text_table(average_scores(found.recognised)))
    return parts


_SHOWN = 10
"""Descriptions on the terminal."""
