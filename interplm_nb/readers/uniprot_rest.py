"""UniProtKB entries by query or accession over the REST API, as a cached TSV file.

Answers come in pages; each names the next one in its `Link` header. Pages are cached one by one, so
that an interrupted download resumes; complete, they become one file, and the same request needs no
network again.
"""

import hashlib
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from interplm_nb.progress import progress_bar
from interplm_nb.readers.concepts import REST_FIELDS
from interplm_nb.readers.delimited import column_names, delimited
from interplm_nb.readers.entries import whole_number
from interplm_nb.readers.http import Connection
from interplm_nb.readers.opening import open_text
from interplm_nb.readers.report import InputError, ReadReport
from interplm_nb.saving import atomic_path, file_hash, json_hash, read_json, remove, write_json

ADDRESS = "https://rest.uniprot.org"
CACHE = Path("~/.cache/interplm-nb/uniprot")
_KIND, _VERSION = "UniProtDownload", 1
ACCESSION = re.compile(r"[OPQ][0-9][A-Z0-9]{3}[0-9]|[A-NR-Z][0-9](?:[A-Z][A-Z0-9]{2}[0-9]){1,2}")
"""https://www.uniprot.org/help/accession_numbers"""
_ACCESSIONS_PER_REQUEST = 200
"""Keeps URLs under 4,000 characters; servers may refuse 8,000."""


class Retrieval(NamedTuple):
    """A TSV file in the cache, and the accessions without an answer."""

    path: Path
    report: ReadReport


class _Page(NamedTuple):
    """One page of an answer; its rows are in their own file."""

    header: str
    n: int
    next: str | None
    total: int | None
    release: str | None
    file: str


@dataclass(frozen=True)
class UniProtREST:
    """UniProt's REST API with a cache folder."""

    cache: Path
    """Folder of downloads (`<hash of the request>.tsv` and `.json`), finished or begun."""
    offline: bool = False
    """Use only the cache."""
    refresh: bool = False
    """Download again what is in the cache."""
    address: str = ADDRESS
    fields: Sequence[str] = REST_FIELDS
    """Columns, by their REST names."""
    page_size: int = 500
    """Entries per page, UniProt's maximum."""
    connection: Connection = field(default_factory=Connection)
    """Timeout and retries."""
    progress: bool = True

    def search(self, query: str) -> Retrieval:
        """Download all entries of a query, such as `organism_id:559292 AND reviewed:true`.

        Raises `InputError` if UniProt refuses the query (with its reason), without a network, or
        offline without a cached answer.
        """
        if not query.strip():
            raise InputError(
                "the UniProt query is empty; wanted one such as 'organism_id:559292 AND "
                "reviewed:true'"
            )
        path, about = self._download([self._url("search", query=query)], f"query {query!r}")
        return Retrieval(path, ReadReport(path, kept=about["n"]))

    def accessions(self, accessions: Iterable[str], strict: bool = False) -> Retrieval:
        """Download the entries of a list of accessions.

        An invalid accession, or one without an entry (obsolete, merged, misspelt), is reported, or
        with `strict` stops the download. Raises `InputError` as `search` does, and if no accession
        is valid.
        """
        report = ReadReport("accession list", strict)
        wanted = [
            accession for accession in dict.fromkeys(accessions) if self._good(accession, report)
        ]
        if not wanted:
            raise InputError(
                f"no UniProt accession to ask for; wanted some such as P69905. {report}"
            )
        groups = [
            sorted(wanted)[i : i + _ACCESSIONS_PER_REQUEST]
            for i in range(0, len(wanted), _ACCESSIONS_PER_REQUEST)
        ]
        path, about = self._download(
            [self._url("accessions", accessions=",".join(group)) for group in groups],
            f"{len(wanted)} accessions",
        )
        answered = _entries(path)
        for accession in wanted:
            if accession not in answered:
                detail = "obsolete, merged into another entry, or misspelt"
                report.reject(
                    "accession not answered", accession, detail, "look it up on uniprot.org"
                )
        report.kept = about["n"]
        return Retrieval(path, report)

    def _good(self, accession: str, report: ReadReport) -> bool:
        good = ACCESSION.fullmatch(accession) is not None
        if not good:
            report.reject(
                "not a UniProt accession",
                accession,
                repr(accession[:40]),
                "write accessions as P69905 or A0A023GRW4",
            )
        return good

    def _url(self, endpoint: str, **what: str) -> str:
        asked = {**what, "format": "tsv", "fields": ",".join(self.fields), "size": self.page_size}
        return f"{self.address}/uniprotkb/{endpoint}?{urlencode(asked)}"

    def _download(self, urls: Sequence[str], what: str) -> tuple[Path, dict[str, Any]]:
        """The complete file that starts with these pages, from the cache or the network."""
        key = json_hash(list(urls)).partition(":")[2]
        path, record = self.cache / f"{key}.tsv", self.cache / f"{key}.json"
        if record.exists() and path.exists() and not self.refresh:
            about = read_json(record, _KIND, _VERSION)
            if about["content"] == file_hash(path):
                return path, about
        if self.offline:
            raise InputError(
                f"{what}: not in the cache {self.cache}, and offline; run it once with a network "
                "(offline=False)"
            )
        drafts = self.cache / f"{key}.pages"
        if self.refresh:
            remove(drafts)
        chains = self._chains(urls, drafts, what)
        pages = [page for chain in chains for page in chain]
        n = _join(pages, drafts, path, what)
        about = {
            "type": _KIND,
            "version": _VERSION,
            "what": what,
            "urls": list(urls),
            "release": pages[0].release,
            "n": n,
        }
        about["content"] = file_hash(path)
        write_json(about, record)
        remove(drafts)
        return path, about

    def _chains(self, urls: Sequence[str], drafts: Path, what: str) -> list[list[_Page]]:
        """The pages that follow each first one, all of one UniProt release."""
        for _ in range(2):
            chains = [self._chain(url, drafts, what) for url in urls]
            releases = {page.release for chain in chains for page in chain}
            if len(releases) == 1:
                return chains
            remove(drafts)  # UniProt published a new release meanwhile: start over
        raise InputError(
            f"{what}: the answers come from several UniProt releases, "
            f"{sorted(map(str, releases))}; try again later"
        )

    def _chain(self, url: str, drafts: Path, what: str) -> list[_Page]:
        pages: list[_Page] = []
        following: str | None = url
        with progress_bar(
            desc=f"UniProt: {what[:40]}", unit=" proteins", disable=not self.progress
        ) as bar:
            while following:
                page = self._page(following, drafts)
                pages.append(page)
                bar.total = page.total
                bar.update(page.n)
                following = page.next
        rows = sum(page.n for page in pages)
        if pages[0].total not in (None, rows):
            remove(drafts)
            raise InputError(f"{what}: got {rows} of {pages[0].total} entries; try again")
        return pages

    def _page(self, url: str, drafts: Path) -> _Page:
        """One page, from the drafts or the network."""
        name = hashlib.sha256(url.encode()).hexdigest()
        record = drafts / f"{name}.json"
        if record.exists():
            return _Page(**read_json(record, "UniProtPage", _VERSION)["page"])
        answer = self.connection.get(url)
        following = answer.next
        if following and urlsplit(following)[:2] != urlsplit(self.address)[:2]:
            raise InputError(
                f"{url} names {following} as the next page, which is another server than "
                f"{self.address}; not followed"
            )
        header, *rows = [row for row in answer.text.replace("\r", "").split("\n") if row] or [""]
        if "Entry" not in column_names(header):
            raise InputError(
                f"{url} answered {header[:60]!r}; wanted a table with the column 'Entry': let "
                "'accession' be among the fields"
            )
        total = answer.headers.get("x-total-results")
        page = _Page(
            header,
            len(rows),
            following,
            whole_number(total),
            answer.headers.get("x-uniprot-release"),
            f"{name}.rows",
        )
        with atomic_path(drafts / page.file) as draft:
            draft.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8", newline="\n")
        # The record is written last: if it exists, the rows are complete.
        write_json({"type": "UniProtPage", "version": _VERSION, "page": page._asdict()}, record)
        return page


def _join(pages: list[_Page], drafts: Path, path: Path, what: str) -> int:
    """Join the pages under one header; returns the number of entries."""
    headers = {page.header for page in pages}
    if len(headers) != 1:
        raise InputError(f"{what}: the pages have different columns, {sorted(headers)}; try again")
    with atomic_path(path) as draft, draft.open("w", encoding="utf-8", newline="\n") as file:
        file.write(f"{headers.pop()}\n")
        for page in pages:
            with (drafts / page.file).open(encoding="utf-8", newline="\n") as rows:
                shutil.copyfileobj(rows, file)
    return sum(page.n for page in pages)


def _entries(path: Path) -> set[str]:
    with open_text(path) as text:
        names, rows = delimited(text, ["entry"], ["entry"], ReadReport(path))
        place = names.index("Entry")
        return {cells[place] for _, cells in rows}
