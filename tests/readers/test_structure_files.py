"""Structure files of a folder, the PDB and AlphaFold DB, over a loopback server."""

import gzip
import io
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import biotite.structure as struc
import numpy as np
import pytest
from biotite.structure.io import pdbx

from interplm_nb.proteins import Proteins
from interplm_nb.readers import opening
from interplm_nb.readers.http import Connection
from interplm_nb.readers.report import InputError
from interplm_nb.readers.structure_files import ACCESSION, PDB_ENTRY, StructureFiles

SEQUENCE = "MKWCYDEFHKLM"
THREE = dict(
    zip(
        "MKWCYDEFHL",
        ("MET", "LYS", "TRP", "CYS", "TYR", "ASP", "GLU", "PHE", "HIS", "LEU"),
        strict=True,
    )
)
MODEL = "/files/AF-P69905-F1-model_v6.cif"


def mmcif(letters: str = SEQUENCE, first: int = 1) -> str:
    atoms = struc.AtomArray(len(letters))
    atoms.coord[:] = np.arange(len(letters))[:, None] * [3.8, 0, 0]
    atoms.chain_id[:], atoms.atom_name[:], atoms.element[:] = "A", "CA", "C"
    atoms.res_id = np.arange(len(letters)) + first
    atoms.res_name = np.array([THREE[letter] for letter in letters])
    file = pdbx.CIFFile()
    pdbx.set_structure(file, atoms, data_block="MODEL")
    text = io.StringIO()
    file.write(text)
    return text.getvalue()


class Server(ThreadingHTTPServer):
    """Answers what `pages` holds by path, else 404."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.pages: dict[str, str] = {MODEL: mmcif(), "/download/1a3n.cif": mmcif(first=101)}
        self.requests: list[str] = []
        self.offer(self.address + MODEL)

    def offer(self, url: object, accession: str = "P69905") -> None:
        isoform = {
            "uniprotAccession": f"{accession}-2",
            "cifUrl": f"{self.address}/files/AF-{accession}-2-F1-model_v6.cif",
        }
        self.pages[f"/api/prediction/{accession}"] = json.dumps(
            [isoform, {"uniprotAccession": accession, "cifUrl": url}]
        )


class _Handler(BaseHTTPRequestHandler):
    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        body = self.server.pages.get(self.path)
        self.send_response(404 if body is None else 200)
        packed = gzip.compress((body or "").encode())
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(packed)))
        self.end_headers()
        self.wfile.write(packed)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def files(server: Server, tmp_path: Path) -> Callable[..., StructureFiles]:
    def make(**options) -> StructureFiles:
        addresses = {"alphafold_address": server.address, "pdb_address": server.address}
        defaults = {
            "cache": tmp_path / "cache",
            "connection": Connection(timeout=10, retries=0),
            **addresses,
        }
        return StructureFiles(**{**defaults, **options})

    return make


def folder(tmp_path: Path, *names: str) -> Path:
    path = tmp_path / "own"
    path.mkdir()
    for name in names:
        text = mmcif().encode()
        (path / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    return path


@pytest.mark.parametrize(
    "name",
    [
        "P69905.cif",
        "P69905.cif.gz",
        "P69905.CIF",
        "AF-P69905-F1-model_v4.cif.gz",
        "P69905_1a3n.cif",
        "P69905-F1.mmcif",
        "P69905.relaxed.cif",
    ],
)
def test_a_file_of_the_folder_is_known_by_how_its_name_begins(files, server, tmp_path, name):
    found = files(own=folder(tmp_path, name, "README.md", "P69905x.cif")).structure(
        "P69905", SEQUENCE
    )
    assert (found.name, found.accession) == (name, "P69905")
    assert found.positions == {str(i): i for i in range(1, 13)}
    assert server.requests == []


def test_accessions_of_any_form_may_have_files(files, tmp_path):
    own = folder(tmp_path, "my_protein-7.cif")
    assert files(own=str(own)).structure("my_protein-7", SEQUENCE).accession == "my_protein-7"
    assert not files(own=own).has("protein")


def test_of_several_files_the_shortest_name_is_taken_then_the_first(files, tmp_path):
    own = folder(
        tmp_path,
        "AF-P69905-2-F1-model_v4.cif",
        "AF-P69905-F1-model_v6.cif",
        "AF-P69905-F1-model_v4.cif",
    )
    assert files(own=own).structure("P69905", SEQUENCE).name == "AF-P69905-F1-model_v4.cif"


def test_a_path_for_each_accession(files, tmp_path):
    path = folder(tmp_path, "fold_7.cif") / "fold_7.cif"
    assert files(own={"Q1": path}).structure("Q1", SEQUENCE).name == "fold_7.cif"


def test_a_folder_that_is_none(files, tmp_path):
    with pytest.raises(
        InputError, match=r"nowhere is not a folder; give the folder of the structure files"
    ):
        files(own=tmp_path / "nowhere").has("P69905")


def test_a_model_is_found_by_what_the_database_answers_and_cached(files, server, tmp_path):
    found = files().structure("P69905", "GGG" + SEQUENCE)
    assert found.name == "AF-P69905-F1-model_v6.cif.gz"
    assert found.positions == {str(i): i + 3 for i in range(1, 13)}
    assert server.requests == ["/api/prediction/P69905", MODEL]
    path = tmp_path / "cache/alphafold/P69905/AF-P69905-F1-model_v6.cif.gz"
    assert gzip.decompress(path.read_bytes()).decode() == mmcif()
    assert files(offline=True).model("P69905") == files().model("P69905") == path
    assert len(server.requests) == 2


def test_refresh_replaces_the_older_version(files, server, tmp_path):
    files().model("P69905")
    server.offer(f"{server.address}/files/AF-P69905-F1-model_v7.cif")
    server.pages["/files/AF-P69905-F1-model_v7.cif"] = mmcif("KWCYDEFHKLMM")
    assert files(refresh=True, offline=True).model("P69905").name == "AF-P69905-F1-model_v6.cif.gz"
    assert files(refresh=True).model("P69905").name == "AF-P69905-F1-model_v7.cif.gz"
    assert [path.name for path in (tmp_path / "cache/alphafold/P69905").iterdir()] == [
        "AF-P69905-F1-model_v7.cif.gz"
    ]


def test_a_files_name_that_a_folder_should_not_hold_is_replaced(files, server, tmp_path):
    server.offer(f"{server.address}/files/..%2F..%2Fx.cif")
    server.pages["/files/..%2F..%2Fx.cif"] = mmcif()
    assert files().model("P69905") == tmp_path / "cache/alphafold/P69905/AF-P69905.cif.gz"


@pytest.mark.parametrize(
    "url", ["https://elsewhere.example/x.cif", "file:///etc/hostname", 7, None]
)
def test_a_model_on_another_server_is_not_followed(files, server, url):
    server.offer(url)
    with pytest.raises(
        InputError,
        match=r"AlphaFold DB names .* as the model of P69905, which is another server than http",
    ):
        files().model("P69905")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        "<html>",
        "[]",
        "{}",
        '[{"uniprotAccession": "P69905"}]',
        '[{"uniprotAccession": "P69905-2", "cifUrl": "x"}]',
    ],
)
def test_an_answer_without_a_model(files, server, answer):
    server.pages["/api/prediction/P69905"] = answer
    with pytest.raises(
        InputError,
        match=r"AlphaFold DB's answer about P69905 names no mmCIF file: .*; give your own file",
    ):
        files().model("P69905")


def test_a_protein_without_a_model(files):
    with pytest.raises(
        InputError,
        match=r"AlphaFold DB's model of Q99999: http.* refused .*/api/prediction/Q99999: 404 Not "
        "Found; or give your own",
    ):
        files().model("Q99999")


def test_no_network_and_offline(files, server, tmp_path):
    with pytest.raises(
        InputError,
        match=r"PDB entry 1a3n: http://127.0.0.1:9 did not answer .*; or give your own file",
    ):
        files(pdb_address="http://127.0.0.1:9").entry("1A3N")
    for ask in (lambda f: f.model("P69905"), lambda f: f.entry("1a3n")):
        with pytest.raises(
            InputError,
            match=r"(model of P69905|entry 1a3n): not in the cache .*, and offline; download it "
            "once with a network",
        ):
            ask(files(offline=True))
    assert server.requests == []
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    "accession",
    ["../../etc/passwd", "P69905/..", "p69905", "P69905?x=1", "P69905\n", "", "P6990*", "Ｐ69905"],
)
def test_what_is_no_accession_reaches_no_address_and_no_path(files, server, tmp_path, accession):
    with pytest.raises(
        InputError,
        match="is not a UniProt accession, such as P69905 or A0A023GRW4; give your own file of "
        "the protein",
    ):
        files().structure(accession, SEQUENCE)
    assert not files().has(accession)
    assert server.requests == []
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    "entry", ["1a3", "1a3nx", "../1", "0a3n", "1a3n\n", "pdb_001a3n", "pdb_../../a", ""]
)
def test_what_is_no_entry_reaches_no_address_and_no_path(files, server, entry):
    with pytest.raises(
        InputError,
        match="is not a PDB entry; wanted four characters, as in 1a3n, or twelve, as in "
        "pdb_00001a3n",
    ):
        files().entry(entry)
    assert server.requests == []


def test_real_identifiers_have_the_form():
    assert all(ACCESSION.fullmatch(a) for a in ("P69905", "A0A023GRW4", "Q1MS15", "O14746"))
    assert all(PDB_ENTRY.fullmatch(e) for e in ("1a3n", "9zzz", "pdb_00001a3n", "pdb_10001abc"))


def test_an_entry_is_read_by_alignment_and_cached(files, server, tmp_path):
    found = files().structure("P69905", SEQUENCE, entry="1A3N")
    assert (found.name, found.positions["101"]) == ("1a3n.cif.gz", 1)
    assert files(offline=True).entry("pdb_00001a3n") == tmp_path / "cache/pdb/1a3n.cif.gz"
    assert server.requests == ["/download/1a3n.cif"]
    files(refresh=True).entry("1a3n")
    assert len(server.requests) == 2


def test_an_entry_of_another_protein_is_refused(files):
    with pytest.raises(InputError, match="no chain is P69905"):
        files().structure("P69905", "GGGGGGGGGGGG", entry="1a3n")


def test_a_page_in_place_of_a_file_is_not_cached(files, server, tmp_path):
    server.pages["/download/1a3n.cif"] = "<html>come back later</html>"
    with pytest.raises(
        InputError,
        match=r"PDB entry 1a3n: the answer starts with '<html>come.*'; wanted an mmCIF file",
    ):
        files().entry("1a3n")
    assert not (tmp_path / "cache").exists()


def test_a_file_that_is_too_large_is_not_cached(files, tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "LARGEST_TEXT", 100)
    with pytest.raises(
        InputError, match=r"PDB entry 1a3n has [\d,]+ characters, more than the limit of 100"
    ):
        files().entry("1a3n")
    assert not (tmp_path / "cache").exists()


def test_loaders_are_of_proteins_with_a_file_and_read_nothing_before(files, server, tmp_path):
    files().model("P69905")
    n = len(server.requests)
    own = folder(tmp_path, "Q1.cif", "broken.cif")
    (own / "broken.cif").write_text("nothing")
    proteins = Proteins.from_sequences(
        {"P69905": SEQUENCE, "Q1": SEQUENCE, "Q99999": SEQUENCE, "broken": SEQUENCE}
    )
    loaders = files(own=own).loaders(proteins)
    assert list(loaders) == ["P69905", "Q1", "broken"]
    assert [loaders[a]().accession for a in ("P69905", "Q1")] == ["P69905", "Q1"]
    with pytest.raises(InputError, match="cannot be read as a structure"):
        loaders["broken"]()
    assert len(server.requests) == n
