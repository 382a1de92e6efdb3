"""A bound for YAML whose aliases multiply: a few lines may stand for billions of values."""

from __future__ import annotations

import yaml

MOST = 10_000  # values that a document of settings or steps may hold, each alias counted as what it stands for


def check_size(node: yaml.Node | None) -> None:
    """Raises YAMLError for a document of more than ``MOST`` values."""
    if node is not None and _values(node, {}) > MOST:
        raise yaml.YAMLError(f"it stands for more than {MOST:,} values; write it with fewer aliases")


def _values(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node stands for; one that stands in itself counts as more than may be."""
    if id(node) not in known:
        known[id(node)] = MOST + 1  # until it is counted
        inside = node.value if isinstance(node, yaml.CollectionNode) else []
        parts = [part for one in inside for part in (one if isinstance(one, tuple) else (one,))]
        known[id(node)] = min(MOST + 1, 1 + sum(_values(part, known) for part in parts))
    return known[id(node)]


def said(error: Exception) -> str:
    """Why a document is not read, in words for whoever wrote it."""
    return "its values are nested too deeply" if isinstance(error, RecursionError) else str(error)


class Loader(yaml.SafeLoader):
    """The safe part of YAML; a value that is none of its kind, such as ``2026-13-45``, is a fault with its place."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> object:
        """See PyYAML. Raises YAMLError."""
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, AttributeError) as error:
            raise yaml.constructor.ConstructorError(None, None, str(error), node.start_mark) from error


def load(text: str) -> object:
    """What a document says, by the safe part of YAML. Raises YAMLError."""
    loader = Loader(text)
    try:
        node = loader.get_single_node()
        check_size(node)
        return loader.construct_document(node) if node is not None else None
    finally:
        loader.dispose()
