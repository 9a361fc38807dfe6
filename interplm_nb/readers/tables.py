"""Tables of labels as rows of strings: TSV, CSV (plain, gzip or zstd) and Parquet."""

import io
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from interplm_nb.readers import opening
from interplm_nb.readers.delimited import delimited, refuse_repeated
from interplm_nb.readers.opening import SAVE_AS_TEXT, open_text, read_whole
from interplm_nb.readers.report import InputError, ReadReport

Rows = Iterator[tuple[int, dict[str, str]]]
"""The line (or row) number, and the cells by column."""

_DAMAGE = (
    pa.ArrowException,
    OSError,
    MemoryError,
    ValueError,
    pl.exceptions.PolarsError,
    pl.exceptions.PanicException,  # names of columns that are not UTF-8
)
_ROWS_AT_ONCE = 1 << 12
_TOO_MUCH = (
    f"more than {opening.MOST_ROWS:,} rows or {opening.LARGEST_TEXT >> 20} MiB; is it the right "
    "table?"
)
_WORKBOOKS = (".xlsx", ".xlsm", ".xls", ".ods", ".numbers")


def table_rows(
    path: Path, columns: Collection[str], needed: Sequence[str], report: ReadReport
) -> tuple[list[str], Rows]:
    """Column names in lower case, and the rows of at least these `columns`.

    The format follows from the file's name; the separator of a text from its first line. Check that
    the names have those that are `needed` before the first row is taken. Rows that cannot be read
    are rejected. `InputError` for another format, or a file that cannot be read.
    """
    suffix = Path(without_compression(path)).suffix
    if suffix == ".parquet":
        return frame_rows(_parquet(path), columns, report)
    if suffix not in (".tsv", ".txt", ".csv"):
        way_out = f"; {SAVE_AS_TEXT}" if suffix in _WORKBOOKS else ""
        raise InputError(
            f"{path}: the name ends in {suffix!r}; a table of labels ends in .tsv, .txt, .csv or "
            f".parquet{way_out}"
        )
    with open_text(path) as text:
        lines = io.StringIO(text.read())
    written, rows = delimited(lines, columns, needed, report)
    names = [name.lower() for name in written]
    return names, (
        (line, dict(zip(names, (cell.strip() for cell in cells), strict=True)))
        for line, cells in rows
    )


def _parquet(path: Path) -> pl.DataFrame:
    data = pa.BufferReader(read_whole(path))
    try:
        # Arrow's reader refuses damaged files; that of polars may end the process.
        table = _bounded(pq.ParquetFile(data), path)
        table.validate(full=True)
        return pl.DataFrame(pl.from_arrow(table))
    except InputError:
        raise
    except _DAMAGE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{path}: not a Parquet file ({reason}); write or copy it again"
        ) from error


def _bounded(file: pq.ParquetFile, path: Path) -> pa.Table:
    """The table; `InputError` if it declares, or while it is read takes, more than its bounds."""
    about = file.metadata
    groups = [about.row_group(i) for i in range(about.num_row_groups)]
    rows = max(about.num_rows, sum(group.num_rows for group in groups))
    declared = sum(group.total_byte_size for group in groups)
    if rows > opening.MOST_ROWS or declared > opening.LARGEST_TEXT:
        raise InputError(f"{path}: it declares {rows:,} rows and {declared:,} bytes, {_TOO_MUCH}")
    batches, taken = [], 0
    # One value of the file may be in many rows.
    for batch in file.iter_batches(_ROWS_AT_ONCE, use_threads=False):
        taken += batch.nbytes
        if taken > opening.LARGEST_TEXT:
            raise InputError(f"{path}: its values take over {taken:,} bytes, {_TOO_MUCH}")
        batches.append(batch)
    table = pa.Table.from_batches(batches, file.schema_arrow)
    if table.num_rows != about.num_rows:  # a column that ends early ends the batches
        raise ValueError(f"it declares {about.num_rows:,} rows and has {table.num_rows:,}")
    return table


def frame_rows(
    table: pl.DataFrame, columns: Collection[str], report: ReadReport
) -> tuple[list[str], Rows]:
    """The same of a DataFrame; null is an empty string, true and false are words.

    A line end is a space, as in text.
    """
    names = [name.strip().lower() for name in table.columns]
    refuse_repeated(names, columns, report)
    texts = {
        name: column.cast(pl.String).fill_null("").str.replace_all(r"[\r\n]+", " ")
        for name, column in zip(names, table.iter_columns(), strict=True)
        if name in columns
    }
    cells = pl.DataFrame(texts).select(pl.all().str.strip_chars())
    return names, enumerate(cells.iter_rows(named=True), 1)


def without_compression(path: Path) -> str:
    """The file's name in lower case, without `.gz` or `.zst`."""
    return path.name.lower().removesuffix(".gz").removesuffix(".zst")
