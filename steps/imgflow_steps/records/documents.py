"""Documents of the store, parsed: an error about one names it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

if TYPE_CHECKING:
    from imgflow_steps.store import Store

Model = TypeVar("Model", bound=BaseModel)


def read(model: type[Model], store: Store, key: str) -> Model:
    """The document at a key. Raises StoreError, and ValidationError with the key as its note where it is damaged."""
    return parsed(model, store.read(key), key)


def parsed(model: type[Model], text: bytes, name: str) -> Model:
    """A document, or a line of one. Raises ValidationError with ``name`` as its note."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        error.add_note(name)
        raise


def each(model: type[Model], lines: Iterable[bytes], name: str) -> Iterator[Model]:
    """A document per line, streaming. Raises ValidationError with ``name`` and the line's number as its note."""
    for number, line in enumerate(lines, 1):
        yield parsed(model, line, f"{name}, line {number}")
