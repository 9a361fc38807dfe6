"""The table of signs: each figure by hand on a tiny project, and the table in CONTRIBUTING.md."""

from pathlib import Path

import pytest

from scripts import house

FILES = {
    "thing/__init__.py": "from thing.first import Thing, load\n",
    "thing/first.py": '''"""First."""
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from thing import second  # for the type


class Thing:
    """A thing.

    >>> Thing()
    """

    def _once(self) -> None: ...
    def _twice(self) -> None: ...
    def run(self) -> None:
        self._once(), self._twice(), self._twice()


def load() -> Thing:
    """No example."""
    return Thing()
''',
    "thing/second.py": "from .first import Thing\n" + "x = '" + "-" * 100 + "'\n",
    "thing/alone.py": "import thing.first\n",
    "tests/test_first.py": "assert True\nassert True\n",
}


@pytest.fixture
def checkout(tmp_path: Path) -> house.Checkout:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return house.Checkout(tmp_path)


def test_each_sign_is_what_a_reader_counts(checkout: house.Checkout) -> None:
    figures = [sign(checkout) for sign in house.SIGNS.values()]
    code = 1 + 10 + 2 + 1  # thing/__init__, first, second, alone
    assert figures == [
        "21",
        "4",
        "50 % of 2",
        f"{100 / code:.1f}",
        "1 of 2",
        f"{2 / code:.2f}",
        "1",
        "2",  # first and second: the import for types counts; the package's own __init__ is outside
    ]


def test_a_folder_without_a_package_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no Python package"):
        house.Checkout(tmp_path)


def test_columns_that_are_not_measured_again_are_kept() -> None:
    columns = {"now": [str(i) for i in range(len(house.SIGNS))], "other": ["x"] * len(house.SIGNS)}
    assert house.columns_of(house.table(columns)) == columns
    assert house.columns_of("") == {}


def test_contributing_has_the_table() -> None:
    page = house.PAGE.read_text(encoding="utf-8")
    text = page[page.index(house.BEGIN) + len(house.BEGIN) : page.index(house.END)]
    columns = house.columns_of(text)
    assert house.HERE in columns
    assert house.table(columns).strip() == text.strip()


def test_no_line_of_javascript_and_css_is_over_100_columns() -> None:
    """As ruff says of Python."""
    widgets = Path(house.__file__).parents[1] / "widgets"
    files = [p for p in widgets.rglob("*.*s*") if p.suffix in (".js", ".css")]
    files = [p for p in files if "node_modules" not in p.parts]
    assert len(files) > 30
    lines = {p: p.read_text(encoding="utf-8").splitlines() for p in files}
    long = [f"{p}:{n}" for p in files for n, x in enumerate(lines[p], 1) if len(x) > house.COLUMNS]
    assert not long
