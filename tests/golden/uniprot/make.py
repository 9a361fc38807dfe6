"""Copy a few real UniProt entries out of a folder of test entries (see README.md).

python make.py FOLDER        # FOLDER has annotated/
"""

import gzip
import sys
from pathlib import Path

HERE = Path(__file__).parent
OLD = [
    "P00750",
    "P00981",
    "P28799",
    "P56540",
    "Q01436",
    "Q51481",
    "Q51858",
    "Q8NE62",
    "P0ABP8",
    "Q13639",
]
TODAY = ["P58928", "Q1MS15", "Q93NG3", "A4K2U9", "P03395", "A8AP56"]
XML = {
    "multi_ex.xml": "biopython_biopython__multi_ex.xml.gz",
    "P0ABP8.xml": "SBRG_ssbio__P0ABP8.xml",
    "P62330.xml": "biopython_biopython__P62330.xml.gz",
}


def flat(text: str, accessions: list[str], path: Path) -> None:
    entries = {
        entry.partition("\nAC   ")[2].partition(";")[0]: entry
        for entry in text.split("//\n")
        if entry.strip()
    }
    _write("".join(f"{entries[accession].lstrip()}//\n" for accession in accessions), path)


def table(text: str, accessions: list[str], path: Path) -> None:
    header, *rows = text.splitlines()
    found = {row.partition("\t")[0]: row for row in rows}
    _write(
        "\n".join([header, *(found[accession] for accession in accessions if accession in found)])
        + "\n",
        path,
    )


def _write(text: str, path: Path) -> None:
    with (
        path.open("wb") as file,
        gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0) as packed,
    ):
        packed.write(text.encode())


def _read(path: Path) -> str:
    data = path.read_bytes()
    return (gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data).decode()


if __name__ == "__main__":
    annotated = Path(sys.argv[1]) / "annotated"
    entries = _read(annotated / "uniprot_flatfiles" / "uniprot_test_entries.dat.gz")
    flat(entries, OLD, HERE / "old.dat.gz")
    flat(entries, TODAY, HERE / "today.dat.gz")
    table(
        _read(annotated / "uniprot_like_features.tsv.gz"), OLD + TODAY, HERE / "before_2022.tsv.gz"
    )
    for name, source in XML.items():
        _write(_read(annotated / "uniprot_flatfiles" / "xml" / source), HERE / f"{name}.gz")
