"""How well a place of a sequence fits a motif: log odds of its letters against the background."""

import numpy as np

from interplm_nb.features.logos import amino_acid_of


def log_odds(counts: np.ndarray, background: np.ndarray) -> np.ndarray:
    """float64 [L, 21], bits: log2 of each letter's frequency over the background.

    In a column of n letters the frequency of letter a is (n_a + sqrt(n) b_a) / (n + sqrt(n)). The
    last letter has 0: anything that is not a standard amino acid, or is beyond the ends of a
    protein. So has an amino acid that the background lacks.

    Parameters
    ----------
    counts : np.ndarray
        int64 [L, 20], such as `motifs.Motif.counts`.
    background : np.ndarray
        float64 [20], adds up to 1.

    Examples
    --------
    >>> counts = np.zeros((1, 20), int)
    >>> counts[0, 0] = 4  # four sites with A
    >>> log_odds(counts, np.full(20, 0.05))[0, [0, 1, 20]].round(2).tolist()
    [3.77, -1.58, 0.0]
    """
    n = counts.sum(axis=1, keepdims=True)
    # A column without a letter has the background's frequencies.
    added = np.sqrt(np.maximum(n, 1))
    share = np.divide(counts, background, out=np.ones(counts.shape), where=background > 0)
    ratio = np.where(background > 0, (share + added) / (n + added), 1.0)
    return np.concatenate([np.log2(ratio), np.zeros((len(counts), 1))], axis=1)


def along(odds: np.ndarray, letters: str) -> np.ndarray:
    """float64 [length], bits: the `log_odds` of the window around each letter, summed.

    >>> along(np.eye(3, 21), "AAC").tolist()  # A before, C here, D behind
    [0.0, 1.0, 2.0]
    """
    width = len(odds)
    code = amino_acid_of(np.frombuffer(letters.encode("ascii"), np.uint8))
    padded = np.full(len(code) + width - 1, -1)
    padded[width // 2 : width // 2 + len(code)] = code
    fits = odds.take(padded, axis=1)
    return np.sum([row[j : j + len(code)] for j, row in enumerate(fits)], axis=0)
