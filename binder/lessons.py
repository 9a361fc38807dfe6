"""Leave in `notebooks/` what runs on this small Binder; postBuild runs this once.

Every other lesson moves to `notebooks/larger_binder`, under the same name, and begins with a
sentence that says what it lacks here and links to where it runs. Links between lessons follow.
"""

import json
import re
from os.path import dirname, normpath, relpath
from pathlib import Path

PYTORCH, SKLEARN = "PyTorch", "scikit-learn"
EMBEDDINGS, COMPARISON = "a run with embeddings", "a run with a comparison of SAEs"
ELSEWHERE = {
    "02_embed.ipynb": EMBEDDINGS,
    "03_train.ipynb": PYTORCH,
    "03b_compare.ipynb": COMPARISON,
    "04_activations.ipynb": PYTORCH,
    "07_interpret.ipynb": SKLEARN,
    "10_annotate.ipynb": PYTORCH,
    "11_discover.ipynb": SKLEARN,
    "12_probe.ipynb": EMBEDDINGS,
    "13_rank.ipynb": EMBEDDINGS,
    "extra/pretrain_mini.ipynb": PYTORCH,
    "workshop/5_own_family.ipynb": PYTORCH,
    "workshop/teacher/5_own_family.ipynb": PYTORCH,
}
"""What each lesson needs that this Binder leaves out, by its path in `notebooks/`."""

MAKE = {EMBEDDINGS: "demo", COMPARISON: "laboratory"}
"""The profile that makes the run which a lesson needs."""

FOLDER = "larger_binder"
BADGE = re.compile(r"\[!\[Binder with PyTorch\]\([^)]*\)\]\(([^?)]+)")
LINK = re.compile(r'(?<=\]\()[\w./]+\.ipynb|(?<=href=")[\w./]+\.ipynb')


def sentence(name: str, address: str) -> str:
    """What a lesson begins with: why it does not run here, and a link to where it does."""
    needs = ELSEWHERE[name]
    said = (
        f"> **This lesson does not run here.** It needs {needs}, which this small Binder leaves "
        f"out so that it starts fast. It runs on the "
        f"[larger Binder]({address}?urlpath=lab/tree/notebooks/{name})"
    )
    if profile := MAKE.get(needs):
        made = f"interplm-nb run {profile} --out runs/{profile} -p embed.plm=esm2-mini"
        return f"{said}, once `{made}` has made one in a terminal there."
    return f"{said}."


def place(name: str) -> str:
    """Where a notebook lies afterwards, in `notebooks/`."""
    return f"{FOLDER}/{name}" if name in ELSEWHERE else name


def linked(text: str, name: str) -> str:
    """A cell of the notebook `name`, whose links lead to where the others lie afterwards."""

    def follow(found: re.Match[str]) -> str:
        target = place(normpath(f"{dirname(name)}/{found[0]}".lstrip("/")))
        return relpath(target, dirname(place(name)) or ".")

    return LINK.sub(follow, text)


def arrange(folder: Path, address: str) -> None:
    """Arrange the notebooks of a folder."""
    for path in sorted(folder.rglob("*.ipynb")):
        name = path.relative_to(folder).as_posix()
        text = path.read_text(encoding="utf-8")
        notebook = json.loads(text)
        for cell in notebook["cells"]:
            if cell["cell_type"] == "markdown":
                cell["source"] = linked("".join(cell["source"]), name).splitlines(keepends=True)
        if name in ELSEWHERE:
            said = [sentence(name, address)]
            cell = {"cell_type": "markdown", "id": "not-here", "metadata": {}, "source": said}
            notebook["cells"].insert(0, cell)
            path.unlink()
        path = folder / place(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> None:
    badge = BADGE.search(Path("README.md").read_text(encoding="utf-8"))
    if badge is None:
        raise SystemExit("README.md has no badge of the Binder with PyTorch: make badges")
    arrange(Path("notebooks"), badge[1])


if __name__ == "__main__":
    main()
