"""Draw docs/images/architecture.svg: the rooms of the package, and which imports which.

    python scripts/build_architecture_picture.py

Rows are the layers of the import contract in pyproject.toml, arrows are imports as they are in
the code. An arrow that follows from others is left out: cli imports plm too, by way of stages.
"""

import tomllib
from html import escape
from pathlib import Path
from textwrap import wrap

import grimp

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "images" / "architecture.svg"
NOUNS = "nouns"
ROOMS = {
    "cli": (1.5, "the command line"),
    "widgets": (0, "linked views in the browser"),
    "figures": (1, "matplotlib and plotly"),
    "workshop": (2, "exercises that hint"),
    "questions": (0.5, "what is asked of a finished run"),
    "stages": (1.5, "one file a stage"),
    "pipeline": (2, "Run, manifest, profiles, runner"),
    "interpret": (0.5, "descriptions and how they score"),
    "steering": (1.5, "features changed, and what follows"),
    "features": (0, "features without concepts"),
    "concepts": (1, "features against biology"),
    "sae": (2, "sparse autoencoders"),
    "readers": (0.5, "file formats and databases"),
    "plm": (2, "protein language models"),
    "remote": (1, "runs in object stores"),
    "scale": (2, "shards, here or on a Dask cluster"),
    NOUNS: (1, ""),
}
"""Column and contents of each room."""
WIDTH, COLUMN, BOX, ROW, HIGH = 880, 290, 260, 98, 62
INK, LINE = "#1f2937", "#94a3b8"
FILLS = {"torch": "#fde8d7", "draws": "#dbeafe", "": "#f1f5f9"}
LEGEND = {"torch": "imports torch", "draws": "draws: matplotlib, plotly or anywidget"}


def main() -> None:
    PICTURE.write_text(drawn(), encoding="utf-8")
    print(PICTURE.relative_to(ROOT))


def drawn() -> str:
    """The picture as SVG; the same for the same imports."""
    rows, nouns = layers()
    imports, fills = imported(nouns)
    unplaced = {room for row in rows for room in row} ^ ROOMS.keys()
    if unplaced:
        raise ValueError(f"give each room of pyproject.toml a column in ROOMS: {sorted(unplaced)}")
    at = {
        room: (20 + COLUMN * ROOMS[room][0], 20 + ROW * number)
        for number, row in enumerate(rows)
        for room in row
    }
    height = ROW * len(rows) + 24
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="system-ui, sans-serif" role="img" aria-labelledby="title">',
        '<title id="title">The rooms of interplm-nb: imports go down only</title>',
        '<defs><marker id="tip" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto">'
        f'<path d="M0 0L8 4L0 8z" fill="{LINE}"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
    ]
    parts += [
        _arrow(at[upper], at[lower])
        for upper in sorted(imports)
        for lower in sorted(_not_implied(imports, upper))
    ]
    for room, (x, y) in at.items():
        inside = ", ".join(nouns) if room == NOUNS else ", ".join(_folders(room))
        x, width = (20, WIDTH - 40) if room == NOUNS else (x, BOX)
        parts.append(_box(x, y, width, room, ROOMS[room][1], inside, FILLS[fills.get(room, "")]))
    for i, (kind, words) in enumerate(LEGEND.items()):
        parts += [
            f'<rect x="{20 + 130 * i}" y="{height - 18}" width="12" height="12" '
            f'fill="{FILLS[kind]}" stroke="{LINE}"/>',
            _text(38 + 130 * i, height - 8, 11, words, "start"),
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def layers() -> tuple[list[list[str]], list[str]]:
    """Rooms by row, the highest first, and the modules that make up the nouns, the lowest room."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = [c for c in project["tool"]["importlinter"]["contracts"] if c["type"] == "layers"]
    rows = [[name.strip() for name in layer.split("|")] for layer in contract["layers"]]
    folders = [[name for name in row if (ROOT / "interplm_nb" / name).is_dir()] for row in rows]
    nouns = sorted(
        name for row in rows for name in row if not (ROOT / "interplm_nb" / name).is_dir()
    )
    return [*filter(None, folders), [NOUNS]], [name for name in nouns if name != "__main__"]


def imported(nouns: list[str]) -> tuple[dict[str, set[str]], dict[str, str]]:
    """The rooms that each room imports, and the kind of `FILLS` of those that have one."""
    graph = grimp.build_graph("interplm_nb", include_external_packages=True)
    rooms: dict[str, set[str]] = {}
    fills: dict[str, str] = {}
    for module in graph.modules:
        name = module.split(".")[1] if module.startswith("interplm_nb.") else ""
        room = NOUNS if name in nouns else name
        if room not in ROOMS:
            continue
        for other in graph.find_modules_directly_imported_by(module):
            first, _, rest = other.partition(".")
            if first == "torch":
                fills[room] = "torch"
            elif first in ("matplotlib", "plotly", "anywidget"):
                fills[room] = "draws"
            elif first == "interplm_nb" and rest:
                below = rest.split(".")[0]
                below = NOUNS if below in nouns else below
                if below != room:
                    rooms.setdefault(room, set()).add(below)
    return rooms, fills


def _not_implied(imports: dict[str, set[str]], room: str) -> set[str]:
    """The rooms that `room` imports and that no other of them leads to."""
    reached: set[str] = set()
    waiting = [below for other in imports[room] for below in imports.get(other, ())]
    while waiting:
        below = waiting.pop()
        if below not in reached:
            reached.add(below)
            waiting += imports.get(below, ())
    return imports[room] - reached


def _folders(room: str) -> list[str]:
    return sorted(
        f"{path.parent.name}/" for path in (ROOT / "interplm_nb" / room).glob("*/__init__.py")
    )


def _arrow(upper: tuple[float, float], lower: tuple[float, float]) -> str:
    x1, y1, x2, y2 = upper[0] + BOX / 2, upper[1] + HIGH, lower[0] + BOX / 2, lower[1] - 2
    if lower[1] - upper[1] > ROW:  # past a row: steep at both ends, to clear its boxes
        bend = f"C{x1} {y1 + ROW} {x2} {y2 - 1.2 * ROW} {x2} {y2}"
    else:
        bend = f"C{x1} {y1 + 18} {x2} {y2 - 18} {x2} {y2}"
    return f'<path d="M{x1} {y1}{bend}" fill="none" stroke="{LINE}" marker-end="url(#tip)"/>'


def _box(x: float, y: float, width: float, room: str, words: str, inside: str, fill: str) -> str:
    middle, name = x + width / 2, f"the {room}" if room == NOUNS else f"{room}/"
    lines = [_text(middle, y + 22, 15, name, weight=' font-weight="600"')]
    lines += [
        _text(middle, y + 38 + 15 * i, 11, text)
        for i, text in enumerate(filter(None, (words, *wrap(inside, int(width / 6)))))
    ]
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="{HIGH}" rx="6" fill="{fill}" '
        f'stroke="{LINE}"/>{"".join(lines)}'
    )


def _text(
    x: float, y: float, size: int, words: str, anchor: str = "middle", weight: str = ""
) -> str:
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" text-anchor="{anchor}" fill="{INK}"{weight}>'
        f"{escape(words)}</text>"
    )


if __name__ == "__main__":
    main()
