"""The JavaScript and CSS of the views, and the vendored NGL.

The sources are plain ES modules in the clone's `widgets/`; the wheel carries them as
`interplm_nb/widgets/static/`. anywidget loads one module from a blob URL, where a relative import
resolves to nothing, so `esm` joins a view and the parts that it imports into one module. It is no
bundler: it reads lines that start at the margin, as the formatted sources have them, and refuses
what it does not know.
"""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

STATIC = Path(__file__).parent / "static"
"""What the wheel carries; a clone has only NGL here, from the build hook."""

CLONE = Path(__file__).parents[2] / "widgets"

NGL_MISSING = (
    "The structure view needs NGL, which npm could not fetch when interplm-nb was installed: "
    "install interplm-nb again with a network, or use show_nglview."
)
"""Shown by a view where `ngl()` is None."""

_IMPORT = re.compile(
    r'^(import|export)\s*\{([^{}]*)\}\s*from\s*"([^"]+)";?[ \t]*(?://.*)?\n?', re.MULTILINE
)
_TYPES = re.compile(r"^/\*\* @import .* \*/\n", re.MULTILINE)
"""Imports of types: only the type check reads them, and a page must hold no `@import`."""
_LIST = re.compile(r"^export\s*\{([^{}]*)\};?[ \t]*\n?", re.MULTILINE)
_DECLARED = re.compile(
    r"^(export\s+)?(?:async\s+)?(?:function\b\s*\*?|class\b|const\b|let\b|var\b)\s*([\w$]+)",
    re.MULTILINE,
)
_UNKNOWN = re.compile(
    r"^(?:import\b(?!\s*[.(])|export\s+\*|(?:export\s+)?(?:const|let|var)\s*[\[{]).*", re.MULTILINE
)
_NAME = re.compile(r"[\w$]+")


class AssetError(ValueError):
    """A JavaScript or CSS source that is missing or cannot be joined."""


@dataclass(frozen=True)
class _Part:
    """One source file: its text without imports, what it imports, declares and exports."""

    path: Path
    body: str
    imports: tuple[tuple[Path, tuple[str, ...]], ...]
    declares: frozenset[str]
    exports: frozenset[str]


@cache
def esm(name: str) -> str:
    """The text of the view `name` (`widgets/<name>.js`) as one ES module without imports.

    Raises AssetError where there is no such view, and as `linked` does.
    """
    path = sources() / f"{name}.js"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in sources().glob("*.js")))
        raise AssetError(f"No view {name!r} is among the sources; there are {known}.")
    return linked(path)


@cache
def css() -> str:
    """The style sheet of all views; raises AssetError where it is missing."""
    path = sources() / "style.css"
    if not path.is_file():
        raise AssetError("The views' style.css is missing: install interplm-nb again.")
    return path.read_text(encoding="utf-8")


def ngl() -> bytes | None:
    """NGL as gzip-compressed JavaScript that sets `NGL` on the window, its licence at its top.

    None where the build could not reach npm; a view then says `NGL_MISSING`.
    """
    path = STATIC / "ngl.js.gz"
    return path.read_bytes() if path.is_file() else None


def sources() -> Path:
    """The folder of the views' sources: the wheel's, or the clone's."""
    return STATIC if (STATIC / "style.css").is_file() else CLONE


def linked(entry: Path) -> str:
    """An ES module and everything it imports as one module: each part once, after its own imports.

    The imported parts lose their `import` and `export` words; the entry keeps its exports. It reads
    `import { a, b } from "./x.js"`, `export { a, b } from "./x.js"`, exported declarations and
    `export { a, b }`. Raises AssetError for any other import, a missing part, a name that a part
    does not export, a name that two parts declare at the top level, and a cycle.
    """
    parts: dict[Path, _Part] = {}
    _collect(entry.resolve(), (), parts)
    owners: dict[str, Path] = {}
    for part in parts.values():
        for name in sorted(part.declares):
            if name in owners:
                raise AssetError(
                    f"{_shown(owners[name])} and {_shown(part.path)} both declare {name} "
                    "at the top level: rename one."
                )
            owners[name] = part.path
        for path, names in part.imports:
            if missing := sorted(set(names) - parts[path].exports):
                raise AssetError(
                    f"{_shown(part.path)} imports {missing[0]} from {_shown(path)}, "
                    "which does not export it."
                )
    *inner, last = parts.values()
    return "\n".join(
        [f"// {_shown(part.path)}\n{_inner(part)}" for part in inner]
        + [f"// {_shown(last.path)}\n{last.body}"]
    )


def _collect(path: Path, above: tuple[Path, ...], parts: dict[Path, _Part]) -> None:
    """Add `path` to `parts` after everything that it imports."""
    if path in above:
        circle = " -> ".join(_shown(p) for p in (*above[above.index(path) :], path))
        raise AssetError(f"These import each other: {circle}.")
    if path in parts:
        return
    part = _read(path)
    for imported, _ in part.imports:
        if not imported.is_file():
            raise AssetError(f"{_shown(path)} imports {_shown(imported)}, which does not exist.")
        _collect(imported, (*above, path), parts)
    parts[path] = part


@cache
def _read(path: Path) -> _Part:
    text = _TYPES.sub("", path.read_text(encoding="utf-8"))
    imports, passed_on = [], []
    for word, listed, where in _IMPORT.findall(text):
        if not where.startswith("."):
            raise AssetError(
                f"{_shown(path)} imports {where}: only relative imports of the project's own "
                "parts can be joined."
            )
        names = _names(listed, path)
        imports.append(((path.parent / where).resolve(), names))
        passed_on += names if word == "export" else ()
    body = _IMPORT.sub(lambda m: f"export {{{m[2]}}};\n" if m[1] == "export" else "", text)
    if unknown := _UNKNOWN.search(body):
        raise AssetError(
            f'{_shown(path)} says {unknown[0]!r}: write import {{ a, b }} from "./x.js"; '
            "and one name per declaration."
        )
    declared = _DECLARED.findall(body)
    listed = [name for names in _LIST.findall(body) for name in _names(names, path)]
    exports = [name for word, name in declared if word] + listed + passed_on
    return _Part(
        path, body, tuple(imports), frozenset(name for _, name in declared), frozenset(exports)
    )


def _names(listed: str, path: Path) -> tuple[str, ...]:
    names = tuple(name.strip() for name in listed.split(",") if name.strip())
    for name in names:
        if not _NAME.fullmatch(name):
            raise AssetError(
                f"{_shown(path)} lists {name!r} in an import or export: "
                "only plain names can be joined."
            )
    return names


def _inner(part: _Part) -> str:
    """The body of an imported part, without its exports."""
    if re.search(r"^export\s+default\b", part.body, re.MULTILINE):
        raise AssetError(
            f"{_shown(part.path)} has a default export, and is imported: "
            "give what it exports a name."
        )
    return re.sub(r"^export\s+", "", _LIST.sub("", part.body), flags=re.MULTILINE)


def _shown(path: Path) -> str:
    """A part as messages name it: its folder and its name."""
    return f"{path.parent.name}/{path.name}"
