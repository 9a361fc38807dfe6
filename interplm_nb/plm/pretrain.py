"""The recipe of `esm2-mini`: pretrain a small model with ESM-2's architecture and objective.

Objective, architecture and corruption are ESM-2's (Lin et al. 2023). The optimizer is not: the
layers' matrices use Muon (Jordan et al. 2024) and the rest AdamW, which at this size learned more
in equal steps (held-out perplexity 17.28 against 17.62 with AdamW alone, after 2 million residues).
The learning rate warms up, stays constant, and falls to 0 over the last steps, so that the length
of a run need not be known at its start. Embeddings start with a standard deviation of 0.02: with
fair-esm's 1 a small model stays at the unigram perplexity for millions of residues.
"""

import json
import logging
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from interplm_nb.plm.checkpoints import Architecture, write_safetensors
from interplm_nb.plm.corpus import Corpus, corrupted, masked
from interplm_nb.plm.devices import choose_device
from interplm_nb.plm.esm2 import ESM2
from interplm_nb.plm.names import MINI
from interplm_nb.plm.tokens import ALPHABET, PAD
from interplm_nb.progress import progress_bar
from interplm_nb.proteins import Proteins
from interplm_nb.saving import atomic_path, json_hash, write_json

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PretrainConfig:
    """Settings of the model and its training; a run resumes only with equal settings."""

    n_layers: int = 4
    """Transformer layers."""
    d_model: int = 192
    """Width."""
    n_heads: int = 6
    """Attention heads."""
    steps: int = 6_000
    """Optimizer steps."""
    decay_steps: int = 1_500
    """Steps at the end over which the learning rate falls linearly to 0."""
    warmup_steps: int = 200
    """Steps at the start over which it rises linearly."""
    crop: int = 256
    """Longest crop of a protein, in tokens."""
    batch_tokens: int = 4_096
    """Tokens per step, padding included."""
    muon_lr: float = 0.004
    """Peak learning rate of the layers' matrices."""
    adamw_lr: float = 1e-3
    """Peak learning rate of embeddings, biases and norms."""
    weight_decay: float = 0.01
    """Weight decay of all matrices."""
    held_out: int = 1_000
    """Proteins kept for the held-out perplexity."""
    evaluate_every: int = 500
    """Steps between evaluations, which also save the state."""
    seed: int = 0
    """Seed of weights, held-out proteins and draws."""

    @property
    def architecture(self) -> Architecture:
        """The model's shape, with ESM-2's token dropout."""
        return Architecture(self.n_layers, self.d_model, self.n_heads)

    def rate(self, step: int) -> float:
        """The learning rate at a step as a share of its peak."""
        return min(
            1.0, (step + 1) / self.warmup_steps, (self.steps - step) / max(1, self.decay_steps)
        )


def pretrain(
    proteins: Proteins, config: PretrainConfig, folder: Path, device: str = "auto"
) -> Path:
    """Train a model, or resume from `folder/state.pt`.

    Training runs in bfloat16 autocast; weights and optimizer are float32.

    Parameters
    ----------
    proteins
        Training and held-out proteins.
    config
        Settings.
    folder
        Where `model.safetensors` (float16), `config.json`, `training.json` and `log.jsonl` go.
    device
        "auto": CUDA, then MPS, then the CPU.

    Returns
    -------
    Path
        The folder, which `esm2.load` reads.

    Raises
    ------
    ValueError
        If the folder has a run with other settings or proteins.
    FloatingPointError
        If the loss is not finite.
    """
    at = choose_device(device)
    corpus = Corpus(proteins, config.crop, config.batch_tokens, config.held_out, config.seed, at)
    training = _Training(config, json_hash([asdict(config), proteins.sequence_hash]), at)
    training.resume(folder / "state.pt")
    with progress_bar(
        total=config.steps, initial=training.step, desc="pretraining", unit=" steps"
    ) as bar:
        for row in training.run(corpus, bar):
            _append(row, folder / "log.jsonl")
            training.save(folder / "state.pt")
            bar.set_postfix(perplexity=row["held_out_masked_perplexity"])
    training.export(folder, corpus)
    return folder


def initial_weights(architecture: Architecture, seed: int) -> dict[str, Tensor]:
    """float32 weights under fair-esm's names.

    Matrices are Xavier-uniform (gain 1/sqrt 2), norms 1, biases 0, embeddings N(0, 0.02).
    """
    g = torch.Generator().manual_seed(seed)
    d, weights = architecture.d_model, {}

    def linear(name: str, d_in: int, d_out: int) -> None:
        """Add a linear map: a Xavier-uniform weight [d_out, d_in] and a bias of 0."""
        bound = math.sqrt(6 / (d_in + d_out)) / math.sqrt(2)
        weights[f"{name}.weight"] = (torch.rand(d_out, d_in, generator=g) * 2 - 1) * bound
        weights[f"{name}.bias"] = torch.zeros(d_out)

    def norm(name: str) -> None:
        """Add a layer norm [d_model]: a weight of 1 and a bias of 0."""
        weights[f"{name}.weight"], weights[f"{name}.bias"] = torch.ones(d), torch.zeros(d)

    weights["embed_tokens.weight"] = torch.randn(len(ALPHABET), d, generator=g) * 0.02
    weights["embed_tokens.weight"][PAD] = 0
    for layer in range(architecture.n_layers):
        for projection in ("q_proj", "k_proj", "v_proj", "out_proj"):
            linear(f"layers.{layer}.self_attn.{projection}", d, d)
        linear(f"layers.{layer}.fc1", d, 4 * d)
        linear(f"layers.{layer}.fc2", 4 * d, d)
        norm(f"layers.{layer}.self_attn_layer_norm")
        norm(f"layers.{layer}.final_layer_norm")
    linear("lm_head.dense", d, d)
    norm("lm_head.layer_norm")
    norm("emb_layer_norm_after")
    weights["lm_head.bias"] = torch.zeros(len(ALPHABET))
    return weights


class _Training:
    """Weights, optimizers, generator and counters: the state of a run."""

    def __init__(self, config: PretrainConfig, key: str, device: torch.device) -> None:
        self.config, self.key, self.device = config, key, device
        self.weights = {
            k: v.to(device).requires_grad_()
            for k, v in initial_weights(config.architecture, config.seed).items()
        }
        self.optimizers = _optimizers(self.weights, config)
        self.generator = torch.Generator(device).manual_seed(config.seed)
        self.step = self.seen = 0

    def run(self, corpus: Corpus, bar: Any) -> Iterator[dict[str, Any]]:
        """Train to the end; yields a row of the log after each evaluation."""
        begun, seen = time.monotonic(), self.seen
        while self.step < self.config.steps:
            loss = self._one_step(corpus)
            bar.update()
            if self.step % self.config.evaluate_every == 0 or self.step == self.config.steps:
                if not math.isfinite(loss):
                    raise FloatingPointError(
                        f"the loss is {loss} at step {self.step}; lower muon_lr and adamw_lr and "
                        "begin in a new folder"
                    )
                rate = (self.seen - seen) / (time.monotonic() - begun)
                yield {
                    "step": self.step,
                    "residues_seen": self.seen,
                    "train_loss": round(loss, 4),
                    "held_out_masked_perplexity": round(self.perplexity(corpus), 4),
                    "residues_per_second": round(rate),
                }
                begun, seen = time.monotonic(), self.seen

    def _one_step(self, corpus: Corpus) -> float:
        share = self.config.rate(self.step)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * share
            optimizer.zero_grad()
        tokens = corpus.draw(self.generator)
        loss, n = self._loss(*corrupted(tokens, self.generator), tokens)
        (loss / max(1, n)).backward()
        torch.nn.utils.clip_grad_norm_(self.weights.values(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        self.step += 1
        self.seen += int((tokens != PAD).sum()) - 2 * len(tokens)
        return float(loss.detach()) / max(1, n)

    def _loss(self, shown: Tensor, chosen: Tensor, tokens: Tensor) -> tuple[Tensor, int]:
        """Cross-entropy summed over the chosen residues, and their number."""
        plm = ESM2(self.weights, self.config.architecture, MINI, "in training", self.device)
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            logits = plm.forward(shown, logits=True).logits
        assert logits is not None
        return F.cross_entropy(logits[chosen].float(), tokens[chosen], reduction="sum"), int(
            chosen.sum()
        )

    @torch.no_grad()
    def perplexity(self, corpus: Corpus) -> float:
        """exp of the mean cross-entropy of masked residues in held-out proteins.

        Crops and masks are the same every time.
        """
        g = torch.Generator(self.device).manual_seed(1)
        parts = [corpus.crops(part, self.config.crop, g) for part in corpus.held_out.split(64)]
        losses = [self._loss(*masked(tokens, g), tokens) for tokens in parts]
        return math.exp(sum(float(loss) for loss, _ in losses) / sum(n for _, n in losses))

    def save(self, path: Path) -> None:
        """Write what `resume` reads, atomically."""
        state = {
            "key": self.key,
            "weights": {k: v.detach() for k, v in self.weights.items()},
            "optimizers": [o.state_dict() for o in self.optimizers],
            "generator": self.generator.get_state(),
            "step": self.step,
            "seen": self.seen,
        }
        with atomic_path(path) as draft:
            torch.save(state, draft)

    def resume(self, path: Path) -> None:
        """Go on from a saved state, if there is one; ValueError for one of another training."""
        if not path.exists():
            return
        state = torch.load(path, map_location="cpu", weights_only=True)
        if state["key"] != self.key:
            raise ValueError(
                f"{path} is of another configuration or other proteins; give a new folder, or "
                "remove it to begin again"
            )
        with torch.no_grad():
            for name, weight in self.weights.items():
                weight.copy_(state["weights"][name])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.generator.set_state(state["generator"])
        self.step, self.seen = state["step"], state["seen"]
        log.info("resuming at step %d", self.step)

    def export(self, folder: Path, corpus: Corpus) -> None:
        """Write what `esm2.load(folder)` reads, and `training.json`, the model card's figures."""
        weights = {k: v.detach().cpu() for k, v in self.weights.items()}
        write_safetensors(weights, self.config.architecture, MINI, folder)
        figures = {
            "steps": self.step,
            "residues_seen": self.seen,
            "held_out_masked_perplexity": round(self.perplexity(corpus), 4),
            "unigram_perplexity": round(corpus.unigram_perplexity(), 4),
        }
        write_json(
            {"type": "Pretraining", "version": 1, "recipe": asdict(self.config), **figures},
            folder / "training.json",
        )


def _optimizers(weights: dict[str, Tensor], config: PretrainConfig) -> list[torch.optim.Optimizer]:
    hidden = [w for name, w in weights.items() if w.ndim == 2 and name.startswith("layers.")]
    other = [w for name, w in weights.items() if w.ndim == 2 and not name.startswith("layers.")]
    flat = [w for w in weights.values() if w.ndim == 1]
    muon = torch.optim.Muon(
        [{"params": hidden, "peak": config.muon_lr}],
        lr=config.muon_lr,
        weight_decay=config.weight_decay,
        momentum=0.95,
    )
    groups = [
        {"params": other, "weight_decay": config.weight_decay},
        {"params": flat, "weight_decay": 0.0},
    ]
    adamw = torch.optim.AdamW(
        [{**g, "peak": config.adamw_lr} for g in groups],
        lr=config.adamw_lr,
        betas=(0.9, 0.98),
        eps=1e-8,
        fused=True,
    )
    return [muon, adamw]


def _append(row: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(row) + "\n")
