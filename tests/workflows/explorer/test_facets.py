"""Which columns the explorer shows beside its grid, where there are more than have room."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from tests.made_runs import make_run

from imgflow_steps.records import keys
from imgflow_workflows.explorer.choice import Choice
from imgflow_workflows.explorer.facets import facets
from imgflow_workflows.explorer.index import Index


def test_columns_of_a_table_of_one_s_own_come_before_what_every_image_has(tmp_path: Path) -> None:
    made = make_run(tmp_path)
    made.list(["0.jpg", "1.jpg"])
    made.add(*(made.row(f"{i}.jpg", bytes=1000 + i, width=100 + i, height=50 + i) for i in range(2)))
    table = pa.table({"image": ["0.jpg", "1.jpg"], **{f"Spalte {i}": ["grün", "blau"] for i in range(12)}})
    pq.write_table(table, written := BytesIO())
    made.store.write(keys.catalog("Utrecht"), written.getvalue())
    index = Index(made.store)

    shown = [one.column for one in facets(index, Choice())]

    index.close()
    assert [name for name in shown if name.startswith("Spalte")] == [f"Spalte {i}" for i in range(12)]
    assert shown[-1] == "bytes"
