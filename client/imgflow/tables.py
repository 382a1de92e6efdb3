"""What SQL answers, as a pandas DataFrame."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from imgflow_workflows.errors import ImgflowError

if TYPE_CHECKING:
    from pandas import DataFrame
    from pyarrow import RecordBatchReader


def frame(answer: AbstractContextManager[RecordBatchReader]) -> DataFrame:
    """The whole answer. Raises ImgflowError where pandas is not installed."""
    try:
        import pandas as _  # noqa: F401, ICN001, PLC0415 - an extra, and heavy
    except ImportError:
        message = "a DataFrame needs pandas, which is not installed"
        raise ImgflowError(message, "pip install 'imgflow[notebook]'") from None
    with answer as rows:
        return rows.read_pandas()
