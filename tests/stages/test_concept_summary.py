"""What the sentence under a table of sources says, on made-up intervals."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.concepts.controls.seeds import stacked
from interplm_nb.concepts.intervals import ClusterCounts, difference, draws_of_clusters, interval
from interplm_nb.pipeline.scored_sources import SOURCES, scored_source
from interplm_nb.stages.concept_summary import verdict

OTHERS = [source for source in SOURCES if source != "sae"]


def said(**intervals: tuple[float, float]) -> str:
    low, high = zip(*intervals.values(), strict=True)
    return verdict(pl.DataFrame({"control": list(intervals), "low": low, "high": high}), seeds=1)


def test_control_by_control() -> None:
    assert said(
        neurons=(0.01, 0.02),
        pca=(0.001, 0.3),
        ica=(-0.01, 0.02),
        random_sae=(-0.3, -0.01),
        window_3=(0.1, 0.2),
        linear_probe=(-0.2, -0.1),
    ) == (
        "The SAE's mean best F1 is better than that of the model's neurons and the principal "
        "components, not distinguishable from that of the independent components, and worse than "
        "that of the random SAE (mean of 3 seeds); compared with references trained with the "
        "labels, it is better than that of the probe of the letters within 3 residues, and worse "
        "than that of the linear probe (intervals of the paired differences: 95 % over test "
        "clusters, not seeds)."
    )


def test_several_seeds_of_the_sae_are_said() -> None:
    found = pl.DataFrame({"control": ["pca"], "low": [0.01], "high": [0.02]})
    assert verdict(found, seeds=3).startswith(
        "The SAE's mean best F1 (mean of 3 seeds) is better than that of the principal components ("
    )


def test_references_alone_and_nothing() -> None:
    assert said(linear_probe=(-1, 1)).startswith(
        "Compared with references trained with the labels, the SAE's mean best F1 is not "
        "distinguishable from that of the linear probe ("
    )
    empty = pl.DataFrame(schema={"control": pl.String, "low": float, "high": float})
    assert verdict(empty, seeds=3) == ""


BOUNDS = st.tuples(
    st.sampled_from([-0.2, -0.1, 0.0]), st.sampled_from([-0.05, 0.0, 0.1])
) | st.just((0.02, 0.2))


@given(st.dictionaries(st.sampled_from(OTHERS), BOUNDS, min_size=1))
def test_only_an_interval_that_excludes_0_is_a_difference(intervals) -> None:
    text = said(**intervals)
    phrases = {"better than": [], "not distinguishable from": [], "worse than": []}
    for part in text.split(" (intervals")[0].split(";"):
        places = sorted((part.index(words), words) for words in phrases if words in part)
        ends = [place for place, _ in places[1:]] + [len(part)]
        for (start, words), end in zip(places, ends, strict=True):
            phrases[words].append(part[start:end])
    for source, (low, high) in intervals.items():
        words = (
            "better than" if low > 0 else "worse than" if high < 0 else "not distinguishable from"
        )
        name = scored_source(source).words
        assert any(name in phrase for phrase in phrases[words])
    assert "every control" not in text


def made(rng: np.random.Generator) -> ClusterCounts:
    """Counts of four concepts, two of each level, over five clusters."""
    sizes = np.random.default_rng(0).integers(0, 4, (4, 5))
    sizes[:, 0] = 3
    level = np.array([True, False, True, False])
    hits = rng.integers(0, sizes + 1)
    active = hits + rng.integers(0, 5, (4, 5))
    features = tuple(rng.integers(0, 9, 4).tolist())
    instances = np.where(level[:, None], 0, sizes)
    return ClusterCounts(("a", "b", "c", "d"), features, (3, 5, 6, 8, 9), level, hits, active,
                         np.where(level[:, None], 0, hits), sizes, instances)  # fmt: skip


@given(st.integers(0, 2**31))
def test_stacked_seeds_are_averaged_within_each_resample(seed: int) -> None:
    rng = np.random.default_rng(seed)
    seeds, sae = [made(rng) for _ in range(3)], made(rng)
    draws = draws_of_clusters(5, 20, 4)
    every = np.array([[one.mean_f1_per_domain(row[None])[0] for row in draws] for one in seeds])
    whole = np.mean([one.mean_f1_per_domain(np.ones((1, 5)))[0] for one in seeds])
    found = interval(stacked(seeds), 20, 4)
    wanted = (whole, *np.quantile(every.mean(axis=0), [0.025, 0.975]))
    assert (found.estimate, found.low, found.high) == pytest.approx(wanted)
    apart = difference(sae, stacked(seeds), 20, 4)
    drawn = sae.mean_f1_per_domain(draws) - every.mean(axis=0)
    assert (apart.low, apart.high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])))
    assert stacked(seeds).features[:3] == tuple(one.features[0] for one in seeds)


def test_seeds_on_other_clusters_are_refused() -> None:
    one = made(np.random.default_rng(0))
    other = ClusterCounts(**{**vars(one), "clusters": (0, 1, 2, 3, 4)})
    with pytest.raises(ValueError, match="same concepts and clusters, not 4 and 4 concepts, 5 and"):
        stacked([one, other])
