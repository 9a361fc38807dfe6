"""Tables as text, for terminals."""

import polars as pl

from interplm_nb.plain_text import plain_cell

_WIDE = {
    "tbl_hide_dataframe_shape": True,
    "tbl_hide_column_data_types": True,
    "tbl_rows": 60,
    "tbl_cols": -1,
    "fmt_str_lengths": 60,
    "tbl_width_chars": 200,
}


def text_table(table: pl.DataFrame) -> str:
    """A table as text, whole words, without Polars' types; a cell is one plain line."""
    texts = pl.col(pl.String).map_elements(plain_cell, return_dtype=pl.String, skip_nulls=True)
    table = table.with_columns(texts).rename(plain_cell)
    with pl.Config(**_WIDE, tbl_formatting="NOTHING", float_precision=3):
        return str(table)
