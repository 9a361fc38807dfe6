"""Widgets as one HTML file: their state and code in the page, no kernel, no network."""

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import anywidget

from interplm_nb.saving import atomic_path
from interplm_nb.widgets import assets
from interplm_nb.widgets.selection import FIELDS, Selection

NOT_STATE = ("_esm", "_css", "_anywidget_id", "layout", "tabbable", "tooltip")
PREFIXES = ("_model", "_view", "_dom")

STYLE = """
body {
  margin: 0; padding: 8px 10px;
  font: 14px/1.45 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", Arial, sans-serif;
}
h1 { font-size: 15px; margin: 0 0 6px; }
.iplm-shown:not(:last-child) { margin-bottom: 12px; }
@media (prefers-color-scheme: dark) {
  :root {
    --jp-layout-color0: #111111; --jp-layout-color1: #181818; --jp-layout-color2: #2a2a2a;
    --jp-ui-font-color0: #f2f2f2; --jp-ui-font-color1: #e0e0e0; --jp-ui-font-color2: #b8b8b8;
    --jp-border-color2: #5a5a5a;
  }
  body { background: #181818; color: #e0e0e0; }
}
"""

SANDBOX = "allow-scripts allow-downloads allow-popups allow-popups-to-escape-sandbox"
"""What a page inside a notebook's output may do.

It may run its own script, save files and open links in a new tab; it cannot reach the notebook.
"""


_POLICY = (
    "default-src 'none'; script-src blob: '{script}'; style-src 'unsafe-inline'; "
    "img-src blob: data:; worker-src blob:; base-uri 'none'; form-action 'none'"
)
"""What an exported page may do: run its own script and the modules that it holds, and draw.

No other script runs, no text becomes code, and nothing is loaded from or sent to anywhere.
"""


Changes = Mapping[str, Mapping[str, Any]]
"""By model id, traits whose values in the page differ from the widget's."""


def page(widgets: Sequence[anywidget.AnyWidget], title: str, changes: Changes | None = None) -> str:
    """The HTML of these widgets and of everything they refer to.

    Data cannot end the script that it is in.
    """
    models = {w.model_id: w for w in with_references(widgets)}
    sources = {_digest(w): _module(w) for w in models.values()}
    selection = next((id for id, w in models.items() if isinstance(w, Selection)), None)
    state = {
        "models": {id: _model(w, (changes or {}).get(id, {})) for id, w in models.items()},
        "show": [w.model_id for w in widgets],
        "selection": selection,
        "fields": FIELDS,
        "linked": linked_traits(models.values()),
    }
    modules = "".join(
        f'<script type="text/plain" id="iplm-esm-{digest}">{_safe(source)}</script>\n'
        for digest, source in sources.items()
    )
    host = _safe(assets.esm("host"))
    policy = _POLICY.format(script=_source_hash(host))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<main><h1>{escape(title)}</h1></main>\n{modules}"
        f'<script type="application/json" id="iplm-state">{_json(state)}</script>\n'
        f'<script type="module">{host}</script>\n'
        "</body>\n</html>\n"
    )


def write_page(
    widgets: Sequence[anywidget.AnyWidget], path: Path, title: str, changes: Changes | None = None
) -> Path:
    """Write `page` to a file, atomically; returns its path."""
    with atomic_path(path) as draft:
        draft.write_text(page(widgets, title, changes), encoding="utf-8")
    return path


def static_html(
    widgets: Sequence[anywidget.AnyWidget], title: str, height: int, changes: Changes | None = None
) -> str:
    """The page as an `<iframe>` for a cell's output.

    It stays live in `nbconvert --to html`, with no kernel and no network.
    """
    inner = escape(page(widgets, title, changes), quote=True)
    style = f"width:100%;height:{height}px;border:0"
    return (
        f'<iframe title="{escape(title, quote=True)}" sandbox="{SANDBOX}" style="{style}" '
        f'srcdoc="{inner}"></iframe>'
    )


def with_references(widgets: Iterable[anywidget.AnyWidget]) -> list[anywidget.AnyWidget]:
    """The widgets, and all that their traits refer to."""
    found: dict[str, anywidget.AnyWidget] = {}
    waiting = list(widgets)
    while waiting:
        widget = waiting.pop(0)
        if widget.model_id not in found:
            found[widget.model_id] = widget
            waiting += [
                v
                for name in widget.trait_names(sync=True)
                if isinstance(v := getattr(widget, name), anywidget.AnyWidget)
            ]
    return list(found.values())


def linked_traits(widgets: Iterable[anywidget.AnyWidget]) -> dict[str, dict[str, Any]]:
    """What an address carries of the views: whose trait it is, and the values it may have.

    Of several views with the same trait the first.
    """
    found: dict[str, dict[str, Any]] = {}
    for widget in widgets:
        for name in getattr(widget, "linked", ()):
            values = getattr(widget.traits()[name], "values", None)
            found.setdefault(name, {"model": widget.model_id, "values": values})
    return found


def _model(widget: anywidget.AnyWidget, changes: Mapping[str, Any]) -> dict[str, Any]:
    kept = {
        k: v
        for k, v in {**widget.get_state(), **changes}.items()
        if k not in NOT_STATE and not k.startswith(PREFIXES)
    }
    buffers = [
        [path, base64.b64encode(bytes(value)).decode()] for path, value in _bytes_in(kept, [])
    ]
    return {"state": _without_bytes(kept), "buffers": buffers, "esm": _digest(widget)}


def _bytes_in(value: Any, path: list[str]) -> Iterator[tuple[list[str], bytes | memoryview]]:
    if isinstance(value, bytes | memoryview):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _bytes_in(inner, [*path, key])


def _without_bytes(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: None if isinstance(inner, bytes | memoryview) else _without_bytes(inner)
            for key, inner in value.items()
        }
    return value


def _module(widget: anywidget.AnyWidget) -> str:
    return str(widget._esm)  # pyright: ignore[reportAttributeAccessIssue]


def _digest(widget: anywidget.AnyWidget) -> str:
    return hashlib.sha256(_module(widget).encode()).hexdigest()[:12]


def _source_hash(script: str) -> str:
    """A script as a policy names it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def _json(state: Any) -> str:
    """JSON that is inert inside a script element."""
    text = json.dumps(state, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _safe(source: str) -> str:
    """A module's text inside a script element; our sources hold neither outside of strings."""
    return source.replace("</script", "<\\/script").replace("<!--", "<\\!--")
