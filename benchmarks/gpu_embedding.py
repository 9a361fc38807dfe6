"""Part 2 of the GPU benchmark: residues per second of whole models, bfloat16, random weights.

Ours is `plm.embed` as the library calls it: proteins of like length together, the last layer's
residues left on the device. fair-esm is used as its README does: file order, batches of 16, its
BatchConverter. transformers' EsmModel runs with SDPA on our own batches and tokens.
"""

from collections.abc import Callable
from typing import Any

import torch

from benchmarks.gpu_models import (
    SHAPES,
    SMALLEST,
    esm2_flop,
    fair_esm_model,
    random_esm2,
    sampled,
    shape,
)
from benchmarks.gpu_rows import Clock, Measurement, Row, Setting, ceiling
from benchmarks.gpu_unirep import random_unirep, unirep_flop
from interplm_nb.plm.batches import by_length, positions_of
from interplm_nb.plm.lengths import pieces
from interplm_nb.plm.protocol import PLM
from interplm_nb.plm.tokens import ALPHABET, MASK, PAD
from interplm_nb.proteins import Proteins

PART = "embedding"
BATCH = 16
"""fair-esm's README embeds a list at once; 16 is what its users' scripts take."""


def measurements(setting: Setting) -> list[Measurement]:
    """Ours and two peers at five shapes, and UniRep alone."""
    proteins = sampled(setting.pick(512, 6), setting.pick(1022, 60))
    top = _Ceiling(setting)
    found = [top.measurement]
    for name in SHAPES:
        found += _Shape(name, setting, proteins, top).measurements()
    return [*found, Measurement("unirep-1900", lambda c: _unirep(setting, proteins, top, c))]


class _Ceiling:
    """The device's rate of bfloat16 products, measured once."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._found: float | None = None

    def flop_per_second(self, clock: Clock) -> float:
        if self._found is None:
            self._found = ceiling(self._setting, clock)
        return self._found

    @property
    def measurement(self) -> Measurement:
        return Measurement("bfloat16 product, the ceiling", self._rows)

    def _rows(self, clock: Clock) -> list[Row]:
        n = self._setting.pick(8_192, 256)
        rate = self.flop_per_second(clock) / 1e12
        what = "bfloat16 product, the ceiling"
        return [Row(PART, what, "TFLOP/s", rate, None, f"{n} x {n} x {n}, random values")]


class _Shape:
    """One shape. Ours is measured once, for whichever row asks first, and then freed."""

    def __init__(self, name: str, setting: Setting, proteins: Proteins, top: _Ceiling) -> None:
        self.name, self.setting, self.proteins, self.top = name, setting, proteins, top
        self.architecture = shape(name, setting)
        self._ours: float | None = None

    def measurements(self) -> list[Measurement]:
        return [
            Measurement(f"ESM-2 {self.name}", self._alone),
            Measurement(f"ESM-2 {self.name}, fair-esm", self._fair_esm),
            Measurement(f"ESM-2 {self.name}, transformers", self._transformers),
        ]

    def ours(self, clock: Clock) -> float:
        """Residues per second."""
        if self._ours is None:
            plm = random_esm2(self.architecture, self.setting.device, torch.bfloat16)
            self._ours = _embedding_rate(plm, self.proteins, self.setting, clock)
        return self._ours

    def _alone(self, clock: Clock) -> list[Row]:
        rate = self.ours(clock)
        flop = rate * esm2_flop(self.architecture, self.proteins) / self.proteins.n_residues
        return _with_share(f"ESM-2 {self.name}", rate, flop, self.top.flop_per_second(clock))

    def _fair_esm(self, clock: Clock) -> list[Row]:
        model = fair_esm_model(self.architecture, self.setting.device).to(torch.bfloat16)
        convert, last = model.alphabet.get_batch_converter(), self.architecture.n_layers
        named = list(zip(self.proteins.accessions, self.proteins.sequences, strict=True))

        @torch.no_grad()
        def embed() -> None:
            for i in range(0, len(named), BATCH):
                _, sequences, tokens = convert(named[i : i + BATCH])
                tokens = tokens.to(self.setting.device)
                found = model(tokens, repr_layers=[last])["representations"][last]
                _ = [found[j, 1 : len(s) + 1].clone() for j, s in enumerate(sequences)]

        return self._beside("fair-esm", embed, clock, f"file order, batches of {BATCH}")

    def _transformers(self, clock: Clock) -> list[Row]:
        from transformers import EsmConfig, EsmModel

        a = self.architecture
        settings: dict[str, Any] = {
            "vocab_size": len(ALPHABET),
            "hidden_size": a.d_model,
            "num_hidden_layers": a.n_layers,
            "num_attention_heads": a.n_heads,
            "intermediate_size": 4 * a.d_model,
            "pad_token_id": PAD,
            "mask_token_id": MASK,
            "position_embedding_type": "rotary",
            "emb_layer_norm_before": False,
            "token_dropout": True,
            "attn_implementation": "sdpa",
        }
        with torch.device(self.setting.device):
            model: Any = EsmModel(EsmConfig(**settings), add_pooling_layer=False)
        model = model.to(self.setting.device, torch.bfloat16).eval()
        # It gets our tokens and batches, so that only the forward passes are compared.
        like = random_esm2(SMALLEST, self.setting.device, torch.bfloat16)
        batches = by_length(list(pieces(self.proteins)), like.tokens_per_batch)

        @torch.no_grad()
        def embed() -> None:
            for batch in batches:
                tokens = like.tokens([self.proteins.sequences[p.protein] for p in batch])
                places = positions_of(batch, tokens.shape[1])
                found = model(tokens, attention_mask=(tokens != PAD).long()).last_hidden_state
                at = torch.from_numpy(places).to(self.setting.device)
                found.flatten(0, 1).index_select(0, at).float()

        return self._beside("transformers", embed, clock, "EsmModel, SDPA, our batches and tokens")

    def _beside(self, name: str, embed: Callable[[], None], clock: Clock, how: str) -> list[Row]:
        other = self.proteins.n_residues / self.setting.median(embed, clock)
        ours = self.ours(clock)
        note = f"{len(self.proteins)} proteins; other: {name}, bfloat16, {how}"
        what = f"ESM-2 {self.name}, {name}"
        return [Row(PART, what, "residues/s", ours, other, note, "at least")]


def _embedding_rate(plm: PLM, proteins: Proteins, setting: Setting, clock: Clock) -> float:
    """Residues per second of the last layer, left on the device."""

    def embed() -> None:
        for batch in plm.embed(proteins, [plm.n_layers], progress=False):
            _ = batch.layers

    return proteins.n_residues / setting.median(embed, clock)


def _with_share(what: str, rate: float, flop: float, top: float) -> list[Row]:
    note = "products of the real tokens, from the shapes; other: the ceiling"
    return [
        Row(PART, what, "residues/s", rate, None, "bfloat16, last layer, residues on the device"),
        Row(PART, f"{what}, share of the ceiling", "TFLOP/s", flop / 1e12, top / 1e12, note),
    ]


def _unirep(setting: Setting, proteins: Proteins, top: _Ceiling, clock: Clock) -> list[Row]:
    plm = random_unirep(setting, setting.device, torch.bfloat16)
    rate = _embedding_rate(plm, proteins, setting, clock)
    flop = rate * unirep_flop(setting)
    return _with_share("unirep-1900", rate, flop, top.flop_per_second(clock))
