"""Tables of labels as rows of strings: TSV, CSV (plain, gzip or zstd) and Parquet."""

import csv
import io
from collections.abc import Collection, Iterator
from pathlib import Path

import polars as pl

from interplm_nb.readers.opening import open_bytes, open_text
from interplm_nb.readers.report import InputError, ReadReport

Rows = Iterator[tuple[int, dict[str, str]]]
"""The line (or row) number, and the cells by column."""


def table_rows(path: Path, columns: Collection[str], report: ReadReport) -> tuple[list[str], Rows]:
    """Column names in lower case, and the rows of at least these `columns`.

    The format follows from the file's name. Rows of another width are rejected. `InputError` for
    another format, or a file that cannot be read.
    """
    suffix = Path(without_compression(path)).suffix
    separator = {".tsv": "\t", ".txt": "\t", ".csv": ","}.get(suffix)
    if suffix == ".parquet":
        try:
            with open_bytes(path) as stream:
                table = pl.read_parquet(io.BytesIO(stream.read()))
        except pl.exceptions.PolarsError as error:
            raise InputError(
                f"{path}: not a Parquet file ({str(error).splitlines()[0]}); write or copy it again"
            ) from error
        return frame_rows(table, columns)
    if separator is None:
        raise InputError(
            f"{path}: the name ends in {suffix!r}; a table of labels ends in .tsv, .txt, .csv or "
            ".parquet"
        )
    with open_text(path) as text:
        lines = csv.reader(io.StringIO(text.read()), delimiter=separator)
    names = [cell.strip().lower() for cell in next(lines, [])]
    return names, _text_rows(lines, names, report)


def frame_rows(table: pl.DataFrame, columns: Collection[str]) -> tuple[list[str], Rows]:
    """The same of a DataFrame; null is an empty string, true and false are words."""
    table = table.rename({name: name.strip().lower() for name in table.columns})
    texts = table.select(
        pl.col(c).cast(pl.String).fill_null("") for c in table.columns if c in columns
    )
    return table.columns, enumerate(texts.iter_rows(named=True), 1)


def without_compression(path: Path) -> str:
    """The file's name in lower case, without `.gz` or `.zst`."""
    return path.name.lower().removesuffix(".gz").removesuffix(".zst")


def _text_rows(lines: Iterator[list[str]], names: list[str], report: ReadReport) -> Rows:
    for line, cells in enumerate(lines, 2):
        if not cells:
            continue
        if len(cells) != len(names):
            detail, wanted = (
                f"{len(cells)} cells",
                f"every row has the {len(names)} cells of the first line",
            )
            report.reject("row of another width", cells[0] or f"line {line}", detail, wanted, line)
            continue
        yield line, dict(zip(names, (cell.strip() for cell in cells), strict=True))
