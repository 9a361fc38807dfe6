"""Trackers log what training logs: into an offline W&B run and into TensorBoard's event files, each
read back by its own package."""

import json
from pathlib import Path

import pytest

from tests.peers.environment import NEEDS_PEERS, peers_python

pytestmark = NEEDS_PEERS

LOG = """
import json, sys
from interplm_nb.sae.training.trackers import TensorBoard, WandB
folder = sys.argv[1]
line = {"loss": 2.5, "fvu": 0.25, "l0": 16, "silent_in_window": 0.5}
line |= {"lr": 1e-4, "tokens_per_second": 1e5}
line["density"] = [3, 0, 0, 0, 1, 2, 2]
"""

TENSORBOARD = (
    LOG
    + """
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
with TensorBoard(folder) as log:
    for step in (10, 20):
        for sae in ("one", "other"):
            log({"sae": sae, "step": step, **line, "fvu": 1 / step})
    log({"sae": "one", "step": 20, "loss_recovered": 0.75})
found = {}
for sae in ("one", "other"):
    events = EventAccumulator(f"{folder}/{sae}", size_guidance={"histograms": 0, "scalars": 0})
    events.Reload()
    tags = events.Tags()["scalars"]
    found[sae] = {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in tags}
    (first, _) = events.Histograms("density")
    found[sae]["density"] = [first.histogram_value.bucket_limit, first.histogram_value.bucket]
print("FOUND" + json.dumps(found))
"""
)

WANDB = (
    LOG
    + """
import struct
import wandb
from pathlib import Path
from wandb.proto.wandb_internal_pb2 import Record
with WandB("interplm-test", mode="offline", dir=folder, name="tiny") as log:
    for step in (10, 20):
        for sae in ("one", "other"):
            log({"sae": sae, "step": step, **line})
wandb.teardown()  # as at the end of a process: its service has then written the whole file
(path,) = Path(folder).rglob("*.wandb")
data, at, parts, rows = path.read_bytes(), 7, [], []
assert data.startswith(b":W&B")
# LevelDB's log: blocks of 32 KiB, in them (crc32, length, kind) and a record or a part of one.
while at + 7 <= len(data):
    if 32768 - at % 32768 < 7:
        at += 32768 - at % 32768
        continue
    length, kind = struct.unpack("<HB", data[at + 4 : at + 7])
    parts.append(data[at + 7 : at + 7 + length])
    at += 7 + length
    if kind in (1, 4):
        record = Record()
        record.ParseFromString(b"".join(parts))
        parts = []
        if record.HasField("history"):
            rows.append({
                item.key or "/".join(item.nested_key): json.loads(item.value_json)
                for item in record.history.item
            })
print("FOUND" + json.dumps(rows))
"""
)


def ran(code: str, folder: Path) -> object:
    """What the script found; nothing leaves this computer."""
    quiet = {
        "WANDB_MODE": "offline",
        "WANDB_SILENT": "true",
        "WANDB_DIR": str(folder),
        "WANDB_CONFIG_DIR": str(folder),
    }
    printed = peers_python("-c", code, folder, **quiet).splitlines()
    return json.loads(next(text for text in printed if text.startswith("FOUND"))[5:])


def test_tensorboard_reads_back_every_number_at_its_step(tmp_path):
    found = ran(TENSORBOARD, tmp_path)
    assert found["other"]["fvu"] == [[10, pytest.approx(0.1)], [20, pytest.approx(0.05)]]
    assert found["one"]["loss_recovered"] == [[20, 0.75]]
    assert set(found["other"]) == {
        "loss",
        "fvu",
        "l0",
        "silent_in_window",
        "lr",
        "tokens_per_second",
        "density",
    }
    limits, counts = found["one"][
        "density"
    ]  # over log10 of the share of residues: silent below -6, ..., more than a tenth up to 0
    assert dict(zip(limits, counts, strict=True)) == {
        -6: 3,
        -5: 0,
        -4: 0,
        -3: 0,
        -2: 1,
        -1: 2,
        0: 2,
    }


def test_wandb_keeps_every_sae_against_its_own_step(tmp_path):
    rows = ran(WANDB, tmp_path)
    ours = [
        {name: value for name, value in row.items() if not name.startswith("_")} for row in rows
    ]
    assert [next(iter(sorted(row))).split("/")[0] for row in ours] == [
        "one",
        "other",
        "one",
        "other",
    ]
    assert [row.get("one/step", row.get("other/step")) for row in ours] == [10, 10, 20, 20]
    assert (ours[0]["one/fvu"], ours[0]["one/l0"], ours[0]["one/lr"]) == (0.25, 16, 1e-4)
    assert ours[0]["one/density/values"] == [3, 0, 0, 0, 1, 2, 2]
    assert ours[0]["one/density/bins"] == [-7, -6, -5, -4, -3, -2, -1, 0]
