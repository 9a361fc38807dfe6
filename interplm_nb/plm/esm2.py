"""ESM-2 (Lin et al. 2023) on fair-esm's weights, with a forward pass of our own: it stops after the deepest layer asked for."""

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm.auto import tqdm

from interplm_nb.plm import checkpoints
from interplm_nb.plm.batches import by_length, positions_of, rows_of
from interplm_nb.plm.checkpoints import Architecture
from interplm_nb.plm.lengths import MAX_RESIDUES, pieces
from interplm_nb.plm.protocol import Edit, EmbeddedBatch, Output
from interplm_nb.plm.tokens import ALPHABET, MASK, PAD, token_ids
from interplm_nb.plm.transformer import Block, Norm, Rotary, embed_tokens, paired
from interplm_nb.proteins import Proteins

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def load(
    name_or_path: str | Path,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "float32",
) -> "ESM2":
    """ESM-2 by name or from a file.

    `name_or_path`: an official name ("esm2_t6_8M_UR50D" ... "esm2_t48_15B_UR50D", downloaded once to the torch hub cache), "esm2-mini"
    (the small model in this package, which is not ESM-2), a .pt file in fair-esm's format, or a .safetensors file with its
    config.json (or the folder of both). `device`: "auto" takes CUDA, then MPS, then the CPU. `dtype`: float32, bfloat16 or float16.

    There is no published checksum of the official files: a download is checked against the size the server states, its sha256 is
    written beside it and checked whenever it is loaded again.

    Raises ValueError for a file that is not ESM-2 (missing or strange parameters, shapes, NaN), FileNotFoundError for a path or name
    that is not there, ConnectionError where the network is not.
    """
    checkpoint = checkpoints.read(name_or_path)
    return ESM2(
        checkpoint.weights,
        checkpoint.architecture,
        checkpoint.name,
        checkpoint.revision,
        device,
        dtype,
    )


class ESM2:
    """ESM-2 with layers 0 (embedding) to `n_layers` (after the final layer norm). Meets the `PLM` protocol.

    `weights` carries fair-esm's parameter names; the model has no other state and no gradients of its own.
    """

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        architecture: Architecture,
        name: str,
        revision: str,
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "float32",
    ) -> None:
        self.architecture = architecture
        self.name = name
        self.revision = revision
        self.device = choose_device(device)
        self.dtype = _dtype(dtype)
        self._weights = _fused(
            {k: v.to(self.device, self.dtype) for k, v in weights.items()}, architecture
        )
        self._blocks = [Block.of(self._weights, k) for k in range(architecture.n_layers)]
        self._rotary: Rotary | None = None

    def __repr__(self) -> str:
        a = self.architecture
        return f"ESM2({self.name}: {a.n_layers} layers x {a.d_model}, {a.n_heads} heads, {str(self.dtype)[6:]} on {self.device})"

    @property
    def n_layers(self) -> int:
        """Number of transformer layers; the embedding, layer 0, is not counted."""
        return self.architecture.n_layers

    @property
    def d_model(self) -> int:
        """Width of a representation."""
        return self.architecture.d_model

    @cached_property
    def alphabet(self) -> tuple[str, ...]:
        """Token of each id, 0 to 32."""
        return ALPHABET

    def weights(self) -> dict[str, Tensor]:
        """The parameters under fair-esm's names and in its order; not to be written to, as some share the model's memory."""
        return _unfused(self._weights, self.architecture)

    def to(
        self, device: str | torch.device = "auto", dtype: str | torch.dtype | None = None
    ) -> "ESM2":
        """The same model on another device or in another dtype."""
        return ESM2(
            self.weights(), self.architecture, self.name, self.revision, device, dtype or self.dtype
        )

    def tokens(self, sequences: Sequence[str]) -> Tensor:
        """int64 [B, T] on the device: <cls>, residues, <eos>, <pad> to the longest. `<mask>` in a sequence is one token."""
        return torch.from_numpy(token_ids(sequences)).to(self.device)

    def forward(
        self,
        tokens: Tensor,
        layers: Sequence[int] = (),
        edit: Mapping[int, Edit] | None = None,
        logits: bool = False,
    ) -> Output:
        """Representations at `layers`, and logits where asked for; runs no deeper than they need.

        `edit` maps a layer to a function of its representation, [B, T, d_model] with special tokens and padding, whose value takes its
        place: in the returned representation and in the rest of the run. Gradients flow through an edit unless they are switched off.
        """
        edit = edit or {}
        deepest = self.n_layers if logits else max(layers, default=-1)
        _check_layers(self, [*layers, *edit], deepest)
        padding = tokens == PAD
        mask = (~padding)[:, None, None, :] if bool(padding.any()) else None
        wanted: dict[int, Tensor] = {}
        x = embed_tokens(
            tokens, self._weights["embed_tokens.weight"], PAD, MASK, self.architecture.token_dropout
        )
        for layer in range(deepest + 1):
            if layer:
                x = self._blocks[layer - 1](x, self._rotary_table(tokens.shape[1]), mask)
            if layer == self.n_layers:
                x = Norm(
                    self._weights["emb_layer_norm_after.weight"],
                    self._weights["emb_layer_norm_after.bias"],
                )(x)
            if layer in edit:
                x = _edited(edit[layer], x, layer)
            if layer in layers:
                wanted[layer] = x
        return Output(wanted, self._logits(x) if logits else None)

    def embed(
        self,
        proteins: Proteins,
        layers: Sequence[int],
        tokens_per_batch: int | None = None,
        progress: bool = True,
        *,
        long: Literal["refuse", "window"] = "refuse",
        max_residues: int = MAX_RESIDUES,
        overlap: int = 512,
        dtype: torch.dtype = torch.float32,
    ) -> Iterator[EmbeddedBatch]:
        """Every residue of every protein once, at `layers`, in batches of proteins of like length (longest first).

        `tokens_per_batch` bounds a batch's padded size; by default what suits the device. Proteins over `max_residues` are refused, or
        with `long="window"` run in windows that overlap by at least `overlap`, each residue from the window whose centre is nearer.
        """
        _check_layers(self, layers, max(layers, default=-1))
        batches = by_length(
            list(pieces(proteins, long, max_residues, overlap)),
            tokens_per_batch or self.tokens_per_batch,
        )
        with tqdm(
            total=proteins.n_residues,
            desc=f"embedding with {self.name}",
            unit=" residues",
            unit_scale=True,
            disable=not progress,
        ) as bar:
            for batch in batches:
                tokens = self.tokens(
                    [proteins.sequences[p.protein][p.start : p.stop] for p in batch]
                )
                with torch.inference_mode():
                    found = self.forward(tokens, layers).representations
                rows = rows_of(batch, proteins)
                at = torch.from_numpy(positions_of(batch, tokens.shape[1])).to(self.device)
                # Outside inference mode, so that what is handed on may take part in training.
                with torch.no_grad():
                    residues = {
                        k: v.flatten(0, 1).index_select(0, at).to(dtype) for k, v in found.items()
                    }
                yield EmbeddedBatch(rows, residues)
                bar.update(len(rows))

    @property
    def tokens_per_batch(self) -> int:
        """Padded tokens of a batch by default: on a CPU what its caches hold (measured at the 8M shape), on a GPU what keeps it busy."""
        return 2_048 if self.device.type == "cpu" else 32_768

    def _rotary_table(self, length: int) -> Rotary:
        if self._rotary is None or len(self._rotary.turns) < length:
            with torch.inference_mode(False):
                heads = self.architecture.n_heads
                self._rotary = Rotary.table(
                    max(length, 2 + MAX_RESIDUES), heads, self.d_model // heads, self.device
                )
        return self._rotary

    def _logits(self, x: Tensor) -> Tensor:
        w = self._weights
        x = F.gelu(F.linear(x, w["lm_head.dense.weight"], w["lm_head.dense.bias"]))
        x = Norm(w["lm_head.layer_norm.weight"], w["lm_head.layer_norm.bias"])(x)
        return F.linear(x, w["embed_tokens.weight"], w["lm_head.bias"])


def choose_device(device: str | torch.device) -> torch.device:
    """A device by name; "auto" is CUDA, else MPS, else the CPU. Under `torchrun` CUDA is the process's own GPU (LOCAL_RANK).

    Raises ValueError for CUDA where there is none.
    """
    if device == "auto":
        device = (
            "cuda"
            if torch.cuda.is_available()
            else "mps"
            if torch.backends.mps.is_available()
            else "cpu"
        )
    found = torch.device(device)
    if found.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            "device 'cuda' was asked for and torch sees no CUDA GPU here; use device='auto' or 'cpu'"
        )
    if found.type == "cuda" and found.index is None and "LOCAL_RANK" in os.environ:
        return torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    return found


def _dtype(dtype: str | torch.dtype) -> torch.dtype:
    found = DTYPES.get(dtype) if isinstance(dtype, str) else dtype
    if found is None or found not in DTYPES.values():
        raise ValueError(f"dtype is one of {', '.join(DTYPES)}, not {dtype}")
    return found


def _check_layers(plm: ESM2, layers: Sequence[int], deepest: int) -> None:
    if deepest < 0 and not layers:
        raise ValueError(
            f"no layer was asked for; {plm.name} has layers 0 (embedding) to {plm.n_layers}"
        )
    for layer in layers:
        if not 0 <= layer <= plm.n_layers:
            raise ValueError(
                f"{plm.name} has no layer {layer}; its layers are 0 (embedding) to {plm.n_layers}"
            )
        if layer > deepest:
            raise ValueError(
                f"an edit at layer {layer} changes nothing: the run stops after layer {max(deepest, 0)}; ask for a later layer or for logits"
            )


def _edited(edit: Edit, x: Tensor, layer: int) -> Tensor:
    new = edit(x)
    if new.shape != x.shape:
        raise ValueError(
            f"the edit at layer {layer} returned shape {tuple(new.shape)}, wanted {tuple(x.shape)}"
        )
    return new.to(x.dtype)


_PROJECTIONS = ("q_proj", "k_proj", "v_proj")


def _fused(weights: dict[str, Tensor], architecture: Architecture) -> dict[str, Tensor]:
    """The three projections of each layer as one tensor `self_attn.qkv`, queries and keys in the order that `Rotary` takes."""
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
