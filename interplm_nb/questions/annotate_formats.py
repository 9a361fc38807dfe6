"""Annotated sequences as JSON, GFF3 and TSV, with names from files escaped as each requires."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl

from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.model_note import model_note
from interplm_nb.plain_text import plain
from interplm_nb.questions.annotate import AnnotatedSequences, hidden_words
from interplm_nb.spreadsheet import tsv

FORMATS = {".json": "json", ".gff3": "gff3", ".gff": "gff3", ".tsv": "tsv", ".txt": "tsv"}
"""Format of a file by its suffix."""

_SEQID = ".:^*$@!+_?-|"
"""Characters besides letters and digits that a GFF3 sequence id holds unescaped."""

_ATTRIBUTE = " .:^*$@!+_?-|/()[]{}<>'#~\""
"""The same for an attribute's value; GFF3 reserves tab, newline, % ; = & and comma there."""

_CONTROL = ("precision", "recall_per_domain", "f1", "f1_per_domain", "n_instances", "q_value")


def format_of(path: Path | None, wanted: str | None) -> str:
    """The wanted format, else the one of the file's suffix, else "tsv".

    PipelineError for an unknown suffix.

    Examples
    --------
    >>> format_of(Path("mine.gff"), None), format_of(None, None)
    ('gff3', 'tsv')
    """
    if wanted or path is None:
        return wanted or "tsv"
    if path.suffix.lower() not in FORMATS:
        raise PipelineError(
            f"{path}: no format has the suffix {path.suffix!r}; "
            "name the file .json, .gff3 or .tsv, or give the format"
        )
    return FORMATS[path.suffix.lower()]


def written(found: AnnotatedSequences, kind: str, top: int) -> str:
    """`found` as "json", "gff3" or "tsv".

    Per sequence: the `top` most confident names and the `top` strongest other features.
    """
    return {"json": to_json, "gff3": to_gff3, "tsv": to_tsv}[kind](found, top)


def to_json(found: AnnotatedSequences, top: int = 20) -> str:
    """One JSON object, keys in this order: type, version, about, note, left_out, sequences.

    about: what annotated, and the settings. note: what a reader must know about the PLM, or "".
    left_out: reason, n, records. A sequence: accession, length, n_concepts and n_features (before
    `top`), concepts (columns of `NAMED`), features (of `FOUND`). Floats have 4 decimals, q_value 4
    digits.
    """
    concepts, features = (_by_accession(table) for table in found.top(top))
    totals = [
        dict(table.group_by("accession").len().iter_rows())
        for table in (found.concepts, found.features)
    ]
    sequences = [
        {"accession": accession, "length": length}
        | {
            name: total.get(accession, 0)
            for name, total in zip(("n_concepts", "n_features"), totals, strict=True)
        }
        | {
            name: _rounded(rows.get(accession, []))
            for name, rows in (("concepts", concepts), ("features", features))
        }
        for accession, length in zip(
            found.proteins.accessions, found.proteins.lengths.tolist(), strict=True
        )
    ]
    left_out = [
        {"reason": reason, "n": n, "records": found.report.records(reason)}
        for reason, n in found.report.counts().items()
    ]
    record = {
        "type": "AnnotatedSequences",
        "version": 1,
        "about": {**found.about, "top": top},
        "note": model_note(found.about["plm"]),
    }
    record |= {"left_out": left_out, "sequences": sequences}
    return plain(json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False))


def _by_accession(table: pl.DataFrame) -> dict[str, list[dict[str, Any]]]:
    parts = table.partition_by("accession", as_dict=True, maintain_order=True, include_key=False)
    return {str(accession): part.to_dicts() for (accession,), part in parts.items()}


def _rounded(value: Any, name: str = "") -> Any:
    if isinstance(value, list):
        return [_rounded(v) for v in value]
    if isinstance(value, dict):
        return {k: _rounded(v, k) for k, v in value.items()}
    if isinstance(value, float):
        return float(f"{value:.4g}") if name == "q_value" else round(value, 4)
    return value


def to_gff3(found: AnnotatedSequences, top: int = 20) -> str:
    """GFF3: a `polypeptide_region` per stretch; positions start at 1, ends included.

    The score is the confidence, or "." for a feature without a name. Attributes: ID, Name (the
    concept, or f/FEATURE), feature, position, maximum, threshold and, for a name, its figures on
    test. A sequence without a name gets a comment that says so.
    """
    concepts, features = found.top(top)
    named, others = _by_accession(concepts), _by_accession(_stretches(features))
    hidden = {row["accession"]: hidden_words(row) for row in found.hidden.to_dicts()}
    lines = ["##gff-version 3", *(f"# {line}" for line in _remarks(found))]
    for accession, length in zip(
        found.proteins.accessions, found.proteins.lengths.tolist(), strict=True
    ):
        lines.append(f"##sequence-region {_seqid(accession)} 1 {length}")
        if accession not in named:
            lines.append(
                f"# {_seqid(accession)}: no named concept with confidence >= "
                f"{found.about['min_confidence']:g}"
                + (f"; {hidden[accession]}" if accession in hidden else "")
            )
        rows = [*named.get(accession, []), *others.get(accession, [])]
        lines += [_gff3_line(accession, i, row) for i, row in enumerate(rows, 1)]
    return "\n".join(lines)


def _seqid(accession: str) -> str:
    return quote(accession, safe=_SEQID)


def _gff3_line(accession: str, number: int, row: dict[str, Any]) -> str:
    attributes = {
        "ID": f"{accession}.{number}",
        "Name": row.get("concept") or f"f/{row['feature']}",
    }
    attributes |= {key: row[key] for key in ("feature", "position", "maximum", "threshold")}
    attributes |= {
        key: row[key] for key in ("mean_confidence", *_CONTROL) if row.get(key) is not None
    }
    pairs = ";".join(
        f"{key}={quote(_text(value), safe=_ATTRIBUTE)}" for key, value in attributes.items()
    )
    score = _text(row["confidence"]) if "confidence" in row else "."
    return "\t".join(
        [
            _seqid(accession),
            "interplm-nb",
            "polypeptide_region",
            str(row["start"]),
            str(row["end"]),
            score,
            ".",
            ".",
            pairs,
        ]
    )


def to_tsv(found: AnnotatedSequences, top: int = 20) -> str:
    """A row per stretch, columns of `NAMED`.

    For a feature without a name, the concept, its confidence and its figures on test are empty.
    """
    concepts, features = found.top(top)
    order = {accession: i for i, accession in enumerate(found.proteins.accessions)}
    table = pl.concat([concepts, _stretches(features)], how="diagonal")
    place = table["accession"].replace_strict(order, return_dtype=pl.Int64)
    table = (
        table.with_columns(place.alias("order")).sort("order", maintain_order=True).drop("order")
    )
    if "q_value" in table.columns:  # fixed decimals would round small ones to 0
        table = table.with_columns(
            pl.Series(
                "q_value", [None if q is None else _text(q) for q in table["q_value"]], pl.String
            )
        )
    return tsv(table).rstrip("\n")


def _stretches(features: pl.DataFrame) -> pl.DataFrame:
    """A row per stretch: accession, feature, threshold, start, end, position, maximum."""
    return (
        features.select("accession", "feature", "threshold", "spans")
        .explode("spans")
        .unnest("spans")
    )


def _remarks(found: AnnotatedSequences) -> list[str]:
    about = found.about
    lines = [
        f"{about['plm']}, layer {about['layer']}, source {about['source']} of a run of profile "
        f"{about['profile']}; interplm-nb {about['package']}"
    ]
    lines += [model_note(about["plm"])] if model_note(about["plm"]) else []
    return lines + [
        f"left out or changed: {n} x {reason}" for reason, n in found.report.counts().items()
    ]


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
