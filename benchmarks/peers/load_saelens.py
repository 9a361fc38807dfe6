"""Encode x with an SAE read by SAELens' own loader.

    python -m benchmarks.peers.load_saelens FOLDER x.npy out.npz

out.npz holds `features` [n, d_sae] and `x_hat` [n, d_in], float32, of x [n, d_in]. All rows are
encoded at once, so give it a few thousand.
"""

# What SAELens 6.54.12 writes and reads: cfg.json + sae_weights.safetensors, without safetensors
# metadata.
#
# cfg.json, all architectures (defaults in brackets): architecture, d_in, d_sae, dtype ("float32"),
#   device ("cpu"), apply_b_dec_to_input (true), normalize_activations ("none"),
#   reshape_activations ("none"), metadata {sae_lens_version, sae_lens_training_version,
#   training_architecture, training_architecture_details {...}, l0, num_dead_features, and any
#   further keys that JSON takes}. Refused without architecture, d_in, d_sae or dtype. The loader's
#   argument overrides device; unknown keys are dropped. Without metadata.sae_lens_version of 6 or
#   newer the file counts as old: metadata is rebuilt from known top-level keys, the rest is lost.
# tensors, all: W_enc [d_in, d_sae], W_dec [d_sae, d_in], b_dec [d_in], cast to cfg's dtype; missing
#   or further ones are refused. And by architecture, with h = (x - b_dec) @ W_enc + b_enc:
#   standard   b_enc [d_sae];  f = relu(h)
#   jumprelu   b_enc, threshold [d_sae];  f = relu(h) where h > threshold, else 0
#   gated      b_gate, b_mag, r_mag [d_sae], no b_enc;
#              f = relu((x - b_dec) @ (W_enc * exp(r_mag)) + b_mag)
#              where (x - b_dec) @ W_enc + b_gate > 0, else 0
#   topk       b_enc; cfg also k (100) and rescale_acts_by_decoder_norm (false);
#              f = relu of the k largest of h; with rescaling, of h * norm(W_dec rows), and decode
#              divides f by it
#   batchtopk, matryoshka_batchtopk: saved for inference as jumprelu, W_dec's rows of norm 1
#              (folded), one threshold repeated; metadata.training_architecture has the origin. A
#              training checkpoint of theirs (save_model; topk_threshold, float64 scalar) is read by
#              TrainingSAE only.
# x_hat = f @ W_dec + b_dec in all. apply_b_dec_to_input false: h is computed from x, not x - b_dec.
# topk for inference: norms are folded into W_enc, b_enc (rows of W_dec have norm 1);
#   rescale_acts_by_decoder_norm stays true and changes nothing.
# normalize_activations: "expected_average_only_in" and "covariance_whitening" are folded into the
#   weights when training ends, and "none" is written; the loader ignores them in a file.
#   "layer_norm": x -> (x - mean) / (std + 1e-5) over d_in, std with n - 1, x_hat -> x_hat * std +
#   mean; "constant_norm_rescale": x -> x * sqrt(d_in) / norm(x), x_hat -> x_hat / the same; both
#   before b_dec is subtracted.

import argparse
from pathlib import Path

import numpy as np
import torch
from sae_lens import SAE  # pyright: ignore[reportMissingImports]

from benchmarks.peers.batches import rows


@torch.no_grad()
def main() -> None:
    """Write what SAELens' encode and decode give."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name, what in (
        ("folder", "cfg.json and sae_weights.safetensors"),
        ("x", "a .npy of float32 [n, d_in]"),
        ("out", "a .npz"),
    ):
        parser.add_argument(name, type=Path, help=what)
    args = parser.parse_args()
    sae = SAE.load_from_disk(args.folder, device="cpu")
    features = sae.encode(torch.from_numpy(rows(args.x).copy()))
    np.savez(args.out, features=features.numpy(), x_hat=sae.decode(features).numpy())


if __name__ == "__main__":
    main()
