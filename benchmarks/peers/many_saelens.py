"""Train TopK SAEs of all layers from one pass with SAELens' `MultiSAETrainingRunner`.

    python -m benchmarks.peers.many_saelens pieces.txt --k 8 16 32 64 ...

It runs causal language models of TransformerLens only, so its model is a stand-in: a
HookedTransformer with random weights at ESM-2 8M's shape (6 layers, width 320, 20 heads, 1,280
units between), whose vocabulary are the amino acids. Each piece is a row of an in-memory dataset of
tokens; nothing is added to it. lr and k are given, and the buffer; all else is as SAELens ships it,
as in `train_saelens`: half of the buffer is kept for mixing, activations are dense, batches are not
fetched ahead. Nothing is logged, saved or evaluated. The batches of the first buffer are not timed.
"""

import argparse

import torch
from datasets import Dataset  # pyright: ignore[reportMissingImports]
from sae_lens import (  # pyright: ignore[reportMissingImports]
    LoggingConfig,
    TopKTrainingSAEConfig,
    __version__,
)
from sae_lens.multi_sae_training_runner import (  # pyright: ignore[reportMissingImports]
    MultiSAETrainingRunner,
    MultiSAETrainingRunnerConfig,
)
from torch import Tensor
from transformer_lens import (  # pyright: ignore[reportMissingImports]
    HookedTransformer,
    HookedTransformerConfig,
)

from benchmarks.peers import many
from benchmarks.peers.batches import Measured

_ID = {letter: i for i, letter in enumerate(many.LETTERS)}


def main() -> None:
    """Train, print one line of JSON."""
    args = many.arguments(__doc__)
    torch.manual_seed(args.seed)
    trained, held_out = many.pieces(args)
    rows = Dataset.from_dict({"tokens": [_tokens(piece) for piece in trained]})
    model = _model()
    runner = MultiSAETrainingRunner(
        _config(args), override_dataset=rows.shuffle(args.seed), override_model=model
    )
    store = runner.activations_store
    measured = Measured(store.get_multi_hook_data_loader(), warm_up=many.BUFFER)
    store.get_multi_hook_data_loader = lambda: measured
    with measured:
        saes = runner.run()
    reconstruct = {
        (layer, k): (lambda x, sae=saes[f"{layer}_{k}"]: sae.decode(sae.encode(x)))
        for layer in range(1, many.N_LAYERS + 1)
        for k in args.k
    }
    many.report("sae_lens", __version__, args, measured, _at(model, held_out), reconstruct)


def _tokens(piece: str) -> list[int]:
    return [_ID[letter] for letter in piece]


def _hook(layer: int) -> str:
    return f"blocks.{layer - 1}.hook_resid_post"


def _model() -> HookedTransformer:
    config = HookedTransformerConfig(
        n_layers=many.N_LAYERS,
        d_model=many.D_IN,
        n_heads=many.N_HEADS,
        d_head=many.D_IN // many.N_HEADS,
        d_mlp=4 * many.D_IN,
        n_ctx=many.LENGTH,
        d_vocab=len(many.LETTERS),
        act_fn="gelu",
        normalization_type="LN",
        device="cpu",
        seed=0,
    )
    return HookedTransformer(config)


def _config(args: argparse.Namespace) -> MultiSAETrainingRunnerConfig:
    names = {f"{layer}_{k}": (layer, k) for layer in range(1, many.N_LAYERS + 1) for k in args.k}
    buffer = many.BUFFER * args.batch_size
    return MultiSAETrainingRunnerConfig(
        saes={
            name: TopKTrainingSAEConfig(d_in=many.D_IN, d_sae=args.d_sae, k=k)
            for name, (_, k) in names.items()
        },
        hook_names={name: _hook(layer) for name, (layer, _) in names.items()},
        context_size=many.LENGTH,
        n_batches_in_buffer=buffer // many.LENGTH,
        training_tokens=args.steps * args.batch_size,
        store_batch_size_prompts=args.batch_size // many.LENGTH,
        train_batch_size_tokens=args.batch_size,
        prepend_bos=False,
        lr=args.lr,
        lr_end=args.lr / 10,  # SAETrainer refuses None; a constant schedule does not read it
        seed=args.seed,
        logger=LoggingConfig(log_to_wandb=False),
        checkpoint_path=None,
        output_path=None,
    )


@torch.no_grad()
def _at(model: HookedTransformer, pieces: list[str]) -> dict[int, Tensor]:
    hooks = {layer: _hook(layer) for layer in range(1, many.N_LAYERS + 1)}
    tokens = torch.tensor([_tokens(piece) for piece in pieces])
    cache = model.run_with_cache(tokens, names_filter=list(hooks.values()))[1]
    return {layer: cache[hook].reshape(-1, many.D_IN) for layer, hook in hooks.items()}


if __name__ == "__main__":
    main()
