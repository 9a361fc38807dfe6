"""Write the workshop's lessons as slides: one HTML file each, which needs no network.

    python scripts/build_workshop_slides.py [FOLDER]        default: exports/slides

From the same sources as the notebooks (scripts/build_workshop.py): each text for students is a
slide, answers unfolded, and so is each picture that its code draws. Code, and what is for the
teacher alone, is left out. Arrow keys, the space bar or a click turn the slides.
"""

import base64
import re
import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path

from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from nbconvert.filters import markdown2html

from interplm_nb.figures.chart import Chart
from interplm_nb.saving import atomic_path
from scripts.build_workshop import SOURCES, notebook

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ margin: 0; font: 1.9vw/1.3 sans-serif; color: #111; background: #fff; }}
section {{ display: none; box-sizing: border-box; height: 100vh; padding: 3vh 4vw 6vh;
  overflow: auto; }}
section.shown {{ display: grid; align-content: safe center; }}
section.picture {{ justify-items: center; }}
img {{ max-width: 92vw; max-height: 88vh; }}
h1, h2, h3 {{ margin: 0 0 2vh; line-height: 1.15; }}
a {{ color: #00518a; }}
table {{ border-collapse: collapse; }}
td, th {{ border-bottom: 1px solid #767676; padding: 0.4vw 1vw; text-align: left; }}
footer {{ position: fixed; right: 1vw; bottom: 1vh; font-size: 1.2vw; color: #595959; }}
@media print {{ section {{ display: block; page-break-after: always; }} }}
</style>
<main>
{slides}
</main>
<footer aria-live="polite"></footer>
<script>
const slides = [...document.querySelectorAll("section")];
function show(n) {{
  const at = Math.max(0, Math.min(slides.length - 1, n));
  slides.forEach((slide, i) => slide.classList.toggle("shown", i === at));
  fit(slides[at]);
  document.querySelector("footer").textContent = `${{at + 1}} / ${{slides.length}}`;
  history.replaceState(null, "", `#${{at + 1}}`);
}}
function fit(slide) {{
  for (let size = 100; size >= 60; size -= 4) {{
    slide.style.fontSize = `${{size}}%`;
    if (slide.scrollHeight <= slide.clientHeight) return;
  }}
}}
const now = () => slides.findIndex((slide) => slide.classList.contains("shown"));
const steps = {{ ArrowRight: 1, ArrowDown: 1, PageDown: 1, " ": 1,
  ArrowLeft: -1, ArrowUp: -1, PageUp: -1, Home: -1e6, End: 1e6 }};
addEventListener("keydown", (event) => {{
  if (!steps[event.key] || event.target.closest("a")) return;
  event.preventDefault();
  show(now() + steps[event.key]);
}});
addEventListener("resize", () => fit(slides[now()]));
addEventListener("click", (event) => {{
  if (!event.target.closest("a")) show(now() + 1);
}});
show((parseInt(location.hash.slice(1)) || 1) - 1);
</script>
</html>
"""


def main(folder: Path) -> None:
    for source in SOURCES:
        if source.stem[0] in "1234":
            path = folder / f"{source.stem}.html"
            with atomic_path(path) as draft:
                draft.write_text(page(source), encoding="utf-8")
            print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


def page(source: Path) -> str:
    """A lesson's slides as one page."""
    title = source.read_text(encoding="utf-8").partition("\n# ")[2].partition("\n")[0]
    return _PAGE.format(title=escape(title), slides="\n".join(slides(source)))


def slides(source: Path) -> Iterator[str]:
    """Each text and each picture of a lesson, in order; the code is run, in this process."""
    shell = InteractiveShell()
    student = {cell.id for cell in notebook(source, "student").cells}
    for cell in notebook(source, "teacher").cells:
        if cell.id not in student:
            continue
        if cell.cell_type == "markdown":
            yield f'<section id="{cell.id}">\n{_words(cell.source)}\n</section>'
            continue
        with capture_output():
            done = shell.run_cell(cell.source)
        done.raise_error()
        if isinstance(done.result, Chart):
            yield f'<section class="picture" id="{cell.id}">{_image(done.result)}</section>'


def _words(text: str) -> str:
    """HTML of a text; folded answers are open, and lines to write a guess on are left out."""
    plain = re.sub(r"</?details[^>]*>|</?summary>", "", text).replace("\nYour guess:", "")
    made = re.sub(r'<a class="anchor-link".*?</a>', "", str(markdown2html(plain)))
    return re.sub(r'<a [^>]*href="[^"]*\.ipynb">(.*?)</a>', r"\1", made)


def _image(chart: Chart) -> str:
    data, _ = chart._repr_mimebundle_()
    picture = base64.b64encode(data["image/png"]).decode("ascii")
    return f'<img alt="{escape(chart.description)}" src="data:image/png;base64,{picture}">'


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "exports/slides"))
