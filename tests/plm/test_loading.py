"""The one door: which family a name or a path belongs to, and what is refused at it."""

import json
import subprocess
import sys

import pytest

from interplm_nb import plm
from interplm_nb.plm import checkpoints, names
from interplm_nb.plm.esm2 import ESM2
from interplm_nb.plm.protocol import PLM
from tests.plm.test_checkpoints import write_official
from tests.plm.toy_esm2 import SMALL, random_weights


def test_a_name_a_file_and_a_folder_of_esm2(tmp_path):
    mini = plm.load(names.MINI, "cpu")
    assert isinstance(mini, ESM2) and isinstance(mini, PLM) and mini.name == names.MINI
    write_official(tmp_path / "esm2_toy.pt")
    checkpoints.write_safetensors(random_weights(), SMALL, "toy", tmp_path / "toy")
    for path, name in (
        (tmp_path / "esm2_toy.pt", "esm2_toy"),
        (str(tmp_path / "toy"), "toy"),
        (tmp_path / "toy" / "model.safetensors", "toy"),
    ):
        found = plm.load(path, "cpu", "bfloat16")
        assert isinstance(found, ESM2) and found.name == name
        assert str(found.dtype) == "torch.bfloat16"


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("esm2_t6_8M", "did you mean .*esm2_t6_8M_UR50D"),
        ("ESM2_t12_35M_UR50D", "did you mean .*esm2_t12_35M_UR50D"),
        ("unirep1900", "did you mean .*unirep-1900"),
        ("unirep", "did you mean unirep-64 or unirep-256"),
        ("esm2_mini", "did you mean .*esm2-mini"),
        ("alphafold", "known are unirep-64, .*esm2_t48_15B_UR50D"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(name, nearest, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=f"'{name}' is neither .* file: {nearest}"):
        plm.load(name)


def test_a_path_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.pt' is neither a model's name nor a file"):
        plm.load(tmp_path / "none.pt")


def test_folders_and_files_that_are_no_model(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"has no config\.json; wanted the folder of a model"
    ):
        plm.load(tmp_path)
    config = tmp_path / "config.json"
    for text, match in (
        ("{", r"config\.json: not JSON .*fetch the model's files again"),
        ("[1]", r"config\.json: wanted a JSON object, found list"),
    ):
        config.write_text(text)
        with pytest.raises(ValueError, match=match):
            plm.load(tmp_path)
    config.write_text(json.dumps({"type": "ESM2", "n_layers": 3, "d_model": 24, "n_heads": 3}))
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors: no such file"):
        plm.load(tmp_path)
    (tmp_path / "weights.bin").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"not \.bin; for a transformers model give its folder"):
        plm.load(tmp_path / "weights.bin")


def test_a_wrong_device_or_dtype_is_named():
    with pytest.raises(ValueError, match="dtype must be auto or one of float32, bfloat16, float16"):
        plm.load(names.MINI, "cpu", "int8")


def test_inspect_gives_the_record_of_what_load_gives():
    record, model = plm.inspect(names.MINI), plm.load(names.MINI, "cpu")
    assert (record.name, record.revision, record.widths) == (
        model.name,
        model.revision,
        model.widths,
    )
    assert (record.objective, record.has_logits, record.recurrent) == ("masked", True, False)


def test_one_family_does_not_need_another():
    code = (
        "import sys\n"
        "from interplm_nb import plm\n"
        "assert 'torch' not in sys.modules\n"
        "for name in ('unirep', 'huggingface'): sys.modules[f'interplm_nb.plm.{name}'] = None\n"
        "plm.load('esm2-mini', 'cpu')\n"
        "assert 'transformers' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
