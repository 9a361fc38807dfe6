"""Feature-concept tables to publish: TSV under a header that documents every figure.

    # type: "interplm-nb feature-concept table"        leading lines with #: one JSON value per key
    # convention: "strict"
    # column threshold (Float64): "a residue is active ..."
    feature <tab> concept <tab> ...                    then plain TSV, UTF-8

Tabs, line ends and backslashes in texts are written as \\t, \\n, \\r and \\\\, other control
characters as \\u001b; a text that a spreadsheet would run is led by an apostrophe. An empty cell is
null.
"""

import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from interplm_nb import __version__
from interplm_nb.plain_text import plain
from interplm_nb.saving import atomic_path
from interplm_nb.spreadsheet import defused, undefused

TYPE = "interplm-nb feature-concept table"
VERSION = 1

EXPLAINED = {
    "feature": "index of the feature, from 0",
    "concept": "name of the concept",
    "category": "category of the concept",
    "level": "what recall_per_domain counts: instances (instance) or residues (residue)",
    "threshold": "residues above this fraction of the feature's maximum are active (by validation)",
    "test_threshold": "the same, chosen again on test (published convention only)",
    "validation_f1_per_domain": "f1_per_domain on validation, by which the pair was chosen",
    "validation_f1": "f1 on validation",
    "precision": "test: active residues that carry the concept / active residues",
    "recall": "test: active residues that carry the concept / residues that carry it",
    "recall_per_domain": "test: instances with an active residue / instances",
    "f1": "test: harmonic mean of precision and recall",
    "f1_per_domain": "test: harmonic mean of precision and recall_per_domain (InterPLM's headline)",
    "n_instances": "instances of the concept on test",
    "n_residues": "residues of the concept on test",
    "low": "lower end of the 95 % interval of f1_per_domain over homology clusters",
    "high": "upper end of that interval",
    "q_value": "false discovery rate at which the pair beats chance on test; empty if not tested",
    "auprc": "test: area under the precision-recall curve over residues",
    "density_class": "by the share of residues on which the feature is active: silent 0, rare "
    "below 0.01 %, sparse below 1 %, frequent below 10 %, else dense",
    "protein_frequency": "share of proteins with an active residue",
    "share_when_present": "active share of a protein, mean over these proteins",
    "quantile_50": "median of the active values, fraction of the feature's maximum",
    "quantile_95": "95th percentile of the active values, fraction of the feature's maximum",
    "protein_entropy": "entropy of the activation over proteins, bits",
    "amino_acid_entropy": "entropy of the activation over the 20 amino acids, bits",
    "amino_acid_information": "divergence of the amino acids under the activation from those of "
    "all proteins, bits",
    "top_amino_acid": "the amino acid on which most of the activation falls",
    "position_bias": "Kolmogorov-Smirnov distance of the maxima's places in their proteins from "
    "uniform",
    "shape": "along proteins: point, motif, domain, whole protein, periodic, mixed, too few",
    "mean_run": "mean length of unbroken active stretches, residues",
    "longest_run": "length of the longest, residues",
    "period": "residues from one stretch to the next; empty: not periodic",
    "motif_information": "information of the letters around the feature's maxima, bits",
    "motif_pattern": "PROSITE pattern of the letters around the feature's maxima; empty: no motif",
    "description": "what the feature responds to, in words; empty: not described",
    "described_by": "statistical, or the language model that described it",
    "description_r": "Pearson r of maxima predicted from the description, on proteins not seen",
    "note": "a person's own description of the feature",
}
"""Columns that the header explains, in the order written; other columns follow, with name and
type."""

_NEEDED = ("feature", "concept", "threshold", "validation_f1_per_domain", "f1_per_domain")
_COLUMN = re.compile(r"column (\S+) \((\w+)\)")
_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_RAW = {written: raw for raw, written in _ESCAPES.items()}
_TYPES: dict[str, Any] = {
    str(kind): kind
    for kind in (
        pl.String,
        pl.Boolean,
        pl.Float32,
        pl.Float64,
        pl.Int8,
        pl.Int16,
        pl.Int32,
        pl.Int64,
        pl.UInt8,
        pl.UInt16,
        pl.UInt32,
        pl.UInt64,
    )
}


class Exported(NamedTuple):
    """Result of `read_exported`."""

    table: pl.DataFrame
    about: dict[str, Any]
    """The header: convention, model, hashes; `columns` maps names to explanations."""


def write_exported(table: pl.DataFrame, path: Path, about: Mapping[str, Any]) -> None:
    """Write pairs of feature and concept, the best of each feature first, atomically.

    `table` has the columns of `links.LINKS`; others are written too. `about` maps keys to JSON
    values, the lines of the header. ValueError for a missing column, or a column or key that a
    line of text cannot hold.
    """
    missing = [name for name in _NEEDED if name not in table.columns]
    if missing:
        raise ValueError(
            f"a feature-concept table needs {', '.join(_NEEDED)}; {', '.join(missing)} not among "
            f"{', '.join(table.columns)}"
        )
    odd = [
        f"{name} ({kind})"
        for name, kind in table.schema.items()
        if str(kind) not in _TYPES or re.search(r"\s", name)
    ]
    if odd:
        raise ValueError(
            "TSV holds numbers, strings and booleans under names without spaces; leave out "
            f"{', '.join(odd)}"
        )
    columns = [name for name in EXPLAINED if name in table.columns] + [
        name for name in table.columns if name not in EXPLAINED
    ]
    rows = table.select(columns).sort(
        "feature", "validation_f1_per_domain", "concept", descending=[False, True, False]
    )
    record = {
        "type": TYPE,
        "version": VERSION,
        "package": __version__,
        "pairs": rows.height,
        **about,
    }
    bad = [key for key in record if not re.fullmatch(r"[A-Za-z_]\w*", key)]
    if bad:
        raise ValueError(f"header keys must be names such as plm_revision, not {bad[0]!r}")
    record |= {f"column {name} ({rows.schema[name]})": EXPLAINED.get(name, "") for name in columns}
    lines = [
        plain(f"# {key}: {json.dumps(value, ensure_ascii=False, allow_nan=False)}")
        for key, value in record.items()
    ]
    texts = pl.col(pl.String).map_elements(_escaped, return_dtype=pl.String, skip_nulls=True)
    body = rows.with_columns(texts).write_csv(separator="\t", quote_style="never")
    with atomic_path(Path(path)) as draft:
        draft.write_text("\n".join(lines) + "\n" + body, encoding="utf-8", newline="\n")


def read_exported(path: Path, sae: str | None = None) -> Exported:
    """Read what `write_exported` wrote, with its types; an empty string reads as null.

    sae: `SAE.weight_hash` of the SAE whose features are to be named. ValueError for the table of
    another one, and for another kind of file or version.
    """
    lines = Path(path).read_text(encoding="utf-8").split("\n")
    head = [
        line.removeprefix("# ")
        for line in lines[
            : next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
        ]
    ]
    if not head or head[0] != f"type: {json.dumps(TYPE)}":
        raise ValueError(
            f"{path}: expected an {TYPE}, as its first line says; found {lines[0][:60]!r}"
        )
    record = dict(_line(path, line) for line in head)
    if record.pop("version", None) != VERSION:
        raise ValueError(
            f"{path}: not version {VERSION} of an {TYPE}; export it again with this package"
        )
    if sae is not None and record.get("sae") != sae:
        raise ValueError(
            f"{path}: the table of features of the SAE with the weights "
            f"{record.get('sae') or 'that it does not name'}, but this SAE's are {sae}: the same "
            "numbers are other features; take the table that was made for this SAE"
        )
    matches = [(key, match) for key in record if (match := _COLUMN.fullmatch(key))]
    explained = {match[1]: record.pop(key) for key, match in matches}
    schema = {match[1]: _TYPES[match[2]] for _, match in matches}
    text = "\n".join(lines[len(head) :])
    table = pl.read_csv(io.StringIO(text), separator="\t", quote_char=None, schema=schema)
    table = table.with_columns(pl.col(pl.String).map_elements(_unescaped, return_dtype=pl.String))
    if table.height != record["pairs"]:
        raise ValueError(
            f"{path}: the header says {record['pairs']} pairs, but there are {table.height}; the "
            "file "
            "was cut off or changed"
        )
    return Exported(table, {**record, "columns": explained})


def _line(path: Path, line: str) -> tuple[str, Any]:
    key, _, value = line.partition(": ")
    try:
        return key, json.loads(value)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{path}: the header line {line[:60]!r} cannot be read; the file was changed, export "
            "it "
            "again"
        ) from error


def _escaped(text: str) -> str:
    text = defused(text)
    for raw, written in _ESCAPES.items():
        text = text.replace(raw, written)
    return plain(text)


def _unescaped(text: str) -> str:
    return undefused(re.sub(r"(\\u[0-9a-f]{4})+|\\.", _raw, text))


def _raw(found: re.Match[str]) -> str:
    if found[1]:  # pairs of surrogates encode one letter
        return str(json.loads(f'"{found[0]}"'))
    return _RAW.get(found[0], found[0])
