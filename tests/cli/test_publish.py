"""SAEs published with their scores and their table of features; what is not theirs is refused."""

import shutil
from pathlib import Path

import pytest

from interplm_nb.cli.publish import publish
from interplm_nb.concepts.exported import read_exported
from interplm_nb.figures.sae_card import sae_card
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.questions.export import export_links
from interplm_nb.sae import checkpoint, hub
from tests.cli.test_models import on_hub
from tests.sae.loopback_hub import running

NAME = "someone/my-sae"


def test_a_run_is_published_and_its_table_comes_back_and_no_other(tmp_path: Path) -> None:
    run, back = Run.shipped(), tmp_path / "back"
    with running() as server:
        code, out, err = on_hub(server, tmp_path, "push", run.folder, NAME)
        assert code == 0 and out.startswith("published: ") and "Not scored" not in out, err
        held = server.repositories[NAME]
        files = held.commits[held.names["main"]]
        weights = {"sae.safetensors", "config.json"}
        assert set(files) == {*weights, ".gitattributes", "README.md", "features.tsv"}
        assert files["README.md"].decode() == sae_card(run, NAME)

        code, out, err = on_hub(server, tmp_path, "get", NAME, "--out", back)
        assert code == 0, err
        sae = checkpoint.load(back)
        read = read_exported(back / "features.tsv", sae.weight_hash)
        assert read.about["sae"] == run.about("sae")["weights"] == sae.weight_hash
        assert out.endswith(f"features.tsv: {read.table.height:,} pairs of feature and concept\n")

        export_links(run, "random_sae", "strict", tmp_path / "random.tsv")
        held.commit({"features.tsv": (tmp_path / "random.tsv").read_bytes()})
        code, out, err = on_hub(server, tmp_path, "get", NAME, "--out", tmp_path / "more")
    assert (code, out) == (2, "") and "the same numbers are other features" in err
    assert run.about("random_sae")["weights"] in err and sae.weight_hash in err
    assert not (tmp_path / "more").exists()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """What is handed to the Hub: the folder, the card, and the weights that the table names."""
    found = []

    def push(folder, repository, *, card, table, private):
        names = read_exported(table).about["sae"] if table else None
        found.append({"folder": folder, "card": card, "names": names, "private": private})
        return "the address"

    monkeypatch.setattr(hub, "push", push)
    return found


def test_the_run_is_found_where_the_sae_lies_in_it_or_is_given(
    tiny_run: Run, tmp_path: Path, sent: list[dict]
) -> None:
    own, copy = tiny_run.source("sae"), tmp_path / "copy"
    copy.mkdir()
    for name in ("sae.safetensors", "config.json"):
        shutil.copyfile(own / name, copy / name)
    for words in ((tiny_run.folder, None), (own, None), (copy, tiny_run.folder)):
        assert publish(words[0], NAME, words[1], private=True) == "published: the address"
    assert [one.pop("folder") for one in sent] == [own, own, copy]
    names = tiny_run.about("sae")["weights"]
    card = sae_card(tiny_run, NAME)
    assert sent == [{"card": card, "names": names, "private": True}] * 3

    sent.clear()
    assert "Not scored: give the run, with --run RUN" in publish(copy, NAME)
    assert sent == [{"folder": copy, "card": None, "names": None, "private": False}]


def test_a_table_of_ones_own_goes_along_and_that_of_another_sae_does_not(
    tiny_run: Run, tmp_path: Path, sent: list[dict]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tiny_run.source("sae"), copy)
    export_links(tiny_run, "sae", "published", copy / "features.tsv")
    publish(copy, NAME, tiny_run.folder)
    assert sent.pop()["names"] == tiny_run.about("sae")["weights"]
    export_links(tiny_run, "neurons", "strict", copy / "features.tsv")
    with pytest.raises(ValueError, match=r"weights that it does not name, but this SAE's are sha"):
        publish(copy, NAME, tiny_run.folder)
    assert not sent


def test_what_the_run_did_not_score_is_refused(
    tiny_run: Run, tmp_path: Path, sent: list[dict]
) -> None:
    scored, other = (tiny_run.about(s)["weights"] for s in ("sae", "shuffled_sae"))
    with pytest.raises(
        PipelineError, match=rf"weights {scored}, and .*shuffled_sae holds {other}: its scores are"
    ):
        publish(tiny_run.source("shuffled_sae"), NAME, tiny_run.folder)
    with pytest.raises(PipelineError, match="is a run, and --run names"):
        publish(tiny_run.folder, NAME, tiny_run.folder)
    shutil.copytree(tiny_run.folder, tmp_path / "run")
    Run.open(tmp_path / "run").clear("concepts")
    with pytest.raises(PipelineError, match="run stage 'concepts' first"):
        publish(tmp_path / "run", NAME)
    assert not sent
