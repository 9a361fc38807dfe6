import gzip
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from interplm_nb.readers.http import Connection
from interplm_nb.readers.report import InputError
from interplm_nb.readers.uniprot_rest import UniProtREST
from interplm_nb.readers.uniprot_tsv import read_uniprot_tsv

ENTRIES = {
    f"P{i:05}": {"sequence": "ACDEFGHIKL", "length": "10", "ft_helix": "HELIX 2..5"}
    for i in range(23)
}
FIELDS = ("accession", "length", "sequence", "ft_helix")
COLUMNS = {"accession": "Entry", "sequence": "Sequence", "ft_helix": "Helix", "length": "Length"}


class UniProtServer(ThreadingHTTPServer):
    """A loopback server that speaks the part of UniProt's REST protocol that is requested.

    Entries by accession; `faults` are used up one per request, before the right answer is given.
    """

    daemon_threads = True

    def __init__(self, entries: dict[str, dict[str, str]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.entries = entries
        self.faults: list[str] = []
        self.requests: list[str] = []
        self.release = "2026_01"
        self.next_address: str | None = None
        self.total: int | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def serving(entries: dict[str, dict[str, str]]) -> Iterator[UniProtServer]:
    with UniProtServer(entries) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: UniProtServer  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        fault = self.server.faults.pop(0) if self.server.faults else None
        if fault == "hang":
            time.sleep(0.5)
        elif fault == "drop":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"Entry\tSeq")
        elif fault:
            self._send(
                int(fault),
                json.dumps({"messages": ["no such field 'ft_helixx'"]}).encode(),
                {"Retry-After": "0"} if fault == "429" else {},
            )
        else:
            self._answer()

    def _answer(self) -> None:
        asked = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        entries = self.server.entries
        found = (
            [a for a in asked["accessions"].split(",") if a in entries]
            if "accessions" in asked
            else list(entries)
        )
        start, size = int(asked.get("cursor", 0)), int(asked["size"])
        total = self.server.total if self.server.total is not None else len(found)
        headers = {"X-Total-Results": str(total), "X-UniProt-Release": self.server.release}
        if start + size < len(found):
            query = urlencode({**asked, "cursor": start + size})
            following = f"{self.server.address}{urlsplit(self.path).path}?{query}"
            headers["Link"] = f'<{self.server.next_address or following}>; rel="next"'
        fields = asked["fields"].split(",")
        rows = ["\t".join(COLUMNS[field] for field in fields)]
        rows += [
            "\t".join({"accession": a, **entries[a]}.get(field, "") for field in fields)
            for a in found[start : start + size]
        ]
        self._send(200, "".join(f"{row}\n" for row in rows).encode(), headers)

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        if "gzip" in self.headers.get("Accept-Encoding", ""):
            body, headers = gzip.compress(body), {**headers, "Content-Encoding": "gzip"}
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the tests look at `requests`."""


@pytest.fixture
def server():
    with serving(ENTRIES) as server:
        yield server


@pytest.fixture
def uniprot(server, tmp_path):
    def make(**options):
        connection = Connection(timeout=10, retries=3, wait=0.001)
        defaults = {
            "address": server.address,
            "fields": FIELDS,
            "page_size": 5,
            "connection": connection,
            "progress": False,
        }
        return UniProtREST(tmp_path / "cache", **{**defaults, **options})

    return make


def cached(tmp_path):
    return sorted(path.suffix for path in (tmp_path / "cache").iterdir())


def test_a_query_is_followed_over_all_pages_and_read(server, uniprot, tmp_path):
    path, report = uniprot().search("organism_id:9606 AND reviewed:true")
    assert report.kept == 23
    assert len(server.requests) == 5
    assert server.requests[0].startswith(
        "/uniprotkb/search?query=organism_id%3A9606+AND+reviewed%3Atrue"
        "&format=tsv&fields=accession%2C"
    )
    read = read_uniprot_tsv(path, strict=True)
    assert read.proteins.accessions == list(ENTRIES)
    assert read.annotations.summary()["n_instances"].to_list() == [23]
    assert cached(tmp_path) == [".json", ".tsv"]


def test_asking_again_needs_no_network_and_refresh_asks_again(server, uniprot):
    first = uniprot().search("kinase")
    n = len(server.requests)
    assert uniprot().search("kinase").path == first.path
    assert uniprot(offline=True).search("kinase").report.kept == 23
    assert len(server.requests) == n
    uniprot(refresh=True).search("kinase")
    assert len(server.requests) == 2 * n
    assert uniprot(fields=("accession", "sequence")).search("kinase").path != first.path


def test_offline_without_a_download_says_so(server, uniprot):
    with pytest.raises(
        InputError,
        match=r"query 'kinase': not in the cache .*, and offline; run it once with a network",
    ):
        uniprot(offline=True).search("kinase")
    assert server.requests == []


def test_a_damaged_cache_is_downloaded_again(uniprot):
    path = uniprot().search("kinase").path
    whole = path.read_text()
    path.write_text(whole[:50])
    assert uniprot().search("kinase").path.read_text() == whole


@pytest.mark.parametrize("fault", ["429", "503", "500", "drop"])
def test_faults_that_pass_are_tried_again(server, uniprot, fault):
    server.faults = [fault, fault]
    assert uniprot().search("kinase").report.kept == 23
    assert len(server.requests) == 7


def test_an_answer_that_does_not_come_in_time_is_asked_for_again(server, uniprot):
    server.faults = ["hang"]
    # as many tries as a loaded machine may need
    assert (
        uniprot(connection=Connection(timeout=0.25, retries=50, wait=0.001))
        .search("kinase")
        .report.kept
        == 23
    )
    assert len(server.requests) > 5


def test_a_server_that_never_answers(server, uniprot, tmp_path):
    server.faults = ["503"] * 4
    with pytest.raises(
        InputError,
        match=r"http://127\.0\.0\.1:\d+ did not answer \(503 Service Unavailable; 4 tries\); "
        "check the network",
    ):
        uniprot().search("kinase")
    assert not (tmp_path / "cache").exists()


def test_no_network(uniprot):
    with pytest.raises(
        InputError,
        match=r"http://127\.0\.0\.1:9 did not answer \(.*refused.*\); check the network and run "
        "again, "
        "or work offline from the cache",
    ):
        uniprot(address="http://127.0.0.1:9").search("kinase")


def test_a_refused_request_is_not_tried_again_and_tells_the_reason(server, uniprot):
    server.faults = ["400"]
    with pytest.raises(
        InputError, match=r"refused http.*: 400 Bad Request. no such field 'ft_helixx'"
    ) as caught:
        uniprot().search("kinase")
    assert len(server.requests) == 1
    assert "gzip" not in str(caught.value)


def test_an_interrupted_download_goes_on_where_it_stopped(server, uniprot, tmp_path):
    connection = Connection(timeout=10, retries=0)
    server.faults = ["", "", "503"]
    with pytest.raises(InputError, match="did not answer"):
        uniprot(connection=connection).search("kinase")
    assert cached(tmp_path) == [".pages"]
    assert uniprot(connection=connection).search("kinase").report.kept == 23
    assert len(server.requests) == 3 + 3
    assert cached(tmp_path) == [".json", ".tsv"]


def test_pages_of_two_releases_are_not_mixed(server, uniprot):
    server.faults = ["", "503"]
    with pytest.raises(InputError, match="did not answer"):
        uniprot(connection=Connection(timeout=10, retries=0)).search("kinase")
    server.release = "2026_02"
    assert uniprot().search("kinase").report.kept == 23
    assert len(server.requests) == 2 + 4 + 5


def test_fewer_entries_than_promised(server, uniprot, tmp_path):
    server.total = 24
    with pytest.raises(InputError, match=r"query 'kinase': got 23 of 24 entries; try again"):
        uniprot().search("kinase")
    assert cached(tmp_path) == []


def test_a_next_page_elsewhere_is_not_followed(server, uniprot):
    server.next_address = "file:///etc/hostname"
    with pytest.raises(
        InputError, match="names file:///etc/hostname as the next page, which is another server"
    ):
        uniprot().search("kinase")


def test_a_query_that_finds_nothing(server, uniprot):
    server.entries = {}
    path, report = uniprot().search("nothing")
    assert report.kept == 0
    with pytest.raises(InputError, match="no protein is left"):
        read_uniprot_tsv(path)


def test_accessions_are_asked_for_in_groups_and_what_is_missing_is_reported(
    server, uniprot, monkeypatch
):
    monkeypatch.setattr("interplm_nb.readers.uniprot_rest._ACCESSIONS_PER_REQUEST", 4)
    path, report = uniprot(page_size=3).accessions(
        ["P00003", "P00001", "P00002", "P00001", "Q99999", "P00004", "../etc/passwd", "p00005"]
    )
    assert read_uniprot_tsv(path).proteins.accessions == ["P00001", "P00002", "P00003", "P00004"]
    assert len(server.requests) == 2 + 1
    assert report.kept == 4
    assert report.records("accession not answered") == ["Q99999"]
    assert report.records("not a UniProt accession") == ["../etc/passwd", "p00005"]
    assert not any("passwd" in request for request in server.requests)


def test_a_strict_list_stops_at_what_is_missing(uniprot):
    with pytest.raises(
        InputError, match=r"accession list: Q99999: accession not answered: obsolete, merged"
    ):
        uniprot().accessions(["P00001", "Q99999"], strict=True)
    with pytest.raises(
        InputError,
        match=r"accession list: x y: not a UniProt accession: 'x y'; write accessions as P69905",
    ):
        uniprot().accessions(["x y"], strict=True)


@pytest.mark.parametrize("accession", ["P69905", "A0A023GRW4", "Q1MS15", "A2BC19"])
def test_real_accessions_have_the_form(uniprot, accession):
    assert uniprot().accessions([accession]).report.records("accession not answered") == [accession]


def test_nothing_to_ask_for(uniprot):
    with pytest.raises(InputError, match="no UniProt accession to ask for"):
        uniprot().accessions([])
    with pytest.raises(InputError, match="query is empty"):
        uniprot().search(" ")


def test_a_table_without_accessions_is_refused(uniprot):
    with pytest.raises(InputError, match="let 'accession' be among the fields"):
        uniprot(fields=("sequence",)).search("kinase")


def test_addresses_that_are_not_on_the_web():
    with pytest.raises(InputError, match="not a web address"):
        Connection().get("file:///etc/hostname")


@pytest.mark.usefixtures("progress_lines")
def test_progress_is_shown(uniprot, capsys):
    uniprot(progress=True).search("kinase")
    assert "23/23" in capsys.readouterr().err
