"""Models of the Hugging Face Hub, from huggingface_hub's local cache or fetched into it.

Only settings, tokenizer, model card and one set of weights are fetched: no code.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import HfApi, constants, hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    # httpx's or httpx2's, whichever huggingface_hub has
    HTTPError,  # pyright: ignore[reportPrivateImportUsage]
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

from interplm_nb.plm import names
from interplm_nb.plm.weight_files import PICKLED, SAFETENSORS, weights_of
from interplm_nb.progress import progress_bar

_BESIDE = (".json", ".txt", ".model", "README.md")
"""Endings of settings, tokenizers (`.model` is sentencepiece's) and the model card."""


def folder_of(repository: str) -> Path:
    """The folder of a repository's newest cached commit; fetched if it is not cached.

    Raises ConnectionError if it is not cached and the hub cannot be reached, FileNotFoundError if
    the repository does not exist or has no model, PermissionError if it is gated.
    """
    found = cached(repository)
    if found is not None:
        return found
    with _explained(repository):
        info = HfApi().model_info(repository)
        files = _wanted(repository, [s.rfilename for s in info.siblings or []])
        for name in progress_bar(files, desc=f"fetching {repository}", unit=" files"):
            hf_hub_download(repository, name, revision=info.sha)
        # By branch too, so that the cache knows the branch's commit.
        hf_hub_download(repository, "config.json")
        return Path(hf_hub_download(repository, "config.json", revision=info.sha)).parent


def cached(repository: str) -> Path | None:
    """The folder of a repository in the local cache, if settings and weights are complete."""
    config = try_to_load_from_cache(repository, "config.json")
    if not isinstance(config, str):
        return None
    folder = Path(config).parent
    weights = weights_of(folder)
    return folder if weights and all(path.is_file() for path in weights) else None


def repository_of(folder: Path) -> str | None:
    """The repository, owner/name, that a folder of the cache was fetched from; else None."""
    snapshots = folder.resolve().parent
    parts = snapshots.parent.name.split("--", 2)
    if snapshots.name != "snapshots" or len(parts) != 3 or parts[0] != "models":
        return None
    return f"{parts[1]}/{parts[2]}"


def _wanted(repository: str, files: Sequence[str]) -> list[str]:
    """Settings, tokenizer and card at the top of a repository; its safetensors, else its .bin."""
    top = [name for name in files if "/" not in name]
    stems = (SAFETENSORS.partition(".")[0], PICKLED.partition(".")[0])
    for stem, suffix in zip(stems, (".safetensors", ".bin"), strict=True):
        weights = [n for n in top if n.startswith(stem) and n.endswith(suffix)]
        if weights and "config.json" in top:
            return [n for n in top if n.endswith(_BESIDE)] + weights
    raise FileNotFoundError(
        f"{repository} has no readable model: wanted config.json and {SAFETENSORS} or "
        f"{PICKLED}, found {', '.join(sorted(top)[:8]) or 'no files'}"
    )


@contextmanager
def _explained(repository: str) -> Iterator[None]:
    """huggingface_hub's errors in one sentence each, with what to do."""
    try:
        yield
    except GatedRepoError as error:
        raise PermissionError(
            f"{repository} is gated: ask for access on its page, then sign in with hf auth login"
        ) from error
    except RepositoryNotFoundError as error:
        raise FileNotFoundError(
            f"{repository}: the hub has no such model, or it is private; check the name, or sign "
            "in with hf auth login"
        ) from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        raise ConnectionError(_not_here(repository, "and the hub could not be reached")) from error
    except EntryNotFoundError as error:
        raise FileNotFoundError(f"{repository}: a file is missing on the hub; retry") from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        raise ConnectionError(_not_here(repository, f"and the hub answered {status}")) from error
    except (HTTPError, ConnectionError, TimeoutError) as error:
        raise ConnectionError(_not_here(repository, "and the hub could not be reached")) from error


def _not_here(repository: str, why: str) -> str:
    name = repository.partition("/")[2]
    meta = repository.startswith("facebook/") and name in names.ESM2
    other = f", or load {name!r}, which downloads Meta's own file of the same model" if meta else ""
    return (
        f"{repository} is not in the local hub cache ({constants.HF_HUB_CACHE}) {why}; on a "
        f"machine with a network, fetch it with: hf download {repository}{other}"
    )
