"""Signs of a readable house: this project next to other checkouts, as the table of CONTRIBUTING.md.

    python scripts/house.py                              print this project's column
    python scripts/house.py biotite=PATH equinox=PATH    print others next to it
    python scripts/house.py --write [NAME=PATH ...]      put the columns into CONTRIBUTING.md

A column that is not measured again keeps its figures. Everything is read from the sources; nothing
is imported or run.
"""

import argparse
import ast
import io
import tokenize
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "CONTRIBUTING.md"
HERE = "now"
BEGIN, END = "<!-- table of scripts/house.py -->", "<!-- end of the table -->"
ELSEWHERE = {"node_modules", "static", "dist", "build", "docs", "doc"}
COLUMNS = 100
EXAMPLES = (
    ">>>",
    "```python",
    "code-block",
    "Examples\n",
    "Example\n",
    "!!! Example",
    "!!! example",
)


@dataclass
class Source:
    """One Python file: its module name in the package, and what is read from it."""

    path: Path
    module: str = ""

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def code_and_comments(self) -> tuple[int, int]:
        """Lines that hold code, docstrings not counted, and comments."""
        prose = {
            line
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            if isinstance(node.value.value, str)
            for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
        }
        code: set[int] = set()
        comments = 0
        layout = {tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
        layout |= {tokenize.ENCODING, tokenize.ENDMARKER}
        for token in tokenize.generate_tokens(io.StringIO(self.text).readline):
            if token.type == tokenize.COMMENT:
                comments += 1
            elif token.type not in layout:
                code.update(range(token.start[0], token.end[0] + 1))
        return len(code - prose), comments


@dataclass
class Checkout:
    """A project's folder: the sources of its package, of its tests, and every file with columns."""

    folder: Path
    package: list[Source] = field(init=False)
    tests: list[Source] = field(init=False)

    def __post_init__(self) -> None:
        files = [path for path in self._files(".py") if "tests" not in path.parts[:-1]]
        tops = Counter(
            top
            for path in files
            for top in [self._top(path)]
            if top and "benchmark" not in top.name
        )
        if not tops:
            raise ValueError(f"{self.folder}: holds no Python package; name a project's folder")
        ((top, _),) = tops.most_common(1)
        self.package = [
            Source(self.folder / path, self._module(path, top))
            for path in files
            if path.is_relative_to(top)
        ]
        self.tests = [Source(self.folder / p) for p in self._files(".py") if "tests" in p.parts]

    def _files(self, *endings: str) -> list[Path]:
        """Sources below the folder, as paths relative to it."""
        found = (p.relative_to(self.folder) for p in sorted(self.folder.rglob("*")))
        return [
            path
            for path in found
            if path.suffix in endings
            and not (set(path.parts[:-1]) & ELSEWHERE)
            and not any(part.startswith(".") for part in path.parts)
        ]

    def _top(self, path: Path) -> Path | None:
        """The outermost folder around `path` that is a package."""
        around = [p for p in path.parents if (self.folder / p / "__init__.py").is_file()]
        return around[-1] if around else None

    @staticmethod
    def _module(path: Path, top: Path) -> str:
        parts = path.relative_to(top.parent).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def longest_file(self) -> str:
        longest = max(self.package, key=lambda source: source.text.count("\n"))
        return f"{longest.text.count(chr(10)):,}"

    def fullest_folder(self) -> str:
        return str(max(Counter(source.path.parent for source in self.package).values()))

    def used_once(self) -> str:
        """Private functions and methods that their own file names once besides their definition."""
        total = once = 0
        for source in self.package:
            names = Counter(
                node.id if isinstance(node, ast.Name) else node.attr
                for node in ast.walk(source.tree)
                if isinstance(node, ast.Name | ast.Attribute)
            )
            for node in ast.walk(source.tree):
                if isinstance(node, ast.FunctionDef) and _is_private(node.name):
                    total += 1
                    once += names[node.name] == 1
        return f"{100 * once / total:.0f} % of {total:,}" if total else "0 % of 0"

    def comments(self) -> str:
        code, comments = _sums(self.package)
        return f"{100 * comments / code:.1f}"

    def with_example(self) -> str:
        """Classes and functions that an `__init__` of the package offers, with a code example."""
        public = list(self._offered())
        shown = sum(any(mark in text for mark in EXAMPLES) for text in public)
        return f"{shown} of {len(public)}"

    def test_lines(self) -> str:
        tests, _ = _sums(self.tests)
        return f"{tests / _sums(self.package)[0]:.2f}" if tests else "not shipped"

    def long_lines(self) -> str:
        files = [self.folder / path for path in self._files(".py", ".js", ".css")]
        lines = (line for f in files for line in f.read_text(encoding="utf-8").splitlines())
        return f"{sum(len(line) > COLUMNS for line in lines):,}"

    def cycles(self) -> str:
        """Modules that import themselves by way of others; type-only and late imports count."""
        imports = {source.module: set(self._imports(source)) for source in self.package}
        return str(sum(module in _reached(imports, module) for module in imports))

    @cached_property
    def _modules(self) -> dict[str, Source]:
        return {source.module: source for source in self.package}

    def _imports(self, source: Source) -> Iterator[str]:
        """Modules of the package that a source imports, anywhere in its text."""
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                origin = _origin(source, node)
                names = [
                    whole if (whole := f"{origin}.{alias.name}") in self._modules else origin
                    for alias in node.names
                ]
            else:
                continue
            yield from (name for name in names if name in self._modules and name != source.module)

    def _offered(self) -> Iterator[str]:
        """Docstrings of the public classes and functions of every `__init__`, each once."""
        seen: set[int] = set()
        for source in self.package:
            if source.path.name != "__init__.py":
                continue
            stub = Source(source.path.with_suffix(".pyi"), source.module)
            for node in (stub if stub.path.is_file() else source).tree.body:
                if isinstance(node, ast.ImportFrom):
                    origin = self._modules.get(_origin(source, node))
                    wanted = {alias.name for alias in node.names}
                elif isinstance(node, ast.ClassDef | ast.FunctionDef):
                    origin, wanted = source, {node.name}
                else:
                    continue
                for found in origin.tree.body if origin else ():
                    if (
                        isinstance(found, ast.ClassDef | ast.FunctionDef)
                        and not found.name.startswith("_")
                        and (found.name in wanted or "*" in wanted)
                        and id(found) not in seen
                    ):
                        seen.add(id(found))
                        yield ast.get_docstring(found) or ""


SIGNS: dict[str, Callable[[Checkout], str]] = {
    "lines of the longest file": Checkout.longest_file,
    "files in the fullest folder": Checkout.fullest_folder,
    "private functions used once": Checkout.used_once,
    "comments per 100 lines of code": Checkout.comments,
    "public names with an example": Checkout.with_example,
    "lines of tests per line of code": Checkout.test_lines,
    f"lines over {COLUMNS} columns": Checkout.long_lines,
    "modules in import cycles": Checkout.cycles,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Signs of a readable house, side by side.")
    parser.add_argument(
        "others", nargs="*", metavar="NAME=PATH", help="another project's checkout, and its heading"
    )
    parser.add_argument(
        "--write", action="store_true", help="put the columns into the table of CONTRIBUTING.md"
    )
    arguments = parser.parse_args()
    places = {HERE: ROOT}
    for text in arguments.others:
        name, is_pair, path = text.partition("=")
        if not is_pair:
            parser.error(f"wanted NAME=PATH, such as biotite=checkouts/biotite; got {text!r}")
        places[name] = Path(path)
    columns = {
        name: [sign(checkout) for sign in SIGNS.values()]
        for name, folder in places.items()
        for checkout in [Checkout(folder)]
    }
    if not arguments.write:
        print(table(columns))
        return
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    old, _, after = rest.partition(END)
    whole = table(columns_of(old) | columns)
    PAGE.write_text(f"{before}{BEGIN}\n{whole}\n{END}{after}", encoding="utf-8")


def table(columns: dict[str, list[str]]) -> str:
    """Columns as a Markdown table, a row per sign."""
    rows = [["sign", *columns], ["---"] * (len(columns) + 1)]
    rows += [[sign, *figures] for sign, *figures in zip(SIGNS, *columns.values(), strict=True)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def columns_of(text: str) -> dict[str, list[str]]:
    """The columns of a table that `table` wrote; a sign that it lacks is empty."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.split("\n") if line
    ]
    if not rows:
        return {}
    by_sign = {row[0]: row[1:] for row in rows}
    names = rows[0][1:]
    return {
        name: [by_sign.get(sign, [""] * len(names))[i] for sign in SIGNS]
        for i, name in enumerate(names)
    }


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def _sums(sources: list[Source]) -> tuple[int, int]:
    counts = [source.code_and_comments for source in sources]
    return sum(code for code, _ in counts), sum(comments for _, comments in counts)


def _origin(source: Source, node: ast.ImportFrom) -> str:
    """The module that a `from` import takes names from; a relative one is resolved."""
    if not node.level:
        return node.module or ""
    parts = source.module.split(".")
    up = node.level - (source.path.stem == "__init__")
    return ".".join([*parts[: len(parts) - up], *filter(None, [node.module])])


def _reached(imports: dict[str, set[str]], start: str) -> set[str]:
    reached: set[str] = set()
    waiting = list(imports[start])
    while waiting:
        module = waiting.pop()
        if module not in reached:
            reached.add(module)
            waiting += imports.get(module, ())
    return reached


if __name__ == "__main__":
    main()
