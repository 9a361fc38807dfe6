"""Try what people and accidents bring, count what comes of it, and write docs/reliability.md.

    python scripts/build_reliability.py                  # all rings
    python scripts/build_reliability.py fuzz damage      # these; the page keeps the others' rows

Exit code 1 if anything was not survived.
"""

import argparse
import logging
import random
import re
import secrets
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
PAGE = ROOT / "docs" / "reliability.md"


class Row(NamedTuple):
    """What was tried, and what came of it."""

    what: str
    tried: int
    outcomes: str
    faults: int


def fuzz(seconds: float) -> Iterator[Row]:
    """Damaged files, reader by reader."""
    from tests.fuzz.ring import run
    from tests.fuzz.test_fuzz import READERS

    warnings.simplefilter("error")
    for name, fuzzed in READERS.items():
        outcome = run(fuzzed, secrets.randbits(32), seconds)
        print("\n".join(outcome.faults) or f"{name}: {outcome.tried:,}")
        outcomes = f"{outcome.read:,} read, {outcome.refused:,} refused"
        yield Row(name, outcome.tried, outcomes, len(outcome.faults))


def damage(_: float) -> Iterator[Row]:
    """Damaged files of a run: the one that ships."""
    import shutil

    from interplm_nb.pipeline.run import Run
    from scripts.damage_run import DAMAGES, SURVIVED, trials

    with tempfile.TemporaryDirectory() as folder:
        copied = Path(folder) / "run"
        shutil.copytree(Run.shipped().folder, copied)
        found = list(trials(copied, random.Random(secrets.randbits(32)), 4))
    for kind in DAMAGES:
        results = Counter(made.result for made in found if made.damage == kind)
        outcomes = ", ".join(f"{results[result]:,} {result}" for result in SURVIVED)
        survived = sum(results[result] for result in SURVIVED)
        yield Row(f"file of a run: {kind}", results.total(), outcomes, results.total() - survived)


def tests(*words: str) -> Callable[[float], Iterator[Row]]:
    """A ring of pytest's: a row per file of tests."""

    def ring(_: float) -> Iterator[Row]:
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report.xml"
            command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words]
            subprocess.run([*command, f"--junitxml={report}"], cwd=ROOT, check=False)
            cases = list(ElementTree.parse(report).iter("testcase"))
        found: dict[str, Counter[str]] = {}
        for case in cases:
            result = "failed" if len(case) and case[0].tag in ("failure", "error") else "passed"
            if not (len(case) and case[0].tag == "skipped"):
                found.setdefault(case.get("classname", ""), Counter())[result] += 1
        for name, results in found.items():
            path = f"`{name.replace('.', '/')}.py`"
            yield Row(path, results.total(), f"{results['passed']:,} passed", results["failed"])

    return ring


RINGS: dict[str, tuple[str, Callable[[float], Iterator[Row]]]] = {
    "fuzz": (
        "Damaged input files: bytes flipped, cut, doubled; lines and cells moved, emptied, made "
        "long; other encodings, control characters, endless brackets and numbers. A file is read "
        "as an independent parser reads it, or refused in a sentence that names it, within "
        "10 seconds and 1 GiB",
        fuzz,
    ),
    "damage": ("Damaged files of a run: refused by name, or the intact values", damage),
    "kills": (
        "Processes that are killed: the run resumes and ends with the bytes of an undisturbed one",
        tests("-m", "slow", "tests/pipeline/test_resume.py"),
    ),
    "checkpoints": (
        "Malicious and damaged checkpoints: nothing in them runs",
        tests(
            *("-m", "not slow and not peers", "tests/sae/importers/test_tensors.py"),
            *("tests/sae/importers/test_damage.py", "tests/plm/test_checkpoints.py"),
            "tests/plm/test_weight_kinds.py",
        ),
    ),
    "hostile": (
        "Hostile texts and runs that somebody sent: nothing runs, nothing leads outside, texts are "
        "plain",
        tests(
            *("-m", "not slow and not peers and not browser", "tests/pipeline/test_foreign_run.py"),
            *(
                "tests/test_plain_text.py",
                "tests/test_spreadsheet.py",
                "tests/widgets/test_page.py",
            ),
        ),
    ),
}
_HEAD = """# Reliability

What was tried, and what came of it, as `python scripts/build_reliability.py` measured and wrote it.
Seeds are drawn anew each time. A fault is anything but what the heading says.
"""


def section(ring: str, rows: list[Row]) -> str:
    """The part of the page of one ring."""
    about, _ = RINGS[ring]
    lines = [f"| {r.what} | {r.tried:,} | {r.outcomes} | {r.faults} |" for r in rows]
    total = f"| all | {sum(r.tried for r in rows):,} | | {sum(r.faults for r in rows)} |"
    date = datetime.now(UTC).date().isoformat()
    head = "| what | tried | outcome | faults |\n|---|---|---|---|"
    return "\n".join([f"## {ring}\n", f"{about}. Measured {date}.\n", head, *lines, total])


def kept() -> dict[str, str]:
    """The sections that the page has, by ring."""
    text = PAGE.read_text(encoding="utf-8") if PAGE.is_file() else ""
    parts = re.split(r"(?m)^(?=## )", text)[1:]
    return {part[3:].partition("\n")[0]: part.strip() for part in parts}


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure docs/reliability.md again.")
    parser.add_argument("rings", nargs="*", help=f"of {', '.join(RINGS)} (default: all)")
    parser.add_argument("--seconds", type=float, default=3, help="of fuzzing per reader")
    arguments = parser.parse_args()
    sections, faults = kept(), 0
    for ring in arguments.rings or RINGS:
        rows = list(RINGS[ring][1](arguments.seconds))
        faults += sum(row.faults for row in rows)
        sections[ring] = section(ring, rows)
        parts = [_HEAD.strip(), *(sections[name] for name in RINGS if name in sections)]
        PAGE.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return 1 if faults else 0


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    sys.exit(main())
