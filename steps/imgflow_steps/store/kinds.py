"""A fault of the store as a word, where the exception cannot go itself: out of a container, or in a job's result."""

from __future__ import annotations

from imgflow_steps.store import (
    DamagedError,
    DeniedError,
    SilentError,
    StoreError,
    UnavailableError,
    UnreadableError,
    UnwritableError,
)

KINDS = {kind.__name__: kind for kind in (DamagedError, DeniedError, SilentError, UnreadableError, UnwritableError)}


def kind(error: StoreError) -> str:
    """The error's kind; "" for one that nobody treats otherwise than a store that is away."""
    return next((known.__name__ for known in type(error).__mro__ if known.__name__ in KINDS), "")


def fault(kind: str, message: str) -> StoreError:
    """The error again, of the kind that was told."""
    return KINDS.get(kind, UnavailableError)(message)
