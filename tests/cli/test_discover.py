"""`interplm-nb discover`: what it shows, writes and keeps, and what it refuses."""

import csv
import shutil
from pathlib import Path

import pytest

from interplm_nb.cli import main as cli
from interplm_nb.concepts.discovery.evaluation import Refound
from interplm_nb.pipeline.run import Run
from interplm_nb.questions import discover as questions_discover
from interplm_nb.questions.discover import refound, store_refound, stored_refound
from tests.pipeline.asked import with_links


@pytest.fixture(scope="module")
def whole(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return with_links(tiny_run, tmp_path_factory.mktemp("discover") / "run")


@pytest.fixture(scope="module")
def again(whole: Run) -> Refound:
    return refound(whole, min_instances=1, n_resamples=10)


@pytest.fixture
def run(whole: Run, tmp_path: Path) -> Run:
    shutil.copytree(whole.folder, tmp_path / "run")
    return Run.open(tmp_path / "run")


def ask(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = cli.main(["discover", *map(str, words)])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_the_first_rows_come_with_what_they_mean_and_how_to_get_their_control(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = ask(capsys, run.folder, "--min-confidence", "0")
    assert code == 0
    assert (
        "candidates with confidence >= 0 in" in out
        and "the first 20 of" in out
        and " elsewhere " in out
    )
    assert (
        "Labels are incomplete" in out
        and f"interplm-nb discover {run.folder} --evaluate" in out
        and "It is not ESM-2" in out
    )
    assert "null" not in out
    code, out, _ = ask(capsys, run.folder, "--min-confidence", "1")
    assert (
        code == 0
        and out.startswith("0 candidates with confidence >= 1")
        and "elsewhere:" not in out
    )


def test_all_rows_are_written(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    concept = run.links().table["concept"][0]
    code, out, _ = ask(
        capsys,
        run.folder,
        "--min-confidence",
        "0",
        "--out",
        tmp_path / "candidates.tsv",
        "--concept",
        concept,
        "--per-concept",
        "1",
    )
    rows = list(
        csv.DictReader((tmp_path / "candidates.tsv").read_text().splitlines(), delimiter="\t")
    )
    assert (
        code == 0
        and f"written: {tmp_path / 'candidates.tsv'}" in out
        and out.startswith(f"{len(rows):,} candidates")
    )
    assert {row["concept"] for row in rows} == {concept} and len(
        {row["feature"] for row in rows}
    ) == 1
    assert {
        "confidence",
        "sites",
        "alike",
        "aligned_site",
        "other_concepts",
        "structure",
        "f1_per_domain",
    } <= set(rows[0])


def test_an_evaluation_is_shown_and_kept(
    run: Run, again: Refound, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(questions_discover, "refound", lambda run, source, per_concept: again)
    code, out, _ = ask(capsys, run.folder, "--evaluate")
    assert code == 0 and stored_refound(run) is not None
    for text in (
        "Control: 20% of the annotations were hidden",
        "MMseqs2",
        "random SAE",
        "shuffled PLM",
        "chance",
        "Calibration:",
        "Average precision of",
    ):
        assert text in out
    code, shown, _ = ask(capsys, run.folder)
    assert shown[shown.index("Control:") :] == out[out.index("Control:") :]
    _, other, _ = ask(capsys, run.folder, "--source", "random_sae")
    assert "No control yet" in other and "--source random_sae --evaluate" in other


def test_a_kept_evaluation_goes_with_its_stage(run: Run, again: Refound) -> None:
    store_refound(run, again)
    run.clear("concepts")
    assert stored_refound(run) is None


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--concept", "Signal"], "no feature of this run is linked to the concept 'Signal'"),
        (["--source", "neurons"], "'neurons' is dense"),
        (["--source", "transcoder"], "no source 'transcoder'"),
        (["--evaluate"], "MMSEQS2_PATH is 'nowhere', which is not a file"),
    ],
)
def test_an_error_is_one_sentence(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    text: str,
) -> None:
    monkeypatch.setenv("MMSEQS2_PATH", "nowhere")
    code, out, err = ask(capsys, run.folder, *words)
    assert (code, out) == (2, "") and text in err and "Traceback" not in err


def test_what_is_not_a_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = ask(capsys, tmp_path)
    assert (code, out) == (2, "") and "is not a run" in err
