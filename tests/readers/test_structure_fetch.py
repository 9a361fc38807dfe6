"""Structures of many proteins, from a loopback server, the cache and a folder."""

import json
from collections.abc import Callable

import pytest

from interplm_nb.cli import main as cli
from interplm_nb.readers.report import InputError
from interplm_nb.readers.structure_fetch import FETCHED, fetch_structures
from interplm_nb.readers.structure_files import StructureFiles
from tests.readers.test_structure_files import (  # the server and its fixtures
    SEQUENCE,
    Server,
    files,
    folder,
    server,
)

__all__ = ["files", "server"]
BEST = "/api/mappings/best_structures/P69905"


@pytest.fixture
def of_pdbe(files: Callable[..., StructureFiles], server: Server) -> Callable[..., StructureFiles]:
    server.pages[BEST] = json.dumps(
        {"P69905": [{"pdb_id": "1A3N", "chain_id": "A"}, {"pdb_id": "1xyz", "chain_id": "B"}]}
    )
    return lambda **options: files(pdbe_address=server.address, **options)


def rows(files: StructureFiles, *accessions: str, pdb: bool = False) -> list[tuple]:
    found = fetch_structures(files, accessions, pdb)
    assert dict(found.schema) == FETCHED
    return found.select("accession", "origin", "why_not").rows()


def test_what_is_here_is_not_asked_for(of_pdbe, server, tmp_path):
    own = folder(tmp_path, "Q1.cif")
    assert rows(of_pdbe(own=own), "Q1") == [("Q1", "here", None)] and server.requests == []
    assert rows(of_pdbe(), "P69905")[0][1] == "AlphaFold DB"
    assert rows(of_pdbe(), "P69905") == [("P69905", "here", None)]
    assert len(server.requests) == 2
    assert rows(of_pdbe(refresh=True), "P69905")[0][1] == "AlphaFold DB"


def test_the_entry_of_the_pdb_comes_first_where_it_is_asked_for(of_pdbe, server):
    assert rows(of_pdbe(), "P69905")[0][1] == "AlphaFold DB"
    assert rows(of_pdbe(), "P69905", pdb=True) == [("P69905", "PDB", None)]
    assert server.requests[-2:] == [BEST, "/download/1a3n.cif"]
    offline = of_pdbe(offline=True)
    assert offline.has("P69905") and rows(offline, "P69905", pdb=True)[0][1] == "here"
    found = offline.structure("P69905", SEQUENCE)
    assert found.name == "1a3n.cif.gz" and found.positions["101"] == 1


def test_without_an_entry_the_model_is_taken(of_pdbe, server):
    del server.pages[BEST]
    assert rows(of_pdbe(), "P69905", pdb=True) == [("P69905", "AlphaFold DB", None)]


@pytest.mark.parametrize(
    "answer", ["<html>", "{}", '{"P69905": []}', '{"P69905": [{"pdb_id": 7}]}']
)
def test_an_answer_without_an_entry_is_refused(of_pdbe, server, answer):
    server.pages[BEST] = answer
    with pytest.raises(InputError, match=r"PDBe's answer about P69905 names no PDB entry: .*"):
        of_pdbe().best_entry("P69905")


def test_offline_and_unknown_proteins_say_why(of_pdbe, server):
    (_, origin, why), (_, _, other) = rows(of_pdbe(offline=True), "P69905", "mine")
    assert origin is None and "not in the cache" in why and "and offline" in why
    assert "'mine' is not a UniProt accession" in other and server.requests == []


def test_a_server_that_does_not_answer_is_asked_once(of_pdbe, monkeypatch):
    from interplm_nb.readers.http import Connection

    asked, honest = [], Connection.get
    monkeypatch.setattr(Connection, "get", lambda self, url: asked.append(url) or honest(self, url))
    found = rows(of_pdbe(alphafold_address="http://127.0.0.1:9"), "P69905", "Q99999", "O31834")
    assert len(asked) == 1 and all("did not answer" in why for _, _, why in found)


def test_the_command_counts_and_says_why(tmp_path, capsys):
    own = folder(tmp_path, "P69905.cif")
    words = ["--own", str(own), "--cache", str(tmp_path / "c"), "--offline"]
    (tmp_path / "list.txt").write_text("P69905\nP68871\n", encoding="utf-8")
    (tmp_path / "two.fasta").write_text(">P69905\nMKV\n>P68871\nMKV\n", encoding="utf-8")
    for asked in (
        ["P69905", "P68871"],
        [str(tmp_path / "list.txt")],
        [str(tmp_path / "two.fasta")],
    ):
        assert cli.main(["data", "structures", *asked, *words]) == 0
        said = capsys.readouterr().out
        assert said.startswith("2 proteins: 1 were here, 1 without a structure; in ")
        assert "P68871: AlphaFold DB's model of P68871: not in the cache" in said
