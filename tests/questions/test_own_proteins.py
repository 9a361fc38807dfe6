"""Proteins as people give them: each form is the same proteins, each mistake a sentence."""

import threading
from pathlib import Path

import pytest

from interplm_nb.proteins import Proteins
from interplm_nb.questions.own_proteins import own_proteins
from interplm_nb.readers.http import Connection
from interplm_nb.readers.report import InputError
from interplm_nb.readers.uniprot_rest import UniProtREST
from tests.readers.test_uniprot_rest import ENTRIES, FIELDS, serving

A, B = "MKTAYIAKQRQISFVKSHFSRQ", "GAVLIMFWPSTCYNQDEKRH"
FASTA = f">one first\n{A}\n>two\n{B}\n"


@pytest.fixture
def service(tmp_path: Path):
    with serving(ENTRIES) as server:
        yield UniProtREST(
            tmp_path / "cache",
            address=server.address,
            fields=FIELDS,
            connection=Connection(timeout=5, retries=0),
        )


def test_a_file_a_text_and_a_mapping_are_the_same_proteins(tmp_path, monkeypatch):
    path = tmp_path / "mine.fasta"
    path.write_text(FASTA, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    proteins = Proteins.from_sequences({"one": A, "two": B})
    for asked in (path, str(path), "mine.fasta", FASTA, {"one": A, "two": B}, proteins):
        read = own_proteins(asked)
        assert (read.proteins.accessions, read.proteins.sequences) == (["one", "two"], [A, B])
        assert read.report.kept == 2 and len(read.annotations) == 0


def test_sequences_without_names_get_some():
    assert own_proteins([A, f" {B.lower()} "]).proteins.sequences == [A, B]
    assert own_proteins([A, B]).proteins.accessions == ["sequence_1", "sequence_2"]
    assert own_proteins(f"{A[:9]}\n{A[9:]}").proteins.sequences == [A]


def test_accessions_come_with_their_annotations_in_every_form(service, tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("P00003\nP00001\n", encoding="utf-8")
    for asked in (["P00001", "P00003"], "P00001, P00003", path, str(path)):
        read = own_proteins(asked, service=service)
        assert read.proteins.accessions == ["P00001", "P00003"]
        assert read.annotations.concepts == ["Helix"]


def test_an_accession_that_uniprot_lacks_is_counted(service):
    read = own_proteins(["P00001", "P99999"], service=service)
    assert read.report.counts()["accession not answered"] == 1 and read.report.rejected == 1
    assert str(read.report).startswith("UniProt: 1 proteins kept")
    with pytest.raises(InputError, match="P99999: accession not answered"):
        own_proteins(["P00001", "P99999"], strict=True, service=service)


def test_without_a_network_it_says_so(tmp_path):
    away = UniProtREST(
        tmp_path, address="http://127.0.0.1:9", connection=Connection(timeout=1, retries=0)
    )
    with pytest.raises(InputError, match=r"did not answer .*; check the network and run again"):
        own_proteins("P00001", service=away)
    with pytest.raises(InputError, match=r"1 accessions: not in the cache .*, and offline"):
        own_proteins("P00001", service=UniProtREST(tmp_path, offline=True))
    assert threading.active_count() < 50


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"dna": "ACGT" * 20}, "no protein is left.*nucleotides, not residues"),
        (f">dna\n{'ACGT' * 20}\n", "the pasted FASTA|nucleotides, not residues"),
        ([], "no protein is left"),
        ({"gap": "MK-V"}, "no protein is left.*gap in the sequence"),
        ("nowhere.fasta", "nowhere.fasta"),
        (["P00001", A], "P00001 is an accession and 'MKTA.*' is not"),
    ],
)
def test_what_is_no_protein_is_said(asked, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((InputError, FileNotFoundError), match=f"(?s){text}"):
        own_proteins(asked)
