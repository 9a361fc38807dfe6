"""What people read and see of each scored source: its name, colour and mark."""

COLOURS = {
    "sae": "#0072B2", "neurons": "#E69F00", "pca": "#009E73", "ica": "#56B4E9", "shuffled_sae": "#6F6F6F", "random_sae": "#CC79A7",
    "linear_probe": "#D55E00",
}  # fmt: skip
"""Okabe and Ito's palette, which readers of every colour vision tell apart."""

NAMES = {
    "sae": "SAE", "neurons": "neurons", "pca": "PCA", "ica": "ICA", "shuffled_sae": "shuffled PLM", "random_sae": "random SAE",
    "linear_probe": "linear probe",
}  # fmt: skip

MARKERS = {
    "linear_probe": "|",
    "random_sae": "v",
    "shuffled_sae": "^",
    "ica": "P",
    "pca": "D",
    "neurons": "s",
    "sae": "o",
}
"""In the order in which they are drawn: the SAE over the rest."""
