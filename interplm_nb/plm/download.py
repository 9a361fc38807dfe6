"""Official ESM-2 checkpoints: a resumable download into the cache of torch hub and fair-esm."""

import http.client
import os
import urllib.error
import urllib.request
from pathlib import Path

import torch

from interplm_nb.plm import names
from interplm_nb.progress import progress_bar
from interplm_nb.saving import atomic_path, file_hash, remove

OFFICIAL_ADDRESS = "https://dl.fbaipublicfiles.com/fair-esm"
_TRIES = 5


def official_checkpoint(
    name: str, address: str = OFFICIAL_ADDRESS, cache: Path | None = None, progress: bool = True
) -> Path:
    """The file of an official model in the torch hub cache; downloaded if missing.

    Its contact regression is downloaded with it. No checksum is published: a download must have the
    size that the server states; its sha256 is written to `<file>.sha256`, and a file that no longer
    matches it is refused. Raises ConnectionError if the network or the server fails.
    """
    if name not in names.ESM2:
        raise ValueError(f"{name!r} is not an official ESM-2; choose {', '.join(names.ESM2)}")
    folder = cache or Path(torch.hub.get_dir()) / "checkpoints"
    for part in (f"models/{name}.pt", f"regression/{name}-contact-regression.pt"):
        path = folder / Path(part).name
        if path.is_file():
            _check_hash(path)
        else:
            fetch(f"{address}/{part}", path, progress)
    return folder / f"{name}.pt"


def fetch(url: str, path: Path, progress: bool = True) -> None:
    """Download a file; an interrupted download resumes if the server still has the same file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    for attempt in range(_TRIES):
        before = part.stat().st_size if part.exists() else 0
        try:
            if _fetch_rest(url, part, path.name, progress):
                break
        except urllib.error.HTTPError as error:
            raise ConnectionError(
                f"{url}: the server answered {error.code} {error.reason}; {_way_out(path)}"
            ) from error
        except (
            urllib.error.URLError,
            http.client.HTTPException,
            TimeoutError,
            ConnectionError,
        ) as error:
            stuck = not part.exists() or part.stat().st_size == before
            if stuck or attempt == _TRIES - 1:
                raise ConnectionError(
                    f"{url} could not be reached ({getattr(error, 'reason', error)}); "
                    f"{_way_out(path)}"
                ) from error
    else:
        raise ConnectionError(
            f"{url}: the download was interrupted {_TRIES} times; run again to resume, or "
            f"{_way_out(path)}"
        )
    with atomic_path(_hash_file(path)) as draft:
        draft.write_text(file_hash(part) + "\n", encoding="ascii")
    remove(_tag_file(part))
    os.replace(part, path)


def _fetch_rest(url: str, part: Path, title: str, progress: bool) -> bool:
    """Append what is missing to the part file; True if it then has the size the server states."""
    start, tag = part.stat().st_size if part.exists() else 0, _tag_file(part)
    headers = (
        {"Range": f"bytes={start}-", "If-Range": tag.read_text(encoding="utf-8")}
        if start and tag.exists()
        else {}
    )
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30)
    except urllib.error.HTTPError as error:
        if error.code == 416 and headers:  # the part is not shorter than the file: start over
            remove(part)
            return _fetch_rest(url, part, title, progress)
        raise
    with response:
        if response.status != 206:
            start = 0
        total = (
            start + int(response.headers["Content-Length"])
            if response.headers["Content-Length"]
            else None
        )
        version = response.headers["ETag"] or response.headers["Last-Modified"]
        if version:
            tag.write_text(version, encoding="utf-8")
        _copy(response, part, start, total, title, progress)
    return total is None or part.stat().st_size == total


def _copy(
    response: http.client.HTTPResponse,
    part: Path,
    start: int,
    total: int | None,
    title: str,
    progress: bool,
) -> None:
    with (
        part.open("ab" if start else "wb") as stream,
        progress_bar(
            total=total,
            initial=start,
            desc=f"downloading {title}",
            unit="B",
            unit_scale=True,
            disable=not progress,
        ) as bar,
    ):
        while block := response.read(1 << 20):
            stream.write(block)
            bar.update(len(block))
        stream.flush()
        os.fsync(stream.fileno())


def _check_hash(path: Path) -> None:
    recorded = _hash_file(path)
    if not recorded.exists():  # from fair-esm or put there by hand: it must stay as it is now
        with atomic_path(recorded) as draft:
            draft.write_text(file_hash(path) + "\n", encoding="ascii")
    elif recorded.read_text(encoding="ascii").strip() != file_hash(path):
        raise ValueError(
            f"{path} no longer matches the sha256 in {recorded.name}; remove both files to "
            "download it again"
        )


def _hash_file(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _tag_file(part: Path) -> Path:
    return part.with_name(part.name + ".version")


def _way_out(path: Path) -> str:
    return f"download it on another machine and put it at {path}, or load a local file by its path"
