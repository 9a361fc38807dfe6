"""Without the packages a tracker says what to install; with them it is tested in tests/peers."""

import sys

import pytest

from interplm_nb.sae.training.trackers import TensorBoard, WandB


@pytest.mark.parametrize(
    ("module", "make"),
    [("wandb", lambda: WandB("project")), ("tensorboard", lambda: TensorBoard("folder"))],
)
def test_what_is_not_installed_is_named_with_the_way_out(monkeypatch, module, make):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        ModuleNotFoundError,
        match=rf"{module} is not installed here; install it with pip install "
        rf"'interplm-nb\[track\]'",
    ):
        make()
