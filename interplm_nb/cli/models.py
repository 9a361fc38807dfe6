"""`interplm-nb models list | get | convert | push`: PLMs known by name, and SAEs in all formats."""

import argparse
from collections.abc import Callable
from typing import Any

from interplm_nb.cli.numbers import activation, count, factor, layer
from interplm_nb.cli.paths import a_path

_EXAMPLES = """\
examples:
  interplm-nb models                                    PLMs and published SAEs known by name
  interplm-nb models get Elana/InterPLM-esm2-8m --layer 4 --out sae      download a published SAE
  interplm-nb models convert ae.pt --plm esm2_t6_8M_UR50D --layer 4 --out sae
  interplm-nb models convert sae --to saelens --out for_saelens
  interplm-nb models push runs/demo someone/my-sae      its SAE, with scores, controls and features
  interplm-nb models push sae someone/my-sae --private

Nothing about an SAE is guessed: what its file does not say, you have to give, and what you say
must agree with the file.
"""


def add_models_command(
    commands: Any, add: Callable[..., argparse.ArgumentParser], say: Callable[[str], None]
) -> None:
    """Add `models` and its parts to the commands; `add` makes a parser, `say` prints a text."""
    command = add(
        commands, "models", "list, download, convert and publish models and SAEs", _EXAMPLES
    )
    command.set_defaults(do=lambda options: say(_listed()))
    parts = command.add_subparsers(metavar="PART")
    add(parts, "list", "list the PLMs and published SAEs known by name").set_defaults(
        do=lambda options: say(_listed())
    )
    _add_get(
        add(parts, "get", "download an SAE from the Hugging Face Hub at one commit and save it"),
        say,
    )
    _add_convert(
        add(parts, "convert", "read an SAE in another project's format, or write one"), say
    )
    push = add(parts, "push", "publish a saved SAE on the Hugging Face Hub with a model card")
    push.add_argument(
        "folder",
        type=a_path,
        metavar="RUN_OR_SAE",
        help="a run, whose trained SAE is published, or folder of an SAE: sae.safetensors and "
        "config.json",
    )
    push.add_argument(
        "repository", metavar="REPO", help="owner/name on the Hub; created if it does not exist"
    )
    push.add_argument(
        "--run",
        type=a_path,
        metavar="RUN",
        help="the run that trained the SAE, if its folder was copied elsewhere: the card states "
        "the scores and controls, and the table of features is published too",
    )
    push.add_argument("--private", action="store_true", help="make the repository private")
    push.set_defaults(do=lambda options: say(_push(options)))


def _add_get(command: argparse.ArgumentParser, say: Callable[[str], None]) -> None:
    command.add_argument(
        "repository", metavar="REPO", help="owner/name on the Hub, such as Elana/InterPLM-esm2-8m"
    )
    command.add_argument(
        "--revision",
        help="commit (best), branch or tag (default: the newest commit, which is reported)",
    )
    command.add_argument("--file", metavar="PATH", help="weights file in the repository")
    _add_given(command)
    command.set_defaults(do=lambda options: say(_get(options)))


def _add_convert(command: argparse.ArgumentParser, say: Callable[[str], None]) -> None:
    command.add_argument(
        "path",
        type=a_path,
        metavar="FILE_OR_FOLDER",
        help="weights file or its folder; config.json or cfg.json next to it is read",
    )
    command.add_argument(
        "--to",
        default="interplm-nb",
        choices=("interplm-nb", "interplm", "saelens"),
        help="format to write (default: %(default)s)",
    )
    _add_given(command)
    command.set_defaults(do=lambda options: say(_convert(options)))


def _add_given(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--out",
        type=a_path,
        required=True,
        metavar="DIR",
        help="folder to write; must not exist yet",
    )
    said = command.add_argument_group("what the file does not say")
    said.add_argument("--plm", help="name of the PLM, such as esm2_t6_8M_UR50D")
    said.add_argument("--layer", type=layer, help="0 (embedding) to the PLM's number of layers")
    said.add_argument("--hook", help="residual (after the layer), or another hook's name")
    said.add_argument("--architecture", help="topk or batchtopk, if the tensors fit both")
    said.add_argument("--k", type=count, help="active features per residue")
    said.add_argument(
        "--threshold", type=activation, help="threshold of BatchTopK, if training did not set it"
    )
    said.add_argument(
        "--input-scale",
        type=factor,
        help="factor that multiplies embeddings before encoding; 1: none",
    )
    said.add_argument(
        "--format",
        help="if the file fits several: interplm, interprot, reticular, saelens, "
        "dictionary-learning, esmc or sparsify",
    )
    command.add_argument("--sha256", help="checksum that the weights file must have")


def _given(options: argparse.Namespace) -> Any:
    from interplm_nb.sae.importers.given import Given

    return Given(
        options.plm,
        options.layer,
        options.hook,
        options.architecture,
        options.k,
        options.threshold,
        options.input_scale,
        options.format,
    )


def _get(options: argparse.Namespace) -> str:
    from interplm_nb.cli.publish import download

    return download(
        options.repository,
        options.out,
        _given(options),
        options.revision,
        options.file,
        options.sha256,
    )


def _convert(options: argparse.Namespace) -> str:
    from interplm_nb.sae.convert import convert

    return convert(options.path, options.out, options.to, _given(options), options.sha256)


def _push(options: argparse.Namespace) -> str:
    from interplm_nb.cli.publish import publish

    return publish(options.folder, options.repository, options.run, options.private)


def _listed() -> str:
    from interplm_nb.cli.describe import describe_models
    from interplm_nb.sae.published import PUBLISHED

    rows = [("repository on huggingface.co", "format", "PLM", "layers")]
    rows += [
        (entry.repository, entry.format, entry.plm, ", ".join(map(str, entry.layers)))
        for entry in PUBLISHED
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    table = "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]])
        for row in rows
    )
    return (
        f"PLMs:\n\n{describe_models()}\n\n"
        f"Published SAEs (interplm-nb models get REPOSITORY --layer N --out DIR):\n\n{table}\n\n"
        "Reticular's SAEs are on github.com/johnyang101/reticular-sae (pretrained_models): "
        "download one, then interplm-nb models convert FILE."
    )
