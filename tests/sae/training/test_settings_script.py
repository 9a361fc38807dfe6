"""`scripts/sae_settings.py` measures what a run's own stages measure."""

import json
import sys

import pytest

from scripts import sae_settings


def printed(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["sae_settings.py", *map(str, arguments)])
    sae_settings.main()
    return json.loads(capsys.readouterr().out)


def test_unchanged_settings_give_the_runs_own_sae(tiny_run, monkeypatch, capsys):
    found = printed(monkeypatch, capsys, tiny_run.folder, "--test")
    use = tiny_run.about("sae")["use"]
    assert (found["silent"], found["rare"]) == (use["silent"], use["rare"])
    assert found["effective"] == pytest.approx(use["effective"], abs=0.1)
    assert found["moved"] == pytest.approx(use["moved"], abs=1e-3)
    assert 0 <= found["f1"] <= 1 and found["concepts"] > 0 and 0 <= found["f1_test"] <= 1


def test_a_setting_changes_the_sae_and_the_run_stays_as_it_was(tiny_run, monkeypatch, capsys):
    before = tiny_run.sae("sae").weight_hash
    found = printed(monkeypatch, capsys, tiny_run.folder, "d_sae=32", "lr=1e-7")
    assert (found["d_sae"], found["lr"], found["moved"]) == (32, 1e-7, 0)
    assert 0 < found["effective"] <= 32 and "f1_test" not in found
    assert tiny_run.sae("sae").weight_hash == before
