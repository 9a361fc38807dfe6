"""Where a shard is tried again: never a second time on a bad worker while there are others."""

from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.scale.tries import MOST_TRIES, PAUSE, Tries

WORKERS = ["tcp://a", "tcp://b", "tcp://c"]


def test_a_worker_that_fails_again_and_again_is_left_out() -> None:
    tries = Tries()
    assert tries.allowed(0, WORKERS) == frozenset()  # any
    for shard in range(MOST_TRIES):
        tries.failed(shard, "tcp://a")
    assert tries.allowed(99, WORKERS) == {"tcp://b", "tcp://c"}
    assert tries.allowed(99, ["tcp://a"]) == frozenset()  # there is no other
    assert tries.allowed(99, ["tcp://a", "tcp://d"]) == {"tcp://d"}


def test_it_waits_only_where_it_failed() -> None:
    tries = Tries()
    assert tries.pause(0, frozenset()) == 0
    tries.failed(0, "tcp://a")
    assert tries.pause(0, tries.allowed(0, WORKERS)) == 0
    assert tries.pause(0, tries.allowed(0, ["tcp://a"])) == PAUSE
    tries.failed(0, "tcp://a")
    assert tries.pause(0, tries.allowed(0, ["tcp://a"])) == 2 * PAUSE
    tries.failed(1)  # its scheduler went
    assert tries.pause(1, frozenset()) == 0


@given(
    failures=st.lists(
        st.tuples(st.integers(0, 4), st.sampled_from(["", *WORKERS])), max_size=MOST_TRIES * 6
    ),
    there=st.sets(st.sampled_from(WORKERS), min_size=1),
)
def test_allowed_as_defined(failures: list[tuple[int, str]], there: set[str]) -> None:
    tries = Tries()
    for shard, worker in failures:
        tries.failed(shard, worker)
    for shard in range(5):
        fails = [w for s, w in failures if s == shard]
        assert tries.over(shard) == (len(fails) >= MOST_TRIES)
        bad = {w for w in WORKERS if [f[1] for f in failures].count(w) >= MOST_TRIES}
        good = there - bad - set(fails)
        assert tries.allowed(shard, there) == (set() if good == there else good)
