"""Check an installation as a newcomer uses it first, with the Python that runs this:

    python -m venv new && new/bin/pip install -c constraints.txt WHEEL
    new/bin/python scripts/check_installed.py

The versions, what `doctor` finds, the workbench of the shipped run as a page, and a small run of
every stage. It takes minutes, needs no network, and ends with the first command that fails.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

PAGE = """
import pathlib
import interplm_nb as ipn
page = pathlib.Path("page.html")
ipn.Workbench(ipn.Run.shipped()).to_html(page)
assert page.stat().st_size > 1e6, page.stat().st_size
"""
SMALL = {
    "proteins.max_proteins": 40,
    "embed.plm": "esm2-mini",
    "embed.layer": 1,
    "train.d_sae": 64,
    "train.steps": 60,
    "train.batch_size": 256,
    "train.k": 4,
    "train.fidelity_proteins": 2,
    "concepts.min_instances": 1,
    "concepts.min_clusters": 1,
    "concepts.bootstrap": 5,
    "concepts.null_draws": 20,
    "features.shuffles": 20,
    "features.correlated_residues": 2000,
    "interpret.features": "random:3",
}
COMMANDS = {
    "version": ("-m", "interplm_nb", "--version"),
    "doctor": ("-m", "interplm_nb", "doctor"),
    "page of the shipped run": ("-c", PAGE),
    "small run": (
        *("-m", "interplm_nb", "run", "demo", "--out", "run", "--device", "cpu"),
        *(word for name, value in SMALL.items() for word in ("-p", f"{name}={value}")),
    ),
    "its scores": ("-m", "interplm_nb", "score", "run"),
}


def main() -> None:
    print(f"Python {sys.version.split()[0]}, {sys.executable}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, words in COMMANDS.items():
            start = time.perf_counter()
            log = Path(folder) / "log"
            with log.open("w", encoding="utf-8") as said:
                code = subprocess.run(
                    [sys.executable, "-I", *words], cwd=folder, stdout=said, stderr=said
                ).returncode
            print(f"{'ok' if code == 0 else 'FAILED':8}{name}, {time.perf_counter() - start:.0f} s")
            if code:
                sys.exit(log.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
