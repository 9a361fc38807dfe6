"""The structure as a person uses it.

What is pointed at, clicked, brushed, typed, saved; and what it says where it cannot be drawn.
"""

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from interplm_nb.pipeline.run import Run
from interplm_nb.readers import demo
from interplm_nb.readers.structures import Structure, bfactor_pdb
from interplm_nb.readers.superpose import superpose
from interplm_nb.widgets import assets
from interplm_nb.widgets.feature_data import FeatureData
from interplm_nb.widgets.kit import Kit
from interplm_nb.widgets.page import write_page
from interplm_nb.widgets.structure.structure_view import StructureView
from tests.browser.views.conftest import HOSTILE, save
from tests.shipped import PAIR, on_structure

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(assets.ngl() is None, reason=assets.NGL_MISSING),
]

STAGE = ".iplm-stage"
AXE = assets.CLONE / "node_modules" / "axe-core" / "axe.min.js"
FAULTS = """async () => (await axe.run(document.querySelector('main'))).violations
  .filter(v => ['serious', 'critical'].includes(v.impact))
  .map(v => `${v.id}: ${v.nodes.map(n => n.html.slice(0, 120)).join(' | ')}`)"""
PIXELS = """([selector, kind]) => {
  const shown = document.querySelector(selector);
  const flat = document.createElement("canvas");
  [flat.width, flat.height] = [shown.width, shown.height];
  const g = flat.getContext("2d");
  g.drawImage(shown, 0, 0);
  const rgba = g.getImageData(0, 0, flat.width, flat.height).data;
  let [n, sum] = [0, 0];
  for (let i = 0; i < rgba.length; i += 4) {
    const [r, , b, a] = rgba.slice(i, i + 4);
    n += { blue: a > 250 && b - r > 40, orange: a > 250 && r - b > 90, any: a > 0 }[kind] ? 1 : 0;
    sum = (sum * 31 + rgba[i] + 7 * rgba[i + 2]) % 1000003;
  }
  return kind === "hash" ? sum : n;
}"""


@pytest.fixture
def data(demo_data: FeatureData) -> FeatureData:
    demo_data.selection.update(
        {
            "feature": on_structure().feature,
            "brush": [],
            "accession": "",
            "position": None,
            "accessions": [],
            "pinned": [],
        }
    )
    return demo_data


def drawn(shown: Any) -> Any:
    """When the structure is on the screen."""
    shown.page.wait_for_function(
        "() => [...document.querySelectorAll('.iplm-structure .iplm-say')].every(e => "
        "e.textContent.includes('structure'))"
    )
    shown.settled()
    return shown


def pixels(shown: Any, kind: str, selector: str = f"{STAGE} canvas") -> int:
    shown.settled()
    return shown.page.evaluate(PIXELS, [selector, kind])


def said(shown: Any) -> str:
    return shown.page.locator(".iplm-say").first.inner_text()


def click_a_residue(shown: Any, selector: str = STAGE) -> tuple[float, float]:
    """Click around the middle until a residue is hit; where it was."""
    box = shown.page.locator(selector).first.bounding_box()
    for dx, dy in [(dx, dy) for dy in range(-60, 61, 20) for dx in range(-90, 91, 15)]:
        x, y = box["x"] + box["width"] / 2 + dx, box["y"] + box["height"] / 2 + dy
        shown.page.mouse.move(x, y)
        shown.settled()
        if "iplm-pointing" in shown.page.locator(selector).first.get_attribute("class"):
            shown.page.mouse.click(x, y)
            shown.settled()
            return x, y
    raise AssertionError("no residue around the middle of the picture")


def expected_name(data: FeatureData, accession: str, position: int) -> str:
    letter = data.pages.proteins.sequence(accession)[position - 1]
    value = data.pages.activations.along(accession, on_structure().feature)[position - 1]
    return f"{letter}{position}, activation {value:.2f}"


def test_what_is_pointed_at_is_named_in_all_views_and_a_click_selects_it(
    show: Callable, data: FeatureData
) -> None:
    structure = demo.structure(on_structure().accession)
    shown = drawn(
        show(StructureView(data), StructureView(data, representation="cartoon"), height=1200)
    )
    assert shown.selected("accession") == ""
    feature, accession = on_structure()
    words = shown.page.locator(".iplm-sub").first.inner_text()
    start, end = (
        f"feature {feature} on {accession} ",
        f", chain {structure.chain}, the strongest whose structure shows its maximum",
    )
    assert words.startswith(start) and words.endswith(end)
    name = words.removeprefix(start).removesuffix(end)
    assert name and data.pages.name(accession).startswith(name.removesuffix("…"))
    click_a_residue(shown)
    position = shown.selected("position")
    assert shown.selected("accession") == on_structure().accession
    number = next(n for n, p in structure.positions.items() if p == position)
    labels = shown.page.locator(".iplm-tip").all_inner_texts()
    assert labels[0] == labels[1]
    assert labels[0].startswith(expected_name(data, on_structure().accession, position))
    assert labels[0].endswith(f" {number} of chain {structure.chain})")
    assert said(shown).startswith(f"Selected: {labels[0]}.")
    tip, scene = (
        shown.page.locator(name).first.bounding_box()
        for name in (".iplm-tip:visible", ".iplm-scene")
    )
    assert scene["x"] <= tip["x"] and tip["x"] + tip["width"] <= scene["x"] + scene["width"]
    assert scene["y"] <= tip["y"] and tip["y"] + tip["height"] <= scene["y"] + scene["height"]
    shown.page.mouse.move(2, 2)
    shown.settled()
    assert shown.page.locator(".iplm-tip:visible").count() == 0


def test_a_chain_without_a_name_and_long_numbers_is_whole_and_can_be_clicked(
    show: Callable,
) -> None:
    accession, structure = on_structure().accession, demo.structure(on_structure().accession)
    atoms = structure.atoms.copy()
    atoms.chain_id[:] = ""
    atoms.res_id += 20_000
    positions = {str(int(n) + 20_000): p for n, p in structure.positions.items()}
    nameless = replace(structure, atoms=atoms, chain="", positions=positions, ambiguous=("20001",))
    data = FeatureData(
        Run.shipped(), structures={accession: lambda: nameless}, feature=on_structure().feature
    )
    shown = drawn(show(StructureView(data)))
    length = len(data.pages.proteins.sequence(accession))
    assert f"In the structure: {len(positions)} of {length} residues" in said(shown)
    assert "The place of 1 residue is ambiguous" in said(shown)
    assert pixels(shown, "blue") > 500
    click_a_residue(shown)
    position = shown.selected("position")
    number = next(n for n, p in positions.items() if p == position)
    assert f" {number} of chain without a name)" in said(shown)


def lacking_its_maximum(accession: str, feature: int, data: FeatureData) -> tuple[Structure, str]:
    """A structure without a position for the residue of the maximum, and that residue."""
    structure = demo.structure(accession)
    top = int(data.pages.activations.along(accession, feature).argmax()) + 1
    positions = {n: p for n, p in structure.positions.items() if p != top}
    residue = f"{data.pages.proteins.sequence(accession)[top - 1]}{top}"
    return replace(structure, positions=positions), residue


def test_a_structure_that_lacks_the_residue_of_the_maximum_says_so(
    show: Callable, data: FeatureData
) -> None:
    feature, first = on_structure()
    second = next(
        p["accession"]
        for p in data.current[0]["proteins"]
        if p["accession"] in demo.structures() and p["accession"] != first and p["position"]
    )
    made = {a: lacking_its_maximum(a, feature, data) for a in (first, second)}
    pale = FeatureData(
        Run.shipped(), structures={a: lambda a=a: made[a][0] for a in made}, feature=feature
    )
    pale.keep([feature])
    shown = drawn(show(StructureView(pale)))
    words = "None of 2 structures shows the residue of its protein's maximum; here"
    assert said(shown).startswith(f"{words} {made[first][1]}.")
    assert shown.page.locator(".iplm-sub").first.inner_text().endswith("strongest with a structure")
    shown.select(accession=second)
    shown.page.wait_for_function(
        "words => document.querySelector('.iplm-say').textContent.includes(words)",
        arg=f"The structure lacks the residue of the maximum, {made[second][1]}.",
    )


def test_a_brush_leaves_colour_to_what_is_inside_and_does_not_move_anything(
    show: Callable, data: FeatureData
) -> None:
    shown = drawn(show(StructureView(data)))
    blue, whole = pixels(shown, "blue"), pixels(shown, "any")
    assert blue > 500
    shown.select(brush=[0.999, 1])
    assert pixels(shown, "blue") < blue / 20  # the haem's nitrogens are blue too
    assert abs(pixels(shown, "any") - whole) < 0.01 * whole
    n = len(demo.structure(on_structure().accession).positions)
    length = len(data.pages.proteins.sequence(on_structure().accession))
    assert (
        said(shown)
        == f"In the structure: {n} of {length} residues, 0 within the brush 1.00 to 1.00; "
        "the others are pale."
    )
    shown.page.locator(STAGE).focus()
    shown.page.keyboard.press("Escape")
    assert pixels(shown, "blue") == blue


def test_keys_turn_zoom_reset_and_walk_along_strong_residues(
    show: Callable, data: FeatureData
) -> None:
    shown = drawn(show(StructureView(data, threshold=0.6), motion="reduce"))
    start = [pixels(shown, kind) for kind in ("any", "blue")]
    shown.page.locator(STAGE).focus()
    for key in ("ArrowRight", "Shift+ArrowDown", "+"):
        before = pixels(shown, "hash")
        shown.page.keyboard.press(key)
        assert pixels(shown, "hash") != before, key
    shown.page.keyboard.press("r")
    # The way back rounds its angles, which moves the edges of some structures by a pixel.
    for before, kind in zip(start, ("any", "blue"), strict=True):
        assert abs(pixels(shown, kind) - before) <= 0.002 * before, kind
    values = data.pages.activations.along(on_structure().accession, on_structure().feature)
    strong = sorted(
        p
        for p in demo.structure(on_structure().accession).positions.values()
        if values[p - 1] >= 0.6
    )
    walked = []
    for key in ("n", "n", "p", "p"):
        shown.page.keyboard.press(key)
        walked.append(shown.selected("position"))
    assert walked == [strong[0], strong[1], strong[0], strong[-1]]
    assert pixels(shown, "orange") > 40, "the selected residue stands out"
    low = shown.page.locator(STAGE).bounding_box()["height"]
    shown.page.keyboard.press("f")
    shown.page.wait_for_function(
        "low => document.fullscreenElement && "
        "document.querySelector('.iplm-stage canvas').clientHeight > low",
        arg=low,
    )


def test_a_selected_residue_off_the_screen_is_brought_to_it(
    show: Callable, data: FeatureData
) -> None:
    shown = drawn(show(StructureView(data), motion="reduce"))
    shown.page.locator(STAGE).focus()
    for _ in range(80):
        shown.page.keyboard.press("Shift+ArrowRight")
    assert pixels(shown, "any") == 0
    shown.page.keyboard.press("n")
    assert pixels(shown, "orange") > 40


def test_the_wheel_scrolls_the_page_until_the_structure_has_the_focus(
    show: Callable, data: FeatureData
) -> None:
    shown = drawn(show(StructureView(data), height=420))
    before = pixels(shown, "hash")
    shown.page.locator(STAGE).hover(position={"x": 5, "y": 5})
    shown.page.mouse.wheel(0, 60)
    shown.page.wait_for_function("() => window.scrollY > 0")
    assert pixels(shown, "hash") == before
    shown.page.locator(STAGE).focus()
    scrolled = shown.page.evaluate("() => window.scrollY")
    shown.page.mouse.wheel(0, 60)
    shown.page.wait_for_timeout(100)
    assert pixels(shown, "hash") != before
    assert shown.page.evaluate("() => window.scrollY") == scrolled


def test_a_protein_without_a_structure_is_said_and_others_are_offered(
    show: Callable, data: FeatureData
) -> None:
    data.keep([on_structure().feature], 20)
    lacking = next(
        a
        for a in data.pages.top(on_structure().feature, 50)["accession"]
        if a not in demo.structures()
    )
    data.selection.accession = lacking
    shown = show(StructureView(data))
    shown.page.get_by_text(f"{lacking} has no structure here.").wait_for()
    assert not shown.page.locator(STAGE).is_visible()
    shown.page.get_by_role("button", name=f"{on_structure().accession} (").click()
    drawn(shown)
    assert shown.selected("accession") == on_structure().accession
    assert pixels(shown, "blue") > 500
    data.kept, data.kept_structures = {}, {}


def test_a_second_protein_lies_on_the_first_thin_and_is_selected_in_place(
    show: Callable, data: FeatureData
) -> None:
    data.selection.accession = PAIR[0]
    view = StructureView(data, other=PAIR[1], representation="cartoon")
    shown = drawn(show(view))
    found = superpose(*map(demo.structure, PAIR))
    words = (
        f"Superposed, thin: {PAIR[1]}, {found.n_aligned} residues, RMSD {found.rmsd:.2f} Å, "
        f"TM-score {found.tm_score:.2f}."
    )
    assert words in said(shown)
    shown.select(accession=PAIR[1], position=30)
    shown.settled()
    assert said(shown).startswith(f"Selected: {PAIR[1]} {expected_name(data, PAIR[1], 30)}")
    assert (
        shown.page.locator(".iplm-sub")
        .inner_text()
        .startswith(f"feature {on_structure().feature} on {PAIR[0]}")
    )
    assert pixels(shown, "orange") > 40


def test_a_second_protein_is_asked_of_the_kernel_and_the_picture_stays_meanwhile(
    show: Callable, data: FeatureData
) -> None:
    shown = drawn(show(StructureView(data)))
    model = "[...window.iplmModels.values()].find(m => '%s' in m.state)"
    assert shown.page.get_by_label("superpose").is_hidden(), "no kernel, nothing to superpose"
    shown.page.evaluate(f"() => {{ {model % 'kept'}.static = false; }}")
    shown.select(accession=PAIR[0], position=None)
    shown.page.get_by_text(f"Reading the structure of {PAIR[0]}").wait_for()
    assert shown.page.locator(STAGE).is_visible(), "the old picture stays meanwhile"
    shown.select(accession=on_structure().accession)
    shown.page.get_by_label("superpose").select_option(PAIR[1])
    assert shown.page.evaluate(f"() => {model % 'other_structure'}.get('other')") == PAIR[1]
    shown.page.get_by_text(f"Superposing {PAIR[1]}.").wait_for()


def saved(shown: Any, name: str, folder: Path) -> Path:
    with shown.page.expect_download() as download:
        save(shown.page, name)
    download.value.save_as(folder / download.value.suggested_filename)
    return folder / download.value.suggested_filename


def test_files_hold_what_is_shown(show: Callable, data: FeatureData, tmp_path: Path) -> None:
    shown = drawn(show(StructureView(data), width=500))
    structure, values = (
        demo.structure(on_structure().accession),
        data.pages.activations.along(on_structure().accession, on_structure().feature),
    )
    rows = list(csv.DictReader(saved(shown, "as CSV", tmp_path).read_text().splitlines()))
    assert [r["residue_number"] for r in rows if r["position"]] == list(structure.positions)
    assert [r["residue_number"] for r in rows if not r["position"]] == structure.unmapped
    np.testing.assert_allclose(
        [float(r["activation"]) for r in rows if r["position"]],
        [values[int(r["position"]) - 1] for r in rows if r["position"]],
    )
    of_atoms = [
        (line[12:16], line[60:66])
        for line in bfactor_pdb(structure, values).splitlines()
        if line.startswith(("ATOM", "HETATM"))
    ]
    lines = [
        line
        for line in saved(shown, "as PDB", tmp_path).read_text().splitlines()
        if line.startswith(("ATOM", "HETATM"))
    ]
    assert [line[12:16].strip() for line in lines] == [name.strip() for name, _ in of_atoms]
    np.testing.assert_allclose(
        [float(line[60:66]) for line in lines],
        [float(factor) for _, factor in of_atoms],
        atol=0.011,
    )
    svg = saved(shown, "as SVG", tmp_path).read_text()
    assert "1 × maximum on training proteins" in svg
    assert f"Feature {on_structure().feature} on {on_structure().accession}" in svg
    assert 'href="data:image/png;base64,' in svg
    assert saved(shown, "as PNG", tmp_path).read_bytes()[:4] == b"\x89PNG"


def hostile_structure() -> Structure:
    """Of P00003, whose sequence has 100 residues.

    A hostile name, another chain, and residues without a position.
    """
    structure, others = demo.structure(PAIR[0]), demo.structure(PAIR[1]).atoms.copy()
    others.coord += 30
    positions = dict(list(structure.positions.items())[:90])
    return replace(
        structure,
        name=HOSTILE,
        accession="P00003",
        positions={n: i + 1 for i, n in enumerate(positions)},
        others=others,
    )


@pytest.mark.parametrize(("width", "scheme"), [(320, "dark"), (1600, "light")])
def test_hostile_names_narrow_and_wide_dark_and_light_without_a_fault(
    show: Callable, hostile_data: FeatureData, width: int, scheme: str
) -> None:
    own = FeatureData(hostile_data.pages.run, structures={"P00003": hostile_structure}, feature=0)
    shown = drawn(show(StructureView(own), width=width, scheme=scheme))
    assert shown.page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
    assert pixels(shown, "any") > 1000
    assert pixels(shown, "orange") > 5, "residues without a position are ochre"
    assert shown.page.get_by_role("button", name="Other chains of the entry").is_visible()
    small = (
        "boxes => boxes.map(b => b.getBoundingClientRect())"
        ".filter(b => b.width && (b.width < 24 || b.height < 24)).length"
    )
    assert shown.page.locator(".iplm-structure button").evaluate_all(small) == 0
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: make install")
    shown.page.evaluate(AXE.read_text(encoding="utf-8"))
    assert shown.page.evaluate(FAULTS) == []


def test_with_no_structures_at_all_it_says_so(show: Callable, hostile_data: FeatureData) -> None:
    hostile_data.selection.update({"feature": 0, "accession": "", "accessions": []})
    shown = show(StructureView(hostile_data))
    shown.page.get_by_text("None of the 6 proteins shown for feature 0 has a structure.").wait_for()
    assert not shown.page.locator(STAGE).is_visible()


def test_without_ngl_it_says_what_is_missing(
    show: Callable, data: FeatureData, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = StructureView(data)
    monkeypatch.setattr(Kit.shared(), "ngl", b"")
    monkeypatch.setattr(Kit.shared(), "ngl_missing", assets.NGL_MISSING)
    show(view).page.get_by_text("The structure view needs NGL").wait_for()


def test_without_webgl_it_says_so(chromium: Any, data: FeatureData, tmp_path: Path) -> None:
    path = write_page([StructureView(data)], tmp_path / "page.html", "Test")
    page = chromium.new_page()
    page.add_init_script(
        "const get = HTMLCanvasElement.prototype.getContext; "
        "HTMLCanvasElement.prototype.getContext = function (kind, ...rest) "
        "{ return kind.startsWith('webgl') ? null : get.call(this, kind, ...rest); };"
    )
    page.goto(path.as_uri())
    page.get_by_text("This browser has no WebGL").wait_for()
    page.close()
