"""Put the repository's address into the README's badges and the Colab notebook.

    python -m scripts.fill_badges OWNER/NAME      (make badges REPOSITORY=OWNER/NAME)

The address is in one place, `REPOSITORY` of the Makefile, and is a clear placeholder until there is
one.
"""

import argparse
import re
from pathlib import Path

from interplm_nb.saving import atomic_path

ROOT = Path(__file__).resolve().parents[1]
PLACEHOLDER = "OWNER/interplm-nb"
BETWEEN = re.compile(r"<!-- badges -->\n.*?<!-- end of badges -->\n", re.DOTALL)
COLAB = "notebooks/extra/colab.ipynb"
FIRST = "urlpath=lab/tree/notebooks/00_explore.ipynb"


def badges(repository: str) -> str:
    """The block of the README between its two comments, both included."""
    host, github = "https://mybinder.org", f"https://github.com/{repository}"
    links = [
        ("Binder", f"{host}/badge_logo.svg", f"{host}/v2/gh/{repository}/HEAD?{FIRST}"),
        (
            "Binder with PyTorch",
            "https://img.shields.io/badge/Binder-with_PyTorch-F5A252",
            f"{host}/v2/gh/{repository}/binder-full?{FIRST}",
        ),
        (
            "Colab",
            "https://colab.research.google.com/assets/colab-badge.svg",
            f"https://colab.research.google.com/github/{repository}/blob/HEAD/{COLAB}",
        ),
        ("CI", f"{github}/actions/workflows/ci.yml/badge.svg", f"{github}/actions"),
    ]
    lines = "\n".join(f"[![{name}]({picture})]({to})" for name, picture, to in links)
    return f"<!-- badges -->\n{lines}\n<!-- end of badges -->\n"


def filled(readme: str, repository: str) -> str:
    """The README with the badges of a repository; ValueError where it has no place for them."""
    if not BETWEEN.search(readme):
        raise ValueError("README.md has no <!-- badges --> ... <!-- end of badges -->")
    return BETWEEN.sub(lambda _: badges(repository), readme)


def filled_colab(notebook: str, repository: str) -> str:
    """The Colab notebook whose first cell installs from a repository."""
    return re.sub(
        r"https://github\.com/[\w.-]+/[\w.-]+", f"https://github.com/{repository}", notebook
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="The repository's address, in badges and Colab.")
    parser.add_argument("repository", help="OWNER/NAME on GitHub")
    repository: str = parser.parse_args().repository
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        parser.error(f"{repository!r} is not OWNER/NAME")
    for name, fill in (("README.md", filled), (COLAB, filled_colab)):
        text = fill((ROOT / name).read_text(encoding="utf-8"), repository)
        with atomic_path(ROOT / name) as draft:
            draft.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
