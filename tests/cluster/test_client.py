"""From a notebook: a run on the cluster, followed, and read as a table and as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.catalogs import FIRST, fashion

import imgflow
from imgflow_steps.records import keys

if TYPE_CHECKING:
    from tests.cluster.conftest import Place

pytestmark = pytest.mark.cluster


def test_a_run_is_submitted_followed_and_read_with_nothing_but_the_namespace(place: Place, tmp_path: Path) -> None:
    table = fashion(tmp_path, 12, seed=5)
    (tmp_path / f"images/{FIRST + 1}.jpg").write_text("Dear Sir or Madam")

    with imgflow.connect(engine="argo", namespace=place.namespace) as flow:
        assert flow.ingest(table, "Notebook").copied == 12
        run = flow.submit("Notebook", steps="scale:32x32,infer", where="gender = 'Men'", run="from-a-notebook")
        assert run.status in {"pending", "running"}
        with pytest.raises(imgflow.ImgflowError, match="has no results yet"):
            run.results()

        assert run.wait().status == "succeeded"

        men = flow.query("SELECT image FROM catalog WHERE gender = 'Men' ORDER BY image", municipality="Notebook")
        found = run.results(columns=["image", "season", "status", "found_sharpness"])
        assert list(found["image"]) == list(men["image"])
        assert found.set_index("image").loc[f"{FIRST + 1}.jpg", "status"] == "rejected"
        pictures = dict(run.images())
        assert len(pictures) == run.counts.processed == len(found) - 1
        assert {picture.size for picture in pictures.values()} == {(32, 21)}
        assert len(run.report().page) > 1000
        assert run._repr_html_().count("<img") > 0
        assert place.store.stat(keys.summary_json(run.id))
