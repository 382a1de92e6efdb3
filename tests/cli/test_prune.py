"""prune: what it says, what it deletes, and when it does not."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from imgflow_steps.records import keys
from imgflow_steps.records.run import load, save
from imgflow_steps.store import Store
from imgflow_workflows.retention.deletion import Deletion

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

NOW = ("--older-than", "0h", "--keep", "1")


@pytest.fixture
def old_and_new(imgflow: Cli, demo: Store) -> Store:
    """The municipality Demo after runs of two pipelines."""
    for run, width in (("old", 32), ("new", 64)):
        imgflow("submit", "-m", "Demo", "--workers", "1", "--run", run, "--set", f"scale.width={width}", "-q")
    return demo


def test_without_yes_it_only_says_what_would_go(imgflow: Cli, old_and_new: Store) -> None:
    before = list(old_and_new.entries())

    said = imgflow("prune", *NOW)

    header, digest, run = said.out.splitlines()
    assert header.split() == ["KIND", "NAME", "OBJECTS", "SIZE", "UNUSED", "LAST", "RUN"]
    assert digest.split()[1] == f"Demo/{load(old_and_new, 'old').digest}"
    assert run.split()[:2] == ["runs", "old"]
    assert "nothing is deleted yet" in said.err
    assert imgflow("prune", *NOW, "--dry-run").out.splitlines()[0] == header
    assert list(old_and_new.entries()) == before


def test_with_yes_it_goes_and_everything_else_stays(imgflow: Cli, old_and_new: Store) -> None:
    digest = load(old_and_new, "old").digest
    gone = (f"results/Demo/{digest}/", "runs/old/")
    rest = [one for one in old_and_new.entries() if not one.key.startswith(gone)]

    done = imgflow("prune", *NOW, "--yes", "-o", "json")

    assert done.json["deleted"] is True
    assert {item["name"] for item in done.json["items"] if not item["keep"]} == {f"Demo/{digest}", "old"}
    assert done.json["objects"] == sum(item["objects"] for item in done.json["items"] if not item["keep"]) > 5
    assert list(old_and_new.entries()) == rest
    assert "nothing to delete" in imgflow("prune", *NOW, "--yes").err


def test_what_is_young_stays_and_wide_says_why(imgflow: Cli, old_and_new: Store) -> None:
    plain, wide = imgflow("prune"), imgflow("prune", "-o", "wide")

    assert "nothing to delete; -o wide says why" in plain.err
    assert plain.out == ""
    assert "says why" not in wide.err
    assert "newest of Demo" in wide.out
    assert "one of the 2 newest of Demo" in wide.out


def test_names_of_others_are_shown_escaped(imgflow: Cli, store: Store) -> None:
    store.write(keys.scratch("x", 1, 0).replace("/x/", "/\x1b[31mred/"), b"tar")

    for form in ("wide", "name"):
        shown = imgflow("prune", "-o", form, "--what", "scratch")
        assert "\x1b" not in shown.out + shown.err
    assert "\\x1b[31mred" in imgflow("prune", "--what", "scratch", "-o", "wide").out


@pytest.mark.parametrize(
    "wrong",
    [
        ["--older-than", "yesterday"],
        ["--what", "digests,datasets"],
        ["--keep", "0"],
        ["--yes", "--dry-run"],
    ],
)
def test_what_makes_no_sense_is_wrong_usage(imgflow: Cli, old_and_new: Store, wrong: list[str]) -> None:
    before = list(old_and_new.entries())

    assert imgflow("prune", *wrong).code == 2
    assert list(old_and_new.entries()) == before


def test_ctrl_c_leaves_a_store_that_works_and_the_same_command_goes_on(
    imgflow: Cli, old_and_new: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete = Deletion.delete

    def interrupted(self: Deletion, item: object) -> None:
        delete(self, item)  # type: ignore[arg-type]  # as it came
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Deletion, "delete", interrupted)
        stopped = imgflow("prune", *NOW, "--yes")

    assert stopped.code == 130
    assert "run the same command again to resume" in stopped.err
    assert imgflow("prune", *NOW, "--yes").code == 0
    assert imgflow("ls", "-o", "name").out.split() == ["new"]
    again = imgflow("submit", "-m", "Demo", "--workers", "1", "--set", "scale.width=32", "-o", "json").json
    assert again["counts"] == {"listed": 4, "processed": 3, "cached": 0, "rejected": 1, "failed": 0}


def test_results_of_a_cluster_s_runs_stay_where_its_schedules_are_not_known(imgflow: Cli, old_and_new: Store) -> None:
    save(old_and_new, load(old_and_new, "old").model_copy(update={"engine": "argo", "created": time.time() - 9e6}))

    assert "a schedule of the cluster may need it" in imgflow("prune", *NOW, "-o", "wide").out
