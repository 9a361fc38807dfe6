"""Tables as text, for terminals."""

import polars as pl

_WIDE = {
    "tbl_hide_dataframe_shape": True,
    "tbl_hide_column_data_types": True,
    "tbl_rows": 60,
    "tbl_cols": -1,
    "fmt_str_lengths": 60,
    "tbl_width_chars": 200,
}


def text_table(table: pl.DataFrame) -> str:
    """A table as text, whole words, without Polars' types."""
    with pl.Config(**_WIDE, tbl_formatting="NOTHING", float_precision=3):
        return str(table)
