"""A run in an object store: requests, bytes and seconds, at moto's S3 server on loopback.

One feature of activation stores of growing size, opened in the store and read; the footer that
100 M residues with 64 of 10,240 features each would have; one shard of embeddings; a push and a
pull. There is no other side to run; the goal of requests is a bound that does not grow.
"""

import os
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import sparse

from benchmarks.harness import Figure, seconds
from interplm_nb.activations import FeatureActivations
from interplm_nb.activations_writer import _LAYOUT, SCHEMA, ActivationsWriter
from interplm_nb.embeddings import Embeddings
from interplm_nb.proteins import Proteins
from interplm_nb.remote import mirror
from interplm_nb.remote.pull import found_index, pull
from interplm_nb.remote.push import push
from interplm_nb.remote.store import Store
from tests.remote.s3_server import BUCKET, Proxy, s3_server

SIZES = (62_500, 250_000, 1_000_000)
D_SAE, L0 = 10_240, 64
REQUESTS = 3
GROUPS_OF_100_M = -(-100_000_000 * L0 // 262_144)


def run() -> list[Figure]:
    """Figures of every size; the table of `docs/cluster/object-stores.md` is printed."""
    with tempfile.TemporaryDirectory() as name, s3_server() as proxy:
        os.environ |= {
            "AWS_ENDPOINT_URL": proxy.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "XDG_CACHE_HOME": f"{name}/cache",
        }
        found = [_feature(Path(name) / str(n), n, proxy) for n in SIZES]
        _shard(Path(name) / "embedded", proxy)
        _footer(Path(name) / "groups.parquet")
    return found


def _feature(folder: Path, n_residues: int, proxy: Proxy) -> Figure:
    proteins = _activations(folder / "activations", n_residues)
    (folder / "run.json").write_text("{}")
    table = folder / "activations" / "by_feature.parquet"
    store = Store(f"s3://{BUCKET}/{n_residues}")
    proxy.seen.clear()
    pushed = seconds(lambda: push(folder, store))
    sent = len(proxy.seen)
    proxy.seen.clear()
    copy = folder.with_name(f"{folder.name}_copy")
    pulled = seconds(lambda: pull(store, found_index(store), copy))
    print(
        f"  {n_residues:,} residues, {_size(folder):,} bytes: push {sent} requests, "
        f"{pushed:.1f} s; pull {len(proxy.seen)} requests, {pulled:.1f} s"
    )
    opened = mirror.opened(store.url)
    there = mirror.mirror_of(opened)
    assert there is not None
    activations = FeatureActivations.open(opened / "activations", proteins, there.bytes_of)
    for feature in (5_000, 9_000):
        proxy.seen.clear()
        took = seconds(lambda feature=feature: activations.feature(feature))
        moved = sum(_length(r.range) for r in proxy.seen)
        print(
            f"    feature {feature} of {table.stat().st_size:,} bytes in "
            f"{pq.read_metadata(table).num_row_groups} groups (footer "
            f"{pq.read_metadata(table).serialized_size:,}): {len(proxy.seen)} requests, "
            f"{moved:,} bytes, {took:.3f} s"
        )
        if feature == 5_000:
            first = len(proxy.seen)
    name = f"stores: one feature of {n_residues:,} residues"
    return Figure.within(name, first, REQUESTS, "requests")


def _shard(folder: Path, proxy: Proxy) -> None:
    rng = np.random.default_rng(0)
    proteins = Proteins.from_sequences({f"P{i}": "A" * 500 for i in range(210)})
    arrays = {a: rng.random((500, 320), np.float32) for a in proteins.accessions}
    Embeddings.from_arrays(folder / "embeddings" / "layer_03", proteins, arrays, "p", 3)
    (folder / "run.json").write_text("{}")
    store = Store(f"s3://{BUCKET}/embedded")
    push(folder, store)
    opened = mirror.opened(store.url)
    there = mirror.mirror_of(opened)
    assert there is not None
    embeddings = Embeddings.open(opened / "embeddings" / "layer_03", there.bring)
    proxy.seen.clear()
    took = seconds(lambda: embeddings[0:100])
    size = sum(_length(r.range) for r in proxy.seen)
    print(f"  one shard of embeddings: {len(proxy.seen)} requests, {size:,} bytes, {took:.2f} s")


def _footer(path: Path) -> None:
    """The footer of a table of as many row groups, each of one entry."""
    table = pa.table([pa.array([i], t.type) for i, t in enumerate(SCHEMA)], schema=SCHEMA)
    with pq.ParquetWriter(path, SCHEMA, **_LAYOUT) as writer:
        for _ in range(GROUPS_OF_100_M):
            writer.write_table(table)
    size = int.from_bytes(path.read_bytes()[-8:-4], "little")
    took = seconds(lambda: pq.ParquetFile(path))
    print(
        f"  footer of {GROUPS_OF_100_M:,} row groups: {size:,} bytes, "
        f"{size / GROUPS_OF_100_M:.0f} per group, parsed in {took:.2f} s"
    )


def _activations(folder: Path, n_residues: int) -> Proteins:
    """`L0` random features of `D_SAE` on every residue."""
    rng = np.random.default_rng(0)
    proteins = Proteins.from_sequences({f"P{i}": "A" * 500 for i in range(n_residues // 500)})
    with ActivationsWriter(folder, proteins, D_SAE, {"plm": "p", "layer": 1}) as writer:
        for first in range(0, n_residues, 20_000):
            n = min(20_000, n_residues - first)
            rows = np.repeat(np.arange(n), L0)
            features = (np.arange(n * L0) % L0) * (D_SAE // L0) + rng.integers(
                0, D_SAE // L0, n * L0
            )
            values = rng.random(n * L0, np.float32) + 0.5
            writer.write(first, sparse.csr_array((values, (rows, features)), shape=(n, D_SAE)))
        writer.finish()
    return proteins


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _length(asked: str) -> int:
    first, _, last = asked.removeprefix("bytes=").partition("-")
    return int(last) - int(first) + 1 if last else 0
