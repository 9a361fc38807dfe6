"""What is refused before the first stage starts: a device, a file or a setting that cannot work."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.parameters import (
    L1_RECIPES,
    ActivationsParameters,
    CompareParameters,
    EmbedParameters,
    FeaturesParameters,
    ProteinsParameters,
    StageParameters,
    TrainParameters,
)
from interplm_nb.pipeline.run_model import RunModel
from interplm_nb.plm.record import Declared, check_layer
from interplm_nb.readers.label_files import ENDINGS
from interplm_nb.readers.motif_files import read_motifs
from interplm_nb.readers.opening import open_bytes
from interplm_nb.readers.read import recognise
from interplm_nb.readers.report import InputError
from interplm_nb.readers.tables import without_compression
from interplm_nb.sae.config import SAEConfig


def check_device(device: str) -> None:
    """Refuse a device that torch does not find here."""
    if device in ("auto", "cpu"):  # always there: torch, slow to import, need not be asked
        return
    from interplm_nb.plm.devices import choose_device

    try:
        computes = choose_device(device).type != "meta"
    except ValueError as error:
        raise PipelineError(f"--device {device}: {error}") from None
    if not computes:
        raise PipelineError("--device meta: nothing is computed there; take auto or cpu")


def check_files(stages: Mapping[str, StageParameters]) -> None:
    """Refuse files of proteins and labels that are not there, or of another kind; the first bytes
    are read."""
    params = cast(ProteinsParameters, stages["proteins"])
    checks = {
        "path": recognise if params.format == "auto" else _open,
        "labels": _check_labels,
    }
    for field, path in params.paths().items():
        if path.exists() and not path.is_file():
            kind = "a folder" if path.is_dir() else "no regular file"
            raise PipelineError(f"proteins.{field}: {path} is {kind}; give a file")
        try:
            checks[field](path)
        except InputError as error:
            raise PipelineError(f"proteins.{field}: {error}") from None
        except OSError as error:
            raise PipelineError(
                f"proteins.{field}: {path} cannot be read ({error.strerror}); "
                "look at its permissions, or give another file"
            ) from None


def check_motifs(stages: Mapping[str, StageParameters]) -> None:
    """Refuse a file of known motifs that cannot be read, before the stages ahead of it."""
    features = cast(FeaturesParameters | None, stages.get("features"))
    if features is None or not features.motifs:
        return
    path = features.paths()["motifs"]
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "no regular file"
        raise PipelineError(f"features.motifs: {path} is {kind}; give a file")
    try:
        read_motifs(path)
    except InputError as error:
        raise PipelineError(f"features.motifs: {error}") from None


def check_fits(model: RunModel, stages: Mapping[str, StageParameters]) -> None:
    """Refuse layers that the model lacks, stages that need a model in a run without one, and
    settings of SAEs that contradict one another."""
    _check_layers(model, stages)
    train = cast(TrainParameters, stages["train"])
    _check_train(train, cast(ActivationsParameters, stages["activations"]))
    if "compare" in stages:
        _check_compare(cast(CompareParameters, stages["compare"]))


def check_batches(n_train: int, stages: Mapping[str, StageParameters]) -> None:
    """Refuse a batch with more residues than the train proteins have in all."""
    for stage in ("train", "compare"):
        params = cast(TrainParameters | CompareParameters | None, stages.get(stage))
        if params and n_train < params.batch_size:
            raise PipelineError(
                f"{stage}.batch_size = {params.batch_size}: the train proteins have {n_train:,} "
                "residues in all; take a smaller batch, or more proteins"
            )


def _open(path: Path) -> bytes:
    with open_bytes(path) as stream:
        return stream.read(1000)


def _check_labels(path: Path) -> None:
    if not _open(path).strip():
        raise InputError(f"{path} is empty; give a file of labels, or leave it out")
    if not without_compression(path).endswith(ENDINGS):
        raise InputError(
            f"{path}: the name says no format of labels; wanted {', '.join(ENDINGS)}, plain or "
            "with .gz or .zst after it"
        )


def _check_layers(model: RunModel, stages: Mapping[str, StageParameters]) -> None:
    compare = cast(CompareParameters | None, stages.get("compare"))
    if model.record is None:
        if compare:
            raise PipelineError(
                "stage 'compare' measures a model's predictions, and embeddings from arrays have "
                "no model; take a profile without a [compare] table"
            )
        check_target(cast(TrainParameters, stages["train"]).target, [], None)
        return
    embed = cast(EmbedParameters, stages["embed"])
    asked = [("embed.joined", layer) for layer in embed.joined] or [("embed.layer", embed.layer)]
    asked += [("compare.layers", layer) for layer in (compare.layers if compare else ())]
    for name, layer in asked:
        try:
            check_layer(model.record, layer)
        except ValueError as error:
            raise PipelineError(f"{name} = {layer}: {error}") from None
    train = cast(TrainParameters, stages["train"])
    check_target(train.target, embed.joined or [embed.layer], model.record)


def check_target(target: int, read: Sequence[int], record: Declared | None) -> None:
    """PipelineError for a layer that a transcoder cannot write: one that the SAE reads, one that
    the model lacks, or any where there is no model. -1 is no target."""
    if target < 0:
        return
    if record is None:
        raise PipelineError(
            "a transcoder writes another layer of a model, and these embeddings came from arrays; "
            "leave train.target at -1, or embed with a model (-p embed.plm=NAME)"
        )
    if target in read:
        raise PipelineError(
            f"train.target = {target} is a layer that the SAE reads "
            f"({', '.join(map(str, read))}); name another one, or leave it at -1 for an SAE"
        )
    try:
        check_layer(record, target)
    except ValueError as error:
        raise PipelineError(f"train.target = {target}: {error}") from None


def _check_train(train: TrainParameters, activations: ActivationsParameters) -> None:
    if train.recipe in L1_RECIPES:
        return
    if train.l1:
        raise PipelineError(
            f"train.l1 = {train.l1:g}: recipe {train.recipe} has no L1 term, train.k sets its "
            f"sparsity; set train.l1 to 0, or take {_or(L1_RECIPES)}"
        )
    _check_k("train.k", train.recipe, train.k, train.d_sae, "train")
    if train.k > activations.max_l0:
        raise PipelineError(
            f"train.k = {train.k}: stage 'activations' refuses an SAE with more than "
            f"activations.max_l0 = {activations.max_l0:g} active features per residue; lower "
            "train.k, or raise activations.max_l0"
        )


def _check_compare(compare: CompareParameters) -> None:
    without = [recipe for recipe in compare.recipes if recipe not in L1_RECIPES]
    if compare.l1s and len(without) == len(compare.recipes):
        raise PipelineError(
            f"compare.l1s = {compare.l1s}: none of the recipes {', '.join(without)} has an L1 "
            f"term; leave it empty, or add {_or(L1_RECIPES)} to compare.recipes"
        )
    if compare.sparsities and not without:
        raise PipelineError(
            f"compare.sparsities = {compare.sparsities}: the recipes {', '.join(compare.recipes)} "
            "are sparse by their L1 term; leave it empty and set compare.l1s, or add another recipe"
        )
    for recipe in without:
        for k in compare.sparsities or [None]:
            _check_k("compare.sparsities", recipe, k, compare.d_sae, "compare")


def _check_k(name: str, recipe: str, k: int | None, d_sae: int, stage: str) -> None:
    """Refuse more active features than there are; k None is the recipe's own."""
    config = SAEConfig.recipe(recipe, d_sae, k=k)
    kept = int(getattr(config.architecture, "k", config.target_l0))
    if kept > d_sae:
        own = " (the recipe's own)" if k is None else ""
        raise PipelineError(
            f"{name} = {kept}{own}: an SAE of {stage}.d_sae = {d_sae} features cannot have more "
            f"of them active; lower {name}, or raise {stage}.d_sae"
        )


def _or(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
