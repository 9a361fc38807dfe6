"""docs/formats.md, from the table."""

from pathlib import Path

from interplm_nb.readers import opening
from tests.formats import labels, models, motifs, proteins, structures_of_many, variants
from tests.formats.table import Format

PAGE = Path(__file__).parents[2] / "docs" / "formats.md"
KINDS: dict[str, list[Format]] = {
    "Proteins": proteins.PROTEINS,
    "Alignments": proteins.ALIGNMENTS,
    "Labels": labels.LABELS,
    "Motifs": motifs.MOTIFS,
    "Mutational scans": variants.VARIANTS,
    "Your own embeddings": models.EMBEDDINGS,
    "Structures": models.STRUCTURES + structures_of_many.MANY,
    "Others' SAEs": models.SAES,
    "Models": models.MODELS,
    "Settings": labels.SETTINGS,
}
_HEAD = """# Formats

What can be read, and what is refused. Text files may be plain, gzip or zstd; UTF-8, with any line
ends. Words in quotation marks are from the message that you get. Each entry has an example that is
read, or refused with these words, by a test (`tests/formats`); an entry that names several has an
example of each. This page is made from the examples:

    python scripts/build_formats.py

Small files can expand to gigabytes. These bounds are checked before the memory is taken:

| what | at most |
|---|---|
| a line, and a record of proteins or of an alignment | {record} MiB |
| a file that is read whole, decompressed: a structure, a table | {text} MiB |
| rows that a Parquet table or a category of BinaryCIF declares | {rows} |
| a text column of BinaryCIF: its rows times its longest text | {letters} letters |
| embeddings of one protein, as their file declares, in float32 | {array} GiB |
""".format(
    record=opening.LONGEST_RECORD >> 20,
    text=opening.LARGEST_TEXT >> 20,
    letters=f"{opening.LARGEST_TEXT:,}",
    rows=f"{opening.MOST_ROWS:,}",
    array=opening.LARGEST_ARRAY >> 30,
)


def page() -> str:
    """The text of docs/formats.md."""
    parts = [_HEAD]
    for kind, formats in KINDS.items():
        rows = [
            f"| {f.name} | `{f.function}` | {_listed(r.says for r in f.read)} | "
            f"{_listed(f'{r.says}: “{r.why}”' for r in f.refused)} |"
            for f in formats
        ]
        parts.append("\n".join([f"## {kind}\n", "| format | by | read | refused |", _RULE, *rows]))
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


_RULE = "|---|---|---|---|"


def _listed(texts) -> str:
    return "<br>".join(text.replace("|", "\\|") for text in texts) or "none"
