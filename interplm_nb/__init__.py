"""interplm-nb: open up protein language models in Jupyter.

`import interplm_nb as ipn` offers the names for everyday work. Each is imported when it is first
used, so that the import itself takes no time and needs no torch.

Nouns: Run, Proteins, Annotations, Embeddings, SAE, SAEConfig, FeatureActivations, ConceptScores,
ConceptLinks, Selection, Annotator, ProteinLabels, PooledFeatures, LabelClassifier,
SequenceFeatures.

Verbs: read, load_plm, embed, train, load_sae, encode, count, look, annotate, compare_family,
discover, probe, read_protein_labels, pool, rank, run_from_parts, steer; Workbench, compare,
SequencePlayground and SteeringPanel show what was found; glossary says what a word means.

>>> import interplm_nb as ipn
>>> ipn.Proteins.from_sequences({"P1": "MKTAYIAK", "P2": "GGS"}).n_residues
11
"""

import ast
from importlib import import_module
from pathlib import Path

__version__ = "0.1.0"


def _names_in_stub() -> dict[str, tuple[str, str]]:
    """Public name -> (module, name there). The stub is the one list of them, for editors too."""
    tree = ast.parse(Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    return {
        alias.asname or alias.name: (node.module, alias.name)
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }


_NAMES = _names_in_stub()
__all__ = sorted(_NAMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    if name in _NAMES:
        module, name_there = _NAMES[name]
        globals()[name] = value = getattr(import_module(module), name_there)
        return value
    message = f"interplm_nb has no {name!r}"
    if not name.startswith("_"):
        from difflib import get_close_matches

        folded = {known.lower(): known for known in _NAMES}
        nearest = [folded[found] for found in get_close_matches(name.lower(), folded, 1)]
        message += (
            f"; did you mean {nearest[0]!r}?" if nearest else f"; it has {', '.join(__all__)}"
        )
    raise AttributeError(message)


def __dir__() -> list[str]:
    return ["__version__", *__all__]
