import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csc_array

from interplm_nb.features.spans import spans


def plain(values, features, thresholds, offsets):
    """Every stretch by walking along every protein: item, protein, start, end, position of the
    maximum, maximum, mean.
    """
    found = []
    for item, (feature, threshold) in enumerate(zip(features, thresholds, strict=True)):
        for protein in range(len(offsets) - 1):
            own = values[offsets[protein] : offsets[protein + 1], feature]
            p = 0
            while p < len(own):
                end = p
                while end < len(own) and own[end] > np.float32(threshold):
                    end += 1
                if end > p:
                    stretch = own[p:end]
                    found.append(
                        (
                            item,
                            protein,
                            p + 1,
                            end,
                            p + 1 + int(stretch.argmax()),
                            stretch.max(),
                            stretch.mean(dtype=np.float64),
                        )
                    )
                p = max(end, p + 1)
    return found


@st.composite
def cases(draw):
    lengths = draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    n_features = draw(st.integers(1, 3))
    cells = draw(
        st.lists(
            st.sampled_from([0, 0.1, 0.15, 0.5, 0.5, 1.2]),
            min_size=sum(lengths) * n_features,
            max_size=sum(lengths) * n_features,
        )
    )
    items = draw(
        st.lists(
            st.tuples(st.integers(0, n_features - 1), st.sampled_from([0.0, 0.15, 0.5])), max_size=5
        )
    )
    return (
        np.array(cells, np.float32).reshape(-1, n_features),
        items,
        np.concatenate([[0], np.cumsum(lengths)]),
    )


@given(cases())
def test_stretches_are_those_that_one_walks_into(case):
    values, items, offsets = case
    features, thresholds = (
        np.array([f for f, _ in items], np.int64),
        np.array([t for _, t in items]),
    )
    found = spans(csc_array(values), features, thresholds, offsets)
    means = found.mean(found.values)
    rows = list(
        zip(
            found.item,
            found.protein,
            found.start,
            found.end,
            found.position,
            found.maximum,
            means,
            strict=True,
        )
    )
    wanted = plain(values, features, thresholds, offsets)
    assert [row[:6] for row in rows] == [row[:6] for row in wanted]
    np.testing.assert_allclose(means, [row[6] for row in wanted], rtol=1e-6)
    assert found.largest(found.values).tolist() == found.maximum.tolist()
