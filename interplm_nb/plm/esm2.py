"""ESM-2 (Lin et al. 2023) with this package's own forward pass, no deeper than needed."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from interplm_nb.plm import checkpoints
from interplm_nb.plm.checkpoints import Architecture
from interplm_nb.plm.contact_head import ContactHead
from interplm_nb.plm.devices import choose_device, choose_dtype
from interplm_nb.plm.edits import deepest_layer, edited
from interplm_nb.plm.embed import embed
from interplm_nb.plm.lengths import MAX_RESIDUES
from interplm_nb.plm.padded import padded_batches
from interplm_nb.plm.protocol import Edit, Output, StepEdit
from interplm_nb.plm.record import Objective, check_layer
from interplm_nb.plm.shuffled import shuffled_tensors
from interplm_nb.plm.tokens import ALPHABET, MASK, PAD, token_ids
from interplm_nb.plm.transformer import Block, Norm, Rotary, embed_tokens, paired


def load(
    name_or_path: str | Path,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
    name: str | None = None,
) -> "ESM2":
    """Load ESM-2 by name or from files.

    No checksum of the official files is published: a download is checked against the size that the
    server states; its sha256 is stored next to it and checked at every later load.

    Parameters
    ----------
    name_or_path
        An official name ("esm2_t6_8M_UR50D" ... "esm2_t48_15B_UR50D", downloaded once to the torch
        hub cache), "esm2-mini" (the small model in this package, which is not ESM-2), a .pt file in
        fair-esm's format, a .safetensors file with its config.json (or the folder of both), or a
        transformers folder.
    device
        "auto": CUDA, then MPS, then the CPU.
    dtype
        float32 ("auto"), bfloat16 or float16.
    name
        The model's name if it comes from a transformers folder and is not one of Meta's.

    Raises
    ------
    ValueError
        If the files are not ESM-2 (settings, vocabulary, missing or unexpected parameters, shapes,
        NaN).
    FileNotFoundError
        If the path or name does not exist.
    ConnectionError
        If the download fails.
    """
    checkpoint = checkpoints.read(name_or_path, name)
    return ESM2(
        checkpoint.weights,
        checkpoint.architecture,
        checkpoint.name,
        checkpoint.revision,
        device,
        dtype,
        checkpoint.contact_head,
    )


class ESM2:
    """ESM-2 with layers 0 (embedding) to `n_layers` (after the final layer norm). Meets `PLM`.

    `weights` have fair-esm's parameter names, without `lm_head.*` if the model has no head; with
    the head that reads contacts from attention, if there is one, the model has no other state, and
    no gradients.
    """

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        architecture: Architecture,
        name: str,
        revision: str,
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "auto",
        contact_head: ContactHead | None = None,
    ) -> None:
        self.architecture = architecture
        self.name = name
        self.revision = revision
        self.device = choose_device(device)
        self.dtype = choose_dtype(dtype)
        self._weights = _fused(
            {k: v.to(self.device, self.dtype) for k, v in weights.items()}, architecture
        )
        self._blocks = [Block.of(self._weights, k) for k in range(architecture.n_layers)]
        self._rotary: Rotary | None = None
        self._contact_head = (
            ContactHead(*(part.to(self.device, torch.float32) for part in contact_head))
            if contact_head
            else None
        )

    def __repr__(self) -> str:
        a = self.architecture
        return (
            f"ESM2({self.name}: {a.n_layers} layers x {a.d_model}, {a.n_heads} heads, "
            f"{str(self.dtype)[6:]} on {self.device})"
        )

    @property
    def n_layers(self) -> int:
        """Number of transformer layers; the embedding, layer 0, is not counted."""
        return self.architecture.n_layers

    @property
    def widths(self) -> tuple[int, ...]:
        """Width of each layer's representation, layer 0 first: all the same."""
        return (self.architecture.d_model,) * (self.n_layers + 1)

    max_residues = MAX_RESIDUES
    letters = "".join(ALPHABET[4:29])
    objective: Objective | None = "masked"
    recurrent = False
    licence = "MIT"
    first_residue = 1

    @property
    def has_logits(self) -> bool:
        """Whether the weights include the head that predicts residues."""
        return "lm_head.bias" in self._weights

    @property
    def has_contact_head(self) -> bool:
        """Whether the weights include the head that reads contacts from attention."""
        return self._contact_head is not None

    def weights(self) -> dict[str, Tensor]:
        """The parameters by fair-esm's names, in its order.

        Do not modify them: some share the model's memory.
        """
        return _unfused(self._weights, self.architecture)

    def to(
        self, device: str | torch.device = "auto", dtype: str | torch.dtype | None = None
    ) -> "ESM2":
        """The same model on another device or in another dtype."""
        return ESM2(
            self.weights(),
            self.architecture,
            self.name,
            self.revision,
            device,
            dtype or self.dtype,
            self._contact_head,
        )

    def tokens(self, sequences: Sequence[str]) -> Tensor:
        """int64 [B, T] on the device: <cls>, residues, <eos>, <pad> to the longest.

        `<mask>` in a sequence is one token.
        """
        return torch.from_numpy(token_ids(sequences)).to(self.device)

    def classes(self, tokens: Tensor) -> Tensor:
        """int64 [B, T]: each token's class in the logits, which is its id."""
        return tokens

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

        `edit` maps a layer to a function of its representation, [B, T, d_model] with special tokens
        and padding; the result replaces it in the output and in the rest of the run. `given`, a
        layer and its output, starts the run above that layer. Gradients flow through both unless
        disabled.
        """
        if step_edits:
            raise ValueError(
                f"{self.name} is not recurrent, so step_edits has no steps to edit; use edit"
            )
        edit = edit or {}
        wanted: dict[int, Tensor] = {}
        x = torch.empty(0) if given is None else given[1].to(self.dtype)
        deepest = deepest_layer(self, layers, edit, logits, given)
        for layer, x in self._run(tokens, deepest, edit, given):
            if layer in layers:
                wanted[layer] = x
        return Output(wanted, self._logits(x) if logits else None)

    def attention_contacts(self, tokens: Tensor, edit: Mapping[int, Edit] | None = None) -> Tensor:
        """Contacts by the head that reads them from attention: see `Attending`."""
        head = self._contact_head
        if head is None:
            raise ValueError(f"{self.name} came without its contact head")
        if bool((tokens == PAD).any()):
            raise ValueError("contacts are read from sequences of one length; got padding")
        edit = edit or {}
        for layer in edit:
            check_layer(self, layer)
        rotary = self._rotary_table(tokens.shape[1])
        return head.contacts(
            self._blocks[layer].attention(x, rotary)[..., 1:-1, 1:-1]
            for layer, x in self._run(tokens, self.n_layers - 1, edit)
        )

    def _run(
        self,
        tokens: Tensor,
        deepest: int,
        edit: Mapping[int, Edit],
        given: tuple[int, Tensor] | None = None,
    ) -> Iterator[tuple[int, Tensor]]:
        """Layers 0, or the one above the given layer, to `deepest`, each with its representation,
        [B, T, d_model], after its edit."""
        padding = tokens == PAD
        mask = (~padding)[:, None, None, :] if bool(padding.any()) else None
        start, x = (0, torch.empty(0)) if given is None else (given[0] + 1, given[1].to(self.dtype))
        for layer in range(start, deepest + 1):
            if layer == 0:
                x = embed_tokens(
                    tokens,
                    self._weights["embed_tokens.weight"],
                    PAD,
                    MASK,
                    self.architecture.token_dropout,
                )
            else:
                x = self._blocks[layer - 1](x, self._rotary_table(tokens.shape[1]), mask)
            if layer == self.n_layers:
                x = Norm(
                    self._weights["emb_layer_norm_after.weight"],
                    self._weights["emb_layer_norm_after.bias"],
                )(x)
            if layer in edit:
                x = edited(edit[layer], x, layer)
            yield layer, x

    batches = padded_batches
    embed = embed

    def shuffled(self, seed: int = 42) -> "ESM2":
        """The control of the paper: each weight and bias tensor's values in random order.

        fair-esm's tensors, layer norms included; the tied embedding and LM head stay one tensor.
        The control has no contact head.
        """
        weights, revision = shuffled_tensors(self.weights(), self.revision, seed)
        name = f"{self.name}-shuffled-{seed}"
        return ESM2(weights, self.architecture, name, revision, self.device, self.dtype)

    @property
    def tokens_per_batch(self) -> int:
        """Default number of padded tokens of a batch.

        On a CPU what fits its caches (measured at the 8M shape), on a GPU what keeps it busy.
        """
        return 2_048 if self.device.type == "cpu" else 32_768

    def _rotary_table(self, length: int) -> Rotary:
        if self._rotary is None or len(self._rotary.turns) < length:
            with torch.inference_mode(False):
                heads = self.architecture.n_heads
                self._rotary = Rotary.table(
                    max(length, 2 + MAX_RESIDUES),
                    heads,
                    self.architecture.d_model // heads,
                    self.device,
                )
        return self._rotary

    def _logits(self, x: Tensor) -> Tensor:
        w = self._weights
        x = F.gelu(F.linear(x, w["lm_head.dense.weight"], w["lm_head.dense.bias"]))
        x = Norm(w["lm_head.layer_norm.weight"], w["lm_head.layer_norm.bias"])(x)
        return F.linear(x, w["embed_tokens.weight"], w["lm_head.bias"])


_PROJECTIONS = ("q_proj", "k_proj", "v_proj")


def _fused(weights: dict[str, Tensor], architecture: Architecture) -> dict[str, Tensor]:
    """The three projections of each layer as one tensor `self_attn.qkv`.

    Queries and keys have the order of `Rotary`.
    """
    order = paired(architecture.n_heads, architecture.d_model // architecture.n_heads)
    for layer in range(architecture.n_layers):
        at = f"layers.{layer}.self_attn"
        for kind in ("weight", "bias"):
            q, k, v = (weights.pop(f"{at}.{p}.{kind}") for p in _PROJECTIONS)
            weights[f"{at}.qkv.{kind}"] = torch.cat(
                [q[order.to(q.device)], k[order.to(k.device)], v]
            )
    return weights


def _unfused(weights: Mapping[str, Tensor], architecture: Architecture) -> dict[str, Tensor]:
    back = torch.argsort(paired(architecture.n_heads, architecture.d_model // architecture.n_heads))
    out: dict[str, Tensor] = {}
    for name, value in weights.items():
        at, fused, kind = name.partition(".qkv.")
        if fused:
            q, k, v = value.chunk(3)
            out |= {
                f"{at}.{p}.{kind}": part
                for p, part in zip(
                    _PROJECTIONS, (q[back.to(q.device)], k[back.to(k.device)], v), strict=True
                )
            }
        else:
            out[name] = value
    return out
