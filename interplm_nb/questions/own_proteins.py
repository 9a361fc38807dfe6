"""Proteins as a person has them: a file, accessions of UniProt, sequences pasted in a notebook."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from interplm_nb.annotations import Annotations
from interplm_nb.proteins import Proteins
from interplm_nb.questions.annotate import read_texts
from interplm_nb.readers.entries import ProteinsRead
from interplm_nb.readers.opening import open_text
from interplm_nb.readers.read import read
from interplm_nb.readers.report import InputError, ReadReport
from interplm_nb.readers.uniprot_rest import ACCESSION, CACHE, UniProtREST
from interplm_nb.scratch import scratch_folder

OwnProteins = str | Path | Sequence[str] | Mapping[str, str] | Proteins
"""A file, as a path or a text with a "." or "/"; accessions; sequences, with names or without;
FASTA as a text."""

LONGEST_LIST = 1_000_000
"""Bytes of a list of accessions at most; a longer file is one of proteins."""


def own_proteins(
    asked: OwnProteins, strict: bool = False, service: UniProtREST | None = None
) -> ProteinsRead:
    """Read proteins, with their annotations where they come from UniProt.

    Parameters
    ----------
    asked
        A file that `readers.read.read` reads, or one of accessions; accessions, which are fetched
        from UniProt; sequences, as one text, a list or `{name: sequence}`; FASTA as one text; or
        `Proteins`.
    strict
        Stop at the first record that cannot be used instead of skipping and reporting it.
    service
        Where accessions are requested; default: UniProt, through the cache of `interplm-nb data
        fetch`.

    Raises
    ------
    InputError
        Where no protein is left; for accessions among sequences; without a network for accessions
        that are not in the cache.

    Examples
    --------
    >>> own_proteins({"mine": "MKTAYIAKQR"}).proteins
    Proteins(1 proteins, 10 residues)
    """
    if isinstance(asked, str):
        return _text(asked.strip(), strict, service)
    if isinstance(asked, Path):
        names = listed(asked)
        return _fetched(names, strict, service) if names else _file(asked, strict)
    if isinstance(asked, Mapping | Proteins):
        return _sequences(asked, strict)
    names = [text.strip() for text in asked]
    are = [ACCESSION.fullmatch(name) is not None for name in names]
    if names and all(are):
        return _fetched(names, strict, service)
    if any(are):
        raise InputError(
            f"{names[are.index(True)]} is an accession and {names[are.index(False)][:20]!r} is "
            "not; give accessions alone, or sequences alone"
        )
    return _sequences({f"sequence_{i}": text for i, text in enumerate(names, 1)}, strict)


def _text(text: str, strict: bool, service: UniProtREST | None) -> ProteinsRead:
    if text.startswith(">"):
        with scratch_folder() as folder:
            path = folder / "pasted.fasta"
            path.write_text(text + "\n", encoding="utf-8")
            found = _file(path, strict)
        found.report.file = "the pasted FASTA"
        return found
    words = re.split(r"[\s,;]+", text)
    if all(ACCESSION.fullmatch(word) for word in words):
        return _fetched(words, strict, service)
    if "." in text or "/" in text:
        return own_proteins(Path(text).expanduser(), strict, service)
    return _sequences({"sequence_1": text}, strict)


def listed(path: Path) -> list[str]:
    """The accessions of a file that holds nothing else; empty for another file."""
    if not path.is_file() or path.stat().st_size > LONGEST_LIST:
        return []
    with open_text(path) as text:
        words = text.read(LONGEST_LIST).split()
    return words if all(ACCESSION.fullmatch(word) for word in words) else []


def _file(path: Path, strict: bool) -> ProteinsRead:
    return read(path, strict=strict, min_instances=1)  # few proteins: every concept has its name


def _fetched(names: Sequence[str], strict: bool, service: UniProtREST | None) -> ProteinsRead:
    answer = (service or UniProtREST(CACHE.expanduser())).accessions(names, strict)
    found = _file(answer.path, strict)
    found.report.file = "UniProt"
    found.report.add(answer.report)
    return found


def _sequences(asked: Mapping[str, str] | Proteins, strict: bool) -> ProteinsRead:
    proteins, report = (
        (asked, ReadReport("the proteins", strict))
        if isinstance(asked, Proteins)
        else read_texts(asked, ReadReport("the sequences", strict))
    )
    report.kept = len(proteins)
    if not len(proteins):
        raise InputError(f"{report.file}: no protein is left. {report}")
    return ProteinsRead(proteins, Annotations.empty(proteins), report)
