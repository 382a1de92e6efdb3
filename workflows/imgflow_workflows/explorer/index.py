"""One table of all images that a store knows, as the pages ask it: made once, read by many requests at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from imgflow_steps.contract.metadata import FIELDS
from imgflow_steps.contract.step import BadParametersError
from imgflow_workflows.catalog import ask
from imgflow_workflows.catalog.database import quoted, said
from imgflow_workflows.runs.history import Record, newest_among, records

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from imgflow_steps.records.run import Run
    from imgflow_steps.store import Store

PATIENCE = 20.0  # seconds that one question may take
KEY = ("municipality", "image")


class Index:
    """The images of a store: ``images`` has a row for each, its result's columns first, then its catalog's.

    A column of both is the catalog's where the file itself tells it (``taken``, say); any other is ``catalog_…``.
    Raises BadParametersError where the extra for SQL is missing, and StoreError.
    """

    def __init__(self, store: Store, municipality: str = "") -> None:
        self.store, self.municipality = store, municipality
        self._lock = threading.Lock()  # of making it anew; questions go on with the old one until then
        self._table: _Table | None = None
        self.columns: dict[str, str] = {}
        self.newest: dict[str, Record] = {}  # the newest run of each municipality, whose results these are
        self.covered: frozenset[str] = frozenset()  # municipalities in whose images a run covers something
        self.seconds = 0.0
        self.refresh()

    def refresh(self) -> None:
        """Read the store again."""
        with self._lock, ExitStack() as stack:
            began = time.monotonic()
            known = [one for _, one in records(self.store) if isinstance(one, Record)]
            newest = newest_among(one for one in known if self.municipality in {"", one.run.municipality})
            answering = ask.answering(self.store, "results catalog", self.municipality, newest_runs=newest)
            base = stack.enter_context(answering)
            _make(base)
            described = base.execute("DESCRIBE images").fetchall()
            self.covered = frozenset(one.run.municipality for one in known if one.run.pipeline.hides)
            before, self._table = self._table, _Table(base, stack.pop_all())
            self.columns = {name: str(kind) for name, kind, *_ in described}
            self.newest = newest
            self.seconds = time.monotonic() - began
        if before:
            before.leave()

    def shows(self, run: Run) -> bool:
        """Whether pictures of a run show uncovered what another one covers."""
        return run.municipality in self.covered and not run.pipeline.hides

    def close(self) -> None:
        """Let the table go."""
        table, self._table = self._table, None
        if table:
            table.leave()

    def ask(self, sql: str, values: list[Any] | None = None) -> list[tuple[Any, ...]]:
        """The rows of one SELECT. Raises BadParametersError saying what is wrong with it, or that it took too long."""
        import duckdb  # noqa: PLC0415 - an extra

        with self._cursor() as cursor:
            try:
                kinds = [statement.type.name for statement in cursor.extract_statements(sql)]
                if kinds != ["SELECT"]:
                    raise BadParametersError(
                        "a condition is one expression, such as: width > 1000 AND status = 'cached'"
                    )
                return cursor.execute(sql, values or []).fetchall()
            except duckdb.InterruptException:
                raise BadParametersError(f"this took longer than {PATIENCE:.0f} seconds, and was ended") from None
            except duckdb.Error as error:
                raise BadParametersError(f"the SQL cannot be answered: {said(error)}") from error

    def tag(self, municipality: str, image: str, tags: str) -> None:
        """Show an image's tags as they are in its catalog by now."""
        with self._cursor() as cursor:
            cursor.execute(
                "UPDATE images SET tags = ? WHERE municipality = ? AND image = ?", [tags, municipality, image]
            )

    @contextmanager
    def _cursor(self) -> Iterator[DuckDBPyConnection]:
        while table := self._table:
            if cursor := table.enter():  # else it was made anew in this moment
                break
        else:
            raise BadParametersError("imgflow view has ended; start it again")
        ends = threading.Timer(PATIENCE, cursor.interrupt)
        ends.daemon = True
        ends.start()
        try:
            yield cursor
        finally:
            ends.cancel()
            cursor.close()
            table.leave()


class _Table:
    """A database with the table, which goes when its index and all who ask it have left: none can be closed before."""

    def __init__(self, base: DuckDBPyConnection, stack: ExitStack) -> None:
        self._base, self._stack = base, stack
        self._lock = threading.Lock()
        self._users = 1  # the index itself

    def enter(self) -> DuckDBPyConnection | None:
        """A cursor, to be closed before ``leave``; None when all have left."""
        with self._lock:
            if not self._users:
                return None
            self._users += 1
            return self._base.cursor()

    def leave(self) -> None:
        """Need it no more."""
        with self._lock:
            self._users -= 1
            if not self._users:
                self._stack.close()


def _make(base: DuckDBPyConnection) -> None:
    results = [name for name, *_ in base.execute("DESCRIBE results").fetchall()]
    catalog = [name for name, *_ in base.execute("DESCRIBE catalog").fetchall() if name not in KEY]
    own = {name.casefold() for name in catalog}
    known = {name.casefold() for name in results}
    shown = [f"made.{quoted(name)}" for name in results if name not in KEY and not (name in FIELDS and name in own)]
    for name in catalog:
        both = name.casefold() in known and name.casefold() not in FIELDS
        shown.append(f"told.{quoted(name)}" + (f" AS {quoted(f'catalog_{name}')}" if both else ""))
    if "tags" not in own | known:
        shown.append("NULL::VARCHAR AS tags")
    # One picture of each image, found by three columns alone: DISTINCT ON would carry all of them.
    first = "SELECT municipality, image, min(coalesce(piece, '')) AS first FROM results GROUP BY municipality, image"
    made = (
        f"SELECT results.* FROM results SEMI JOIN ({first}) AS one ON results.municipality = one.municipality "
        "AND results.image = one.image AND coalesce(results.piece, '') = one.first"
    )
    base.execute(
        f"CREATE TABLE images AS SELECT municipality, image, regexp_replace(image, '/?[^/]*$', '') AS folder, "
        f"{', '.join(shown)} FROM ({made}) AS made FULL JOIN catalog AS told USING (municipality, image) "
        "ORDER BY municipality, image"
    )
