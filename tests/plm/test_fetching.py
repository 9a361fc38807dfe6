"""What would be fetched, told from files alone; no network is asked."""

import subprocess
import sys
from pathlib import Path

import pytest

from interplm_nb import plm
from interplm_nb.plm import fetching, names
from interplm_nb.plm.fetching import Fetch, to_fetch


@pytest.fixture(autouse=True)
def caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Empty caches of torch hub and of the Hugging Face hub."""
    import torch
    from huggingface_hub import constants

    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "torch" / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path


def test_a_button_says_what_it_costs() -> None:
    assert Fetch("a", 76_992_389, "by pip", "").words == "Fetch it: 77 MB, by pip"
    assert Fetch("a", None, "from its official address", "").words == (
        "Fetch it from its official address"
    )


def test_nothing_is_fetched_for_what_is_here(tmp_path: Path) -> None:
    file = tmp_path / "mine.npz"
    file.write_bytes(b"0")
    for name in (names.MINI, file, str(file), tmp_path, "no-such-model"):
        assert to_fetch(name) is None


def test_esm2_is_here_when_both_of_its_files_are(caches: Path) -> None:
    name = names.ESM2[0]
    wanted = Fetch(name, None, "from its official address", "MIT")
    assert to_fetch(name) == wanted
    folder = caches / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / f"{name}.pt").write_bytes(b"0")
    assert to_fetch(name) == wanted
    (folder / f"{name}-contact-regression.pt").write_bytes(b"0")
    assert to_fetch(name) is None
    assert to_fetch(names.ESM2[1]) is not None


def test_a_hub_model_is_here_when_its_weights_are(caches: Path) -> None:
    wanted = Fetch("owner/model", None, "from the Hugging Face hub", "")
    assert to_fetch("owner/model") == wanted
    cached = caches / "hub" / "models--owner--model"
    snapshot = cached / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("0" * 40)
    (snapshot / "config.json").write_text("{}")
    assert to_fetch("owner/model") == wanted, "settings alone are no model"
    (snapshot / "model.safetensors").write_bytes(b"0")
    assert to_fetch("owner/model") is None


def test_fetching_is_what_loading_would_do(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(plm, "inspect", asked.append)
    fetching.fetch(names.MINI)
    assert asked == [], "it is here"
    fetching.fetch(names.ESM2[0])
    assert asked == [names.ESM2[0]]


def test_asking_loads_no_torch_and_knows_torchs_own_rule() -> None:
    code = (
        "import sys; from interplm_nb.plm import fetching, names\n"
        "fetching.to_fetch(names.ESM2[0]); fetching.to_fetch('owner/model')\n"
        "fetching.to_fetch(names.UNIREP[0]); ours = fetching._torch_hub()\n"
        "assert 'torch' not in sys.modules\n"
        "import torch; assert str(ours) == torch.hub.get_dir(), (ours, torch.hub.get_dir())"
    )
    for environment in ({}, {"XDG_CACHE_HOME": "/tmp/x"}, {"TORCH_HOME": "/tmp/y"}):
        subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            timeout=60,
            env={"HOME": "/tmp", **environment},
        )
