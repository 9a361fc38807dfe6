"""Any transformers model with one vector per residue, as a `PLM`.

Needs the extra `huggingface`. Only transformers' own classes run, never code from a repository.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import torch
from huggingface_hub import metadata_load
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from torch import Tensor, nn

from interplm_nb.plm import hub_cache
from interplm_nb.plm.checkpoints import revision_of
from interplm_nb.plm.devices import choose_device, choose_dtype
from interplm_nb.plm.edits import deepest_layer, edited
from interplm_nb.plm.embed import embed
from interplm_nb.plm.lengths import MAX_RESIDUES
from interplm_nb.plm.padded import padded_batches
from interplm_nb.plm.protocol import Edit, Output, StepEdit
from interplm_nb.plm.record import Objective
from interplm_nb.plm.residue_tokens import NO_TOKEN, ResidueTokens, residue_tokens
from interplm_nb.plm.shuffled import shuffled_tensors
from interplm_nb.plm.weight_files import check_folder, read_settings


def load(
    folder_or_repository: str | Path,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
    name: str | None = None,
) -> "HuggingFaceModel":
    """Load a transformers model from a folder or from "owner/name" on the hub.

    The weights are read in float32 and hashed before they are converted. A model whose config has
    no number of positions (T5's are relative) reads proteins of up to 1,022 residues in one pass,
    as ESM-2 does.

    Parameters
    ----------
    folder_or_repository
        A folder with config, weights and tokenizer, or "owner/name".
    device
        "auto": CUDA, then MPS, then the CPU.
    dtype
        float32 ("auto"), bfloat16 or float16.
    name
        The model's name (default: the repository, or the folder's name).

    Raises
    ------
    ImportError
        Without the extra `huggingface`.
    ValueError
        If transformers does not know the model, or its tokens are not residues.
    ConnectionError, FileNotFoundError, PermissionError
        As `hub_cache.folder_of`.
    """
    transformers = _transformers()
    folder = Path(folder_or_repository).expanduser()
    if not folder.is_dir():
        name = name or str(folder_or_repository)
        folder = hub_cache.folder_of(name)
    name = name or hub_cache.repository_of(folder) or folder.resolve().name
    where, kind = choose_device(device), choose_dtype(dtype)
    settings = read_settings(folder / "config.json")
    _refuse_unknown(transformers, settings, name)
    check_folder(folder)
    source = _Source(transformers, folder, name)
    tokens = residue_tokens(source.read(transformers.AutoTokenizer), name)
    module, objective = _module(source, settings)
    body = _Body.of(module, name)
    about = _About(
        name,
        revision_of(dict(_own_parameters(body.base))),
        _checked_widths(body, tokens, name, objective is not None),
        _max_residues(body.base, tokens),
        objective,
        _licence(folder),
    )
    return HuggingFaceModel(body.to(where, kind), tokens, about, where, kind)


class _About(NamedTuple):
    name: str
    revision: str
    widths: tuple[int, ...]
    max_residues: int
    objective: Objective | None
    licence: str


class HuggingFaceModel:
    """A transformers model with layers 0 (embedding) to `n_layers`. Meets `PLM`.

    Layer k < n_layers is the input of block k + 1, the last layer the input of the head: after the
    final norm, if there is one. These are transformers' `hidden_states`.
    """

    recurrent = False
    has_contact_head = False

    def __init__(
        self,
        body: "_Body",
        tokens: ResidueTokens,
        about: _About,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self._body, self._tokens, self._about = body, tokens, about
        self.name, self.revision, self.widths = about.name, about.revision, about.widths
        self.max_residues, self.licence = about.max_residues, about.licence
        self.objective: Objective | None = about.objective
        self.device, self.dtype = device, dtype
        self.letters = tokens.letters
        self.first_residue = len(tokens.prefix)
        self._residue_ids = torch.tensor(sorted(tokens.ids.values()), device=device)

    def __repr__(self) -> str:
        kind = type(self._body.module).__name__
        return (
            f"HuggingFaceModel({self.name}: {kind}, {self.n_layers} layers x {self.widths[-1]}, "
            f"{str(self.dtype)[6:]} on {self.device})"
        )

    @property
    def n_layers(self) -> int:
        """Number of the model's blocks; the embedding, layer 0, is not counted."""
        return len(self.widths) - 1

    @property
    def has_logits(self) -> bool:
        """Whether the weights include a head that predicts residues."""
        return self.objective is not None

    @property
    def tokens_per_batch(self) -> int:
        """Default number of padded tokens of a batch."""
        return 2_048 if self.device.type == "cpu" else 32_768

    def tokens(self, sequences: Sequence[str]) -> Tensor:
        """int64 [B, T] on the device: the model's own special tokens, residues, padding.

        `<mask>` in a sequence is one token, if the model has one.
        """
        return torch.from_numpy(self._tokens.encode(sequences, self.name)).to(self.device)

    def classes(self, tokens: Tensor) -> Tensor:
        """int64 [B, T]: a residue's class is its id; -100 for special tokens and padding."""
        return torch.where(torch.isin(tokens, self._residue_ids), tokens, -100)

    def forward(
        self,
        tokens: Tensor,
        layers: Sequence[int] = (),
        edit: Mapping[int, Edit] | None = None,
        logits: bool = False,
        step_edits: Mapping[int, StepEdit] | None = None,
        given: tuple[int, Tensor] | None = None,
    ) -> Output:
        """Representations at `layers`, and logits on request; runs no deeper than needed.

        `edit` maps a layer to a function of its representation, [B, T, width]; the result replaces
        it in the output and in the rest of the run. Gradients flow through it. `given`, a layer and
        its output, replaces that layer's output; the layers below still run, as transformers' own
        forward starts at the tokens.
        """
        if step_edits:
            raise ValueError(
                f"{self.name} is not recurrent, so step_edits has no steps to edit; use edit"
            )
        edit = edit or {}
        deepest = deepest_layer(self, layers, edit, logits, given)
        if given is not None:
            edit = {**edit, given[0]: lambda h: given[1]}
        taken: dict[int, Tensor] = {}

        def at(layer: int, x: Tensor) -> Tensor:
            """The representation x at a layer, edited where asked, and kept where wanted."""
            if layer in edit:
                x = edited(edit[layer], x, layer)
            if layer in layers:
                taken[layer] = x
            return x

        found = self._body.run(tokens, self._tokens.pad, at, deepest, logits)
        return Output({layer: taken[layer] for layer in dict.fromkeys(layers)}, found)

    batches = padded_batches
    embed = embed

    def shuffled(self, seed: int = 42) -> "HuggingFaceModel":
        """The control of the paper: each parameter's values in random order; tied ones stay tied.

        The encoder's values are the same with and without the head.
        """
        own = dict(_own_parameters(self._body.base))
        mine = {id(value) for value in own.values()}
        head = {k: v for k, v in self._body.module.named_parameters() if id(v) not in mine}
        weights, revision = shuffled_tensors(own, self.revision, seed)
        module = copy.deepcopy(self._body.module)
        body = _Body.of(module, self.name)
        with torch.no_grad():
            for name, value in weights.items():
                body.base.get_parameter(name).copy_(value)
            for name, value in shuffled_tensors(head, self.revision, seed)[0].items():
                module.get_parameter(name).copy_(value)
        about = self._about._replace(name=f"{self.name}-shuffled-{seed}", revision=revision)
        return HuggingFaceModel(body, self._tokens, about, self.device, self.dtype)


class _Reached(Exception):  # noqa: N818  (not an error: the run is deep enough)
    """Ends a run inside transformers' own forward."""


class _Body(NamedTuple):
    """A transformers module and the parts that layers are read from."""

    module: Any
    base: Any
    """The model without a head."""
    stack: Any
    """The model with the blocks, which returns the last layer: `base` or a part of it."""
    blocks: Sequence[nn.Module]

    @classmethod
    def of(cls, module: Any, name: str) -> "_Body":
        """Find the blocks: the shallowest list with one module per layer of the config."""
        base, count = module.base_model, getattr(module.config, "num_hidden_layers", None)
        lists = sorted(
            (path.count("."), path, part)
            for path, part in base.named_modules()
            if isinstance(part, nn.ModuleList)
            and len(part) == count
            and len({type(block) for block in part}) == 1
        )
        shallowest = [(path, part) for depth, path, part in lists if depth == lists[0][0]]
        if len(shallowest) != 1:
            raise ValueError(
                f"{name} cannot be used: {type(module).__name__} has {len(shallowest)} lists of "
                f"{count} blocks, wanted one; its layers are ambiguous"
            )
        path, blocks = shallowest[0]
        parts = path.split(".")
        above = [base.get_submodule(".".join(parts[:k])) for k in range(len(parts))]
        # Only transformers' models have the attribute. Some heads run an inner model themselves.
        stack = [part for part in above if hasattr(part, "base_model_prefix")][-1]
        return cls(module, base, stack, list(blocks))

    def to(self, device: torch.device, dtype: torch.dtype) -> "_Body":
        """Convert and move the module in place.

        Buffers, such as rotary tables, stay float32, else far positions become inaccurate; so do
        the products that overflow in float16, as transformers lists them.
        """
        exact = tuple(getattr(self.module, "_keep_in_fp32_modules", None) or ())
        for name, value in self.module.named_parameters():
            if not (dtype == torch.float16 and set(exact) & set(name.split("."))):
                value.data = value.data.to(dtype)
        self.module.to(device=device)
        return self

    def run(self, tokens: Tensor, pad: int, at: Any, deepest: int, logits: bool) -> Tensor | None:
        """Call `at(layer, x)` at each layer up to `deepest`, and continue with its result.

        Returns the logits, if requested.
        """
        mask = (tokens != pad).long()
        ids = tokens.clamp(min=0) if pad == NO_TOKEN else tokens
        with ExitStack() as hooks:
            for layer, block in enumerate(self.blocks[: deepest + 1]):
                hook = _before(at, layer, last=layer == deepest)
                hooks.callback(block.register_forward_pre_hook(hook, with_kwargs=True).remove)
            hooks.callback(self.stack.register_forward_hook(_after(at, len(self.blocks))).remove)
            run = self.module if logits else self.base
            try:
                found = run(input_ids=ids, attention_mask=mask)
            except _Reached:
                return None
        return found.logits if logits else None


def _before(at: Any, layer: int, last: bool) -> Any:
    """A hook of the block that reads `layer`, as its first or named argument."""

    def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Replace the block's input by what `at` returns; end the run there if it is the last."""
        x = at(layer, args[0] if args else kwargs["hidden_states"])
        if last:
            raise _Reached
        return ((x, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": x})

    return hook


def _after(at: Any, layer: int) -> Any:
    """A hook of the stack of all blocks."""

    def hook(_: nn.Module, __: Any, output: Any) -> Any:
        """Replace the stack's output by what `at` returns."""
        if isinstance(output, tuple):
            return (at(layer, output[0]), *output[1:])
        output.last_hidden_state = at(layer, output.last_hidden_state)
        return output

    return hook


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise ImportError(
            "this model needs transformers, which is not installed; pip install "
            "'interplm-nb[huggingface]'"
        ) from error
    return transformers


def _refuse_unknown(transformers: Any, settings: Mapping[str, Any], name: str) -> None:
    kind = settings.get("model_type")
    if kind in transformers.CONFIG_MAPPING:
        return
    if "auto_map" in settings:
        raise ValueError(
            f"{name} needs Python code of its own repository, and code from a hub is never run "
            "here; embed your proteins elsewhere and give the arrays (embed.arrays)"
        )
    raise ValueError(
        f"{name}: transformers {transformers.__version__} has no model_type {kind!r}; try a newer "
        "one, or embed your proteins elsewhere and give the arrays (embed.arrays)"
    )


class _Source(NamedTuple):
    """A folder that transformers reads with its own classes, without a network."""

    transformers: Any
    folder: Path
    name: str

    def read(self, auto: Any, **more: Any) -> Any:
        """`auto.from_pretrained`, with errors in one sentence and without reports.

        What the reports say is checked here instead.
        """
        logs = self.transformers.logging
        before = logs.get_verbosity()
        logs.set_verbosity_error()
        try:
            return auto.from_pretrained(
                self.folder, trust_remote_code=False, local_files_only=True, **more
            )
        except _UNREADABLE as error:
            raise ValueError(
                f"{self.name}: transformers cannot read it ({_first_line(error)}); wanted "
                "config.json, weights and tokenizer of one model"
            ) from error
        finally:
            logs.set_verbosity(before)

    def module(self, auto: Any, config: Any) -> tuple[Any, list[str]]:
        """The module in float32, and the parameters that its weights lack."""
        config = copy.deepcopy(config)
        config.use_cache = False
        # Set explicitly, as a config may name an attention kernel that is code from a hub.
        attention = "sdpa" if _has_sdpa(auto, config) else "eager"
        module, report = self.read(
            auto,
            config=config,
            dtype=torch.float32,
            attn_implementation=attention,
            output_loading_info=True,
        )
        return module, list(report["missing_keys"])


_UNREADABLE = (
    OSError,
    ImportError,
    RuntimeError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    SafetensorError,
    StrictDataclassError,
)
"""What transformers and huggingface_hub raise for damaged or inconsistent files."""


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def _has_sdpa(auto: Any, config: Any) -> bool:
    found = auto._model_mapping[type(config)]
    return bool(getattr(found, "_supports_sdpa", False))


def _module(source: _Source, settings: Mapping[str, Any]) -> tuple[Any, Objective | None]:
    """The model with its head and what the head predicts; without, if it has no usable head."""
    config = source.read(source.transformers.AutoConfig)
    auto, objective = _auto_class(source.transformers, config, settings, source.name)
    module, missing = source.module(auto, config)
    if objective is not None and not set(missing) <= _names(module):
        # The weights lack the head: transformers would continue with a random one.
        objective = None
        bare = _headless(source.transformers, config, source.name)
        module, missing = source.module(bare, config)
    lacking = sorted(_names(module).intersection(missing))
    if lacking:
        raise ValueError(
            f"{source.name}: {len(lacking)} parameters of {type(module).__name__} are missing from "
            f"its weights, such as {lacking[0]!r}; the weights are another model's"
        )
    return module.eval().requires_grad_(False), objective


def _auto_class(
    transformers: Any, config: Any, settings: Mapping[str, Any], name: str
) -> tuple[Any, Objective | None]:
    """The class of the architecture in the config, or the bare encoder."""
    kind = type(config)
    named = " ".join(settings.get("architectures") or [])
    masked = "MaskedLM" in named or "ForPreTraining" in named
    if masked and kind in transformers.MODEL_FOR_MASKED_LM_MAPPING:
        return transformers.AutoModelForMaskedLM, "masked"
    causal = "CausalLM" in named or "LMHeadModel" in named
    if causal and kind in transformers.MODEL_FOR_CAUSAL_LM_MAPPING:
        return transformers.AutoModelForCausalLM, "next residue"
    return _headless(transformers, config, name), None


def _headless(transformers: Any, config: Any, name: str) -> Any:
    # T5's encoder has its own class, whose config no longer says "encoder-decoder".
    if type(config) in transformers.MODEL_FOR_TEXT_ENCODING_MAPPING:
        return transformers.AutoModelForTextEncoding
    if config.is_encoder_decoder:
        raise ValueError(
            f"{name} is an encoder-decoder ({config.model_type}), and transformers cannot load its "
            "encoder alone; wanted an encoder or a causal model"
        )
    return transformers.AutoModel


_UNUSED = ("pooler.", "contact_head.")
"""Parts of encoders that residue vectors do not depend on; weights often lack them."""


def _own_parameters(base: Any) -> Iterator[tuple[str, Tensor]]:
    """Parameters that residue vectors depend on, tied ones once, by transformers' names."""
    for name, value in base.named_parameters():
        if not name.startswith(_UNUSED):
            yield name, value


def _names(module: Any) -> set[str]:
    """Names of the parameters without the head, as in the whole module."""
    base = module.base_model
    prefix = "" if base is module else f"{module.base_model_prefix}."
    return {prefix + name for name, _ in _own_parameters(base)}


def _checked_widths(body: _Body, tokens: ResidueTokens, name: str, head: bool) -> tuple[int, ...]:
    """Width of each layer, from a run on two short proteins.

    ValueError if a block's input is not what transformers calls that layer's hidden states, or if a
    protein's vectors depend on the padding after it.
    """
    letters, layers = tokens.letters[:20], range(len(body.blocks) + 1)
    batch, alone = (
        torch.from_numpy(tokens.encode(sequences, name))
        for sequences in ([letters, letters[:5]], [letters[:5]])
    )
    try:
        with torch.inference_mode():
            seen, short = _seen(body, batch, tokens.pad, head), _seen(body, alone, tokens.pad, head)
            mask = (batch != tokens.pad).long()
            states = body.base(
                input_ids=batch.clamp(min=0), attention_mask=mask, output_hidden_states=True
            ).hidden_states
    except _UNREADABLE as error:
        raise ValueError(
            f"{name} cannot be used: it does not run as an encoder or a causal model "
            f"({_first_line(error)})"
        ) from error
    if not _same_layers(seen, states, layers):
        raise ValueError(
            f"{name} cannot be used: the inputs of its blocks are not its hidden states, so its "
            "layers are unknown"
        )
    at = slice(len(tokens.prefix), len(tokens.prefix) + 5)
    if not all(_close(seen[k][1, at], short[k][0, at]) for k in layers):
        raise ValueError(
            f"{name} cannot be used: it does not ignore padding, so a protein's vectors would "
            "depend on the other proteins of its batch"
        )
    return tuple(seen[k].shape[-1] for k in layers)


def _seen(body: _Body, tokens: Tensor, pad: int, head: bool) -> dict[int, Tensor]:
    seen: dict[int, Tensor] = {}
    body.run(tokens, pad, lambda k, x: seen.setdefault(k, x), len(body.blocks), head)
    return seen


def _same_layers(seen: Mapping[int, Tensor], states: Any, layers: Sequence[int]) -> bool:
    return (
        states is not None
        and len(states) == len(layers) == len(seen)
        and all(_close(seen[k], states[k]) for k in layers)
    )


def _close(mine: Tensor, other: Tensor) -> bool:
    scale = 1e-3 * float(other.abs().max())
    return mine.shape == other.shape and torch.allclose(mine, other, rtol=1e-3, atol=scale)


def _max_residues(base: Any, tokens: ResidueTokens) -> int:
    """The config's number of positions less the special tokens, or `MAX_RESIDUES`."""
    positions = getattr(base.config, "max_position_embeddings", None)
    if not isinstance(positions, int) or positions < 1:
        return MAX_RESIDUES
    # Models derived from RoBERTa count positions from the id after the padding token's.
    tables = [
        part.padding_idx + 1
        for path, part in base.named_modules()
        if path.endswith("position_embeddings")
        and isinstance(part, nn.Embedding)
        and part.padding_idx is not None
    ]
    return positions - max(tables, default=0) - len(tokens.prefix) - len(tokens.suffix)


def _licence(folder: Path) -> str:
    """The model card's licence, if the card is with the weights."""
    card = folder / "README.md"
    try:
        said = metadata_load(card) if card.is_file() else None
    except ValueError:  # the card's header is not YAML
        return ""
    return str((said or {}).get("license", ""))
