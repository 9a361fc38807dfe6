"""Formats of motifs."""

from collections.abc import Callable
from pathlib import Path

from interplm_nb.readers.motif_files import read_motifs
from tests.formats.table import Format, Read, Refused, written

MATRIX = "letter-probability matrix: alength= 20 w= 1\n" + " ".join(["0.05"] * 20) + "\n"
PROSITE = "ID   PLOOP; PATTERN.\nPA   [AG]-x(4)-G-K-[ST].\n//\n"


def _names(content: str) -> Callable[[Path], list[str]]:
    return lambda folder: [m.name for m in read_motifs(written(folder, "a.txt", content)).motifs]


MOTIFS = [
    Format(
        "PROSITE patterns",
        "features.motifs",
        [
            Read("`prosite.dat`: entries with `PA`", _names(PROSITE), ["PLOOP"]),
            Read(
                "one a line, named or not",
                _names("loop G-G\nN-G\n"),
                ["loop", "N-G"],
            ),
        ],
        [
            Refused("other syntax", "is not a PROSITE element", _names("a G..G\n")),
            Refused("no pattern", "no motif found", _names("# nothing\n")),
        ],
    ),
    Format(
        "MEME text",
        "features.motifs",
        [Read("matrices of proteins", _names(f"MEME version 4\nMOTIF m\n{MATRIX}"), ["m"])],
        [
            Refused(
                "of DNA",
                "wanted motifs of proteins",
                _names("MEME version 4\nALPHABET= ACGT\nMOTIF m\n"),
            )
        ],
    ),
]
