"""SAEs from and to the Hugging Face Hub: a pinned revision in, a checked folder with its card out.

Every download is of one commit, which the SAE records (`about.origin`). Every error is one sentence
that says what to do.
"""

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from huggingface_hub import CommitOperationAdd, HfApi, hf_hub_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    # Of httpx or httpx2, whichever huggingface_hub has.
    HTTPError,  # pyright: ignore[reportPrivateImportUsage]
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from interplm_nb.sae import checkpoint, importers
from interplm_nb.sae.importers.given import Given
from interplm_nb.sae.importers.tensors import CONFIGS, read_config, weights_among
from interplm_nb.sae.model import SAE
from interplm_nb.sae.model_card import model_card
from interplm_nb.sae.published import BY_REPOSITORY, Published

_COMMIT = re.compile(r"[0-9a-f]{40}")
_log = logging.getLogger(__name__)


class Fetched(NamedTuple):
    """Files of one commit."""

    paths: list[Path]
    """Local paths, in the order requested; arranged as in the repository."""
    revision: str
    """The commit, 40 hexadecimal digits."""


def resolve(repository: str, revision: str | None = None, *, endpoint: str | None = None) -> str:
    """The commit of a branch, a tag or nothing (the newest); a commit is returned without asking
    the Hub."""
    if revision is not None and _COMMIT.fullmatch(revision):
        return revision
    with _explained(repository, revision):
        found = HfApi(endpoint=endpoint).model_info(repository, revision=revision).sha
    if found is None:
        raise ConnectionError(
            f"{repository}: the Hub does not say which commit {revision or 'the newest'} is; give "
            "a commit as the revision"
        )
    _log.warning(
        "%s: %s is commit %s; give it as the revision to get the same again",
        repository,
        revision or "the newest",
        found,
    )
    return found


def fetch(
    repository: str,
    revision: str | None,
    files: Sequence[str],
    *,
    endpoint: str | None = None,
    cache: Path | None = None,
) -> Fetched:
    """Download files of a repository at one commit to huggingface_hub's cache; files that are there
    already are not downloaded again.

    Raises FileNotFoundError for a repository, revision or file that does not exist, PermissionError
    for a gated one, ConnectionError where the Hub cannot be reached.
    """
    commit = resolve(repository, revision, endpoint=endpoint)
    paths = []
    for name in files:
        with _explained(repository, revision or commit, name):
            paths.append(
                Path(
                    hf_hub_download(
                        repository, name, revision=commit, endpoint=endpoint, cache_dir=cache
                    )
                )
            )
    return Fetched(paths, commit)


def get(
    repository: str,
    given: Given | None = None,
    *,
    revision: str | None = None,
    file: str | None = None,
    sha256: str | None = None,
    endpoint: str | None = None,
    cache: Path | None = None,
) -> SAE:
    """Download and read an SAE from the Hugging Face Hub.

    Parameters
    ----------
    repository
        One in `published`, read by `given.layer`; another project's, read by its `file`; or one
        that `push` wrote.
    given
        What the file does not say. It must agree with what `published` says (PLM, format, k).
    revision
        Branch, tag or commit; for a repository in `published`, a commit known to hold its files
        unless given.
    file
        The weights file, where the repository has several.
    sha256
        The checksum that the file must have.
    endpoint, cache
        Another hub, and another cache than huggingface_hub's own.

    Raises
    ------
    ValueError
        As in `importers.read`.
    FileNotFoundError, PermissionError, ConnectionError
        As in `fetch`.
    """
    given = given or Given()
    entry = BY_REPOSITORY.get(repository.lower())
    if entry is not None:
        given = _with_entry(given, entry)
        found = fetch(
            repository,
            revision or entry.revision,
            entry.files(given.layer or 0, file),
            endpoint=endpoint,
            cache=cache,
        )
        return importers.read(
            found.paths[0], given, sha256=sha256, repository=repository, revision=found.revision
        )
    commit = resolve(repository, revision, endpoint=endpoint)
    with _explained(repository, revision):
        names = HfApi(endpoint=endpoint).list_repo_files(repository, revision=commit)
    found = fetch(
        repository, commit, _wanted(repository, names, file), endpoint=endpoint, cache=cache
    )
    path = found.paths[0]
    config = path.with_name(checkpoint.CONFIG)
    if (
        path.name == checkpoint.WEIGHTS
        and config.is_file()
        and read_config(config).get("type") == "SAE"
    ):
        return _own(path, given, sha256, repository, commit)
    return importers.read(path, given, sha256=sha256, repository=repository, revision=commit)


def push(
    folder: Path,
    repository: str,
    *,
    card: str | None = None,
    table: Path | None = None,
    private: bool = False,
    endpoint: str | None = None,
    token: str | None = None,
) -> str:
    """Upload a saved SAE with a model card; returns the address of the commit.

    The card is the folder's README.md; without one, `card`; without that, one written from the
    SAE's `about`. `table`: its features and concepts, as `concepts.exported` writes them. The
    folder is loaded first, so that nothing broken is published. A missing repository is
    created. The token is huggingface_hub's own (`hf auth login`, or HF_TOKEN) unless given.
    """
    sae = checkpoint.load(folder)
    api = HfApi(endpoint=endpoint, token=token)
    readme = folder / "README.md"
    written = card or model_card(sae, f"interplm-nb models get {repository} --out sae")
    files = {
        checkpoint.WEIGHTS: folder / checkpoint.WEIGHTS,
        checkpoint.CONFIG: folder / checkpoint.CONFIG,
        readme.name: readme if readme.is_file() else written.encode(),
        **({} if table is None else {checkpoint.TABLE: table}),
    }
    with _explained(repository, None, push=True):
        api.create_repo(repository, private=private, exist_ok=True)
        if private and not api.model_info(repository).private:
            raise ValueError(
                f"{repository} exists already and is public; give another name, make it private on "
                "the Hub, or drop --private"
            )
        operations = [
            CommitOperationAdd(name, str(value) if isinstance(value, Path) else value)
            for name, value in files.items()
        ]
        return str(
            api.create_commit(
                repository, operations, commit_message="SAE of interplm-nb"
            ).commit_url
        )


def table_of(sae: SAE, *, endpoint: str | None = None, cache: Path | None = None) -> Path | None:
    """The table of features and concepts that lies beside a downloaded SAE, at the same commit;
    None for a repository without one, as all in `published` are.

    Raises what `fetch` raises, but for a missing file.
    """
    assert sae.about is not None, "a downloaded SAE has about"
    repository, revision = (sae.about.origin[name] for name in ("repository", "revision"))
    if repository.lower() in BY_REPOSITORY:
        return None
    try:
        found = fetch(repository, revision, [checkpoint.TABLE], endpoint=endpoint, cache=cache)
    except FileNotFoundError:
        return None
    return found.paths[0]


def _with_entry(given: Given, entry: Published) -> Given:
    if given.layer is None and len(entry.layers) != 1:
        raise ValueError(
            f"{entry.repository} has the layers {', '.join(map(str, entry.layers))}; give one "
            "(--layer)"
        )
    layer = given.layer if given.layer is not None else entry.layers[0]
    says = {"plm": entry.plm, "format": entry.format, "layer": layer, "k": entry.k.get(layer)}
    for name, value in says.items():
        mine = getattr(given, name)
        if None not in (mine, value) and mine != value:
            raise ValueError(
                f"{entry.repository} has {name} {value!r}, you say {mine!r}; leave {name} out, or "
                "look for another repository"
            )
    return replace(given, **{name: value for name, value in says.items() if value is not None})


def _wanted(repository: str, names: Sequence[str], file: str | None) -> list[str]:
    """The file, and the JSON next to it."""
    weights = weights_among(names)
    if file is None and len(weights) != 1:
        held = (
            f"{len(weights)} weights files, "
            f"{', '.join(weights[:12])}{', ...' if len(weights) > 12 else ''}"
            if weights
            else "no weights file"
        )
        raise ValueError(f"{repository} has {held}; name the one to read (--file)")
    chosen = weights[0] if file is None else file
    beside = [str(PurePosixPath(chosen).with_name(config)) for config in CONFIGS]
    return [chosen, *(name for name in beside if name in names)]


def _own(path: Path, given: Given, sha256: str | None, repository: str, commit: str) -> SAE:
    """An SAE that `push` wrote; its config says what it belongs to."""
    strange = sorted(given.said().keys() - {"plm", "layer", "hook"})
    if strange:
        raise ValueError(
            f"{repository} is an SAE of this package and says itself what it is; leave "
            f"{', '.join(strange)} out"
        )
    if sha256 is not None:
        importers.find(path, sha256)
    sae = checkpoint.load(path.parent, plm=given.plm, layer=given.layer)
    assert sae.about is not None
    if given.hook not in (None, sae.about.hook):
        raise ValueError(
            f"{repository}: the file says hook {sae.about.hook!r}, you say {given.hook!r}; leave "
            "hook out to take the file's"
        )
    sae.about = replace(
        sae.about, origin={**sae.about.origin, "repository": repository, "revision": commit}
    )
    return sae


@contextmanager
def _explained(
    repository: str, revision: str | None, file: str = "", push: bool = False
) -> Iterator[None]:
    """Turn huggingface_hub's errors into one sentence each that says what to do."""
    where = f"{repository}{f'/{file}' if file else ''}{f' at {revision}' if revision else ''}"
    away = (
        "try again when the Hub can be reached"
        if push
        else f"download {file or 'its files'} on another machine from "
        f"https://huggingface.co/{repository}, copy it here, and read it by "
        "interplm-nb models convert FILE"
    )
    try:
        yield
    except GatedRepoError as error:
        raise PermissionError(
            f"{where} is gated: ask for access on its page, then sign in with hf auth login"
        ) from error
    except RepositoryNotFoundError as error:
        raise FileNotFoundError(
            f"{where}: the repository does not exist or is private: check the name, or sign in "
            "with hf auth login"
        ) from error
    except RevisionNotFoundError as error:
        raise FileNotFoundError(
            f"{where}: the repository has no such revision; leave it out for the newest"
        ) from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        raise ConnectionError(
            f"{where} is not in the cache and the Hub could not be reached; {away}"
        ) from error
    except EntryNotFoundError as error:
        raise FileNotFoundError(
            f"{where}: the repository has no such file; see its files on "
            f"https://huggingface.co/{repository}"
        ) from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        if push and status in (401, 403):
            raise PermissionError(
                f"{where}: the Hub does not let you write there ({status}); sign in with hf auth "
                "login and a token with write access"
            ) from error
        raise ConnectionError(f"{where}: the Hub answered {status}; {away}") from error
    except RuntimeError as error:  # what huggingface_hub raises where an upload breaks off
        raise ConnectionError(
            f"{where}: the {'upload' if push else 'download'} failed ({error.__cause__ or error}); "
            f"{away}"
        ) from error
    except (HTTPError, ConnectionError, TimeoutError) as error:
        raise ConnectionError(f"{where}: the Hub could not be reached ({error}); {away}") from error
