"""The command line: help, texts for people, a user's mistake in one sentence, a fault as such."""

import json
import subprocess
import sys
import traceback
from pathlib import Path

import nbformat
import pytest

from interplm_nb.cli import main as cli
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.readers.report import InputError


def ask(capsys, *words):
    code = cli.main([str(word) for word in words])
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.mark.parametrize(
    "command",
    [
        "",
        "run",
        "data",
        "data check",
        "data fetch",
        "models",
        "score",
        "annotate",
        "discover",
        "rank",
        "follow",
        "explore",
        "notebooks",
        "doctor",
    ],
)
def test_help_explains_itself(capsys, command):
    with pytest.raises(SystemExit) as ended:
        cli.main([*command.split(), "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "usage: interplm-nb" in said
    if command in ("", "run", "data", "explore"):
        assert "examples:" in said


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (
            ["run", "dmeo", "--out", "x"],
            "no profile 'dmeo': packaged profiles are demo, esm2-8m, laboratory, "
            "proteomes, sweep-8m",
        ),
        (["run", "demo", "--out", "x", "-p", "train.stesp=5"], "did you mean train.steps"),
        (
            ["run", "demo", "--out", "x", "-p", "train.steps=-5"],
            "train.steps = -5: input should be greater than or equal to 0",
        ),
        (
            ["run", "demo", "--out", "x", "--from", "embedding"],
            "no stage 'embedding'; stages are proteins, embed",
        ),
        (["run", "proteomes", "--out", "x"], "profile proteomes needs proteins.path"),
        (["score", "nowhere"], "nowhere is not a run"),
        (["explore", "nowhere"], "nowhere is not a run"),
        (["explore", "nowhere", "--app"], "nowhere is not a run"),
        (["data", "check", "nowhere.fasta"], "no file nowhere.fasta"),
        (["data", "fetch", "--out", "x.tsv"], "give either a query or --accessions FILE"),
    ],
)
def test_an_error_is_one_sentence_and_exit_code_2(tmp_path, monkeypatch, capsys, words, text):
    monkeypatch.chdir(tmp_path)
    code, out, err = ask(capsys, *words)
    assert code == 2
    assert out == ""
    assert err.startswith("interplm-nb: ")
    assert text in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def _stop(monkeypatch, stop) -> None:
    """Let `interplm-nb data` end in `stop`."""
    from interplm_nb.cli import describe

    monkeypatch.setattr(describe, "describe_demo", stop)


@pytest.mark.parametrize(
    "stop",
    [lambda: {}["x"], lambda: int("x"), lambda: [][0], lambda: None.folder],
    ids=["KeyError", "ValueError", "IndexError", "AttributeError"],
)
def test_a_fault_of_ours_is_a_traceback_and_where_to_report_it(monkeypatch, stop):
    _stop(monkeypatch, stop)
    with pytest.raises((LookupError, ValueError, AttributeError)) as fault:
        cli.main(["data"])
    shown = "".join(traceback.format_exception(fault.value))
    assert shown.startswith("Traceback")
    assert "this is a fault of interplm-nb" in shown.splitlines()[-1]
    assert "the project's issue tracker" in shown.splitlines()[-1]


def test_a_fault_ends_the_program_with_exit_code_1():
    code = (
        "import sys; from interplm_nb.cli import describe, main; "
        "describe.describe_demo = lambda: {}['x']; sys.exit(main.main(['data']))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    *_, error, note = ended.stderr.splitlines()
    assert (ended.returncode, ended.stdout) == (1, "")
    assert error == "KeyError: 'x'" and note.endswith("on the project's issue tracker")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (PipelineError("no run"), "no run"),
        (InputError("no sequence"), "no sequence"),
        (OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
        (
            ModuleNotFoundError("No module named 'umap'", name="umap"),
            "umap is not installed in this environment; "
            "install interplm-nb with all of its dependencies",
        ),
    ],
)
def test_what_a_user_can_correct_is_one_sentence(monkeypatch, capsys, error, text):
    def stop():
        raise error

    _stop(monkeypatch, stop)
    assert ask(capsys, "data") == (2, "", f"interplm-nb: {text}\n")


@pytest.mark.parametrize("words", [["--debug", "score"], ["score", "--debug"]])
def test_debug_shows_the_traceback_of_a_users_mistake(tmp_path, capsys, words):
    code, out, err = ask(capsys, *words, tmp_path / "nowhere")
    assert (code, out) == (2, "") and err.startswith("Traceback")
    last = err.splitlines()[-1]
    assert last.startswith("interplm-nb: ") and "is not a run" in last


def test_a_module_of_ours_that_is_gone_is_a_fault(monkeypatch):
    def stop():
        raise ModuleNotFoundError("gone", name="interplm_nb.gone")

    _stop(monkeypatch, stop)
    with pytest.raises(ModuleNotFoundError):
        cli.main(["data"])


def test_data_check_counts_what_is_left_out(tmp_path, capsys):
    (tmp_path / "mine.fasta").write_text(">A1\nACDEF\n>A2\nAC1DE\n>A3\nacdef\n")
    code, out, _ = ask(capsys, "data", "check", tmp_path / "mine.fasta")
    assert code == 0
    assert "2 proteins kept" in out
    assert "A2" in out
    code, _, err = ask(capsys, "data", "check", tmp_path / "mine.fasta", "--strict")
    assert code == 2
    assert "A2" in err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            ">g\n" + "ATGACCGTTAAAGGCCATTGAACG" * 4 + "\n",
            "nucleotides, not residues (g: 96 letters",
        ),
        ("# STOCKHOLM 1.0\na ACD\n//\n", "an alignment in Stockholm format, not sequences"),
    ],
)
def test_data_check_refuses_what_is_no_protein(tmp_path, capsys, text, words):
    (tmp_path / "mine.fasta").write_text(text)
    code, _, err = ask(capsys, "data", "check", tmp_path / "mine.fasta")
    assert code == 2 and words in err


def test_data_and_models_are_described(capsys):
    assert "UniProtKB (CC BY 4.0)" in ask(capsys, "data")[1]
    models = ask(capsys, "models")[1]
    assert "esm2_t6_8M_UR50D" in models
    assert "It is not ESM-2" in models


def test_scores_are_shown_with_their_controls_and_the_note(tiny_run, capsys):
    code, out, _ = ask(capsys, "score", tiny_run.folder)
    assert code == 0
    for source in ("sae", "neurons", "shuffled_sae", "random_sae"):
        assert source in out
    assert "It is not ESM-2" in out
    code, out, _ = ask(
        capsys,
        "score",
        tiny_run.folder,
        "--source",
        "neurons",
        "--convention",
        "published",
        "--tsv",
    )
    assert out.splitlines()[0].startswith("concept\tcategory\t")
    code, _, err = ask(capsys, "score", tiny_run.folder, "--source", "transcoder")
    assert code == 2
    assert "has no strict scores of 'transcoder'" in err


def test_explore_opens_a_copy_set_to_the_run(tmp_path, monkeypatch, capsys):
    from interplm_nb.pipeline import explore_run

    run = Run.create(tmp_path / "run", "demo")
    opened = []
    monkeypatch.setattr(
        explore_run, "open_lab", lambda notebook, browser: opened.append((notebook, browser)) or 0
    )
    assert ask(capsys, "explore", run.folder, "--no-browser")[0] == 0
    assert opened == [(run.folder / "00_explore.ipynb", False)]
    cells = nbformat.read(run.folder / "00_explore.ipynb", as_version=4).cells
    parameters = next(
        cell.source for cell in cells if "parameters" in cell.metadata.get("tags", [])
    )
    assert 'run: str = "."' in parameters


def test_the_app_is_of_a_scored_run_alone(tmp_path, capsys):
    code, _, err = ask(capsys, "explore", Run.create(tmp_path / "run", "demo").folder, "--app")
    assert code == 2
    assert "concepts" in err and "Traceback" not in err


def test_the_app_shows_the_workbench_of_the_run_and_no_code(tmp_path, monkeypatch, capsys):
    from interplm_nb.pipeline import explore_run

    served = {}

    def serve(command, cwd):
        served["command"], served["files"] = (
            command,
            {path.name: path.read_text(encoding="utf-8") for path in Path(cwd).iterdir()},
        )
        return 0

    monkeypatch.setattr(explore_run, "foreground", serve)
    run = Run.shipped()
    assert ask(capsys, "explore", run.folder, "--app", "--no-browser")[0] == 0
    assert served["command"][1:] == ["-m", "voila", "workbench.ipynb", "--no-browser"]
    cells = nbformat.reads(served["files"]["workbench.ipynb"], as_version=4).cells
    assert [cell.id for cell in cells][1:] == ["parameters", "imports", "workbench", "address"]
    assert f'run: str = "{run.folder.resolve()}"' in cells[1].source
    settings = json.loads(served["files"]["voila.json"])
    assert settings["Voila"]["ip"] == "127.0.0.1" and "cdn" not in served["files"]["voila.json"]


def test_lessons_are_copied_and_never_overwritten(tmp_path, capsys):
    code, out, _ = ask(capsys, "notebooks", tmp_path / "mine")
    assert code == 0
    assert "01_proteins.ipynb" in out
    workshop = tmp_path / "mine" / "workshop"
    assert (workshop / "3_controls.ipynb").is_file()
    assert (workshop / "teacher" / "3_controls.ipynb").is_file()
    code, _, err = ask(capsys, "notebooks", tmp_path / "mine")
    assert code == 2
    assert "already has 00_explore.ipynb" in err and "give another folder" in err


def test_help_needs_neither_torch_nor_jupyter():
    code = (
        "import sys; from interplm_nb.cli import main as cli; cli.parser(); "
        "print([m for m in ('torch', 'papermill', 'matplotlib') if m in sys.modules])"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
        == "[]\n"
    )
