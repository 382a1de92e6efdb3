"""Which images a page is about, as its address says it: every value is bound, every column is looked up first."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from imgflow_steps.contract.step import BadParametersError
from imgflow_workflows.catalog.database import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PER_PAGE = 120
TIMES = ("DATE", "TIMESTAMP")


@dataclass(frozen=True, slots=True)
class Choice:
    """A condition in SQL, values that columns have, ranges in which they lie, and an order."""

    where: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    ranges: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # from, below; "" is open
    folder: str | None = None
    sort: str = ""
    descending: bool = False
    page: int = 0
    view: str = "grid"

    def address(self, **changes: Any) -> str:
        """The query string of this choice, or of one that differs from it; the first page unless it is named."""
        one = replace(self, **({"page": 0} | changes))
        pairs = [
            ("where", one.where),
            ("folder", one.folder),
            ("sort", one.sort),
            ("desc", "1" if one.descending else ""),
        ]
        pairs += [(f"is.{name}", value) for name, value in one.values.items()]
        for name, (low, high) in one.ranges.items():
            pairs += [(f"from.{name}", low), (f"below.{name}", high)]
        pairs += [("page", str(one.page or "")), ("view", "" if one.view == "grid" else one.view)]
        return "?" + urlencode(
            [(name, value) for name, value in pairs if value or (name == "folder" and value is not None)]
        )

    def with_value(self, name: str, value: str) -> str:
        """The address of those that have this value, too."""
        return self.address(values={**self.values, name: value})

    def with_range(self, name: str, low: str, high: str) -> str:
        """The address of those within a range, too."""
        return self.address(ranges={**self.ranges, name: (low, high)})

    def without(self, name: str) -> str:
        """The address without what is asked of a column."""
        return self.address(
            values={key: value for key, value in self.values.items() if key != name},
            ranges={key: value for key, value in self.ranges.items() if key != name},
        )

    @property
    def count(self) -> int:
        """How many things are asked for."""
        return len(self.values) + len(self.ranges) + bool(self.where) + (self.folder is not None)

    def condition(self, columns: Mapping[str, str]) -> tuple[str, list[Any]]:
        """SQL for it, and the values that stand for its question marks. Raises BadParametersError."""
        parts, bound = [], []
        for name, value in self.values.items():
            parts.append(f"{column(name, columns)}::VARCHAR = ?")
            bound.append(value)
        for name, (low, high) in self.ranges.items():
            kind = "TIMESTAMP" if columns.get(name, "").startswith(TIMES) else "DOUBLE"
            for sign, value in ((">=", low), ("<", high)):
                if value:
                    parts.append(f"{column(name, columns)} {sign} TRY_CAST(? AS {kind})")
                    bound.append(value)
        if self.folder is not None:
            parts.append("(folder = ? OR starts_with(folder, ?))")
            bound += [self.folder, f"{self.folder}/" if self.folder else ""]
        if self.where:
            parts.append(f"(\n{self.where}\n)")
        return " AND ".join(parts) or "true", bound

    def order(self, columns: Mapping[str, str]) -> str:
        """SQL for the order."""
        if not self.sort:
            return "municipality, image"
        way = "DESC" if self.descending else "ASC"
        return f"{column(self.sort, columns)} {way} NULLS LAST, municipality, image"


def column(name: str, columns: Mapping[str, str]) -> str:
    """A column as SQL writes it. Raises BadParametersError where there is none."""
    if name not in columns:
        raise BadParametersError(f"there is no column {name[:80]!r}")
    return quoted(name)


def read(pairs: Iterable[tuple[str, str]]) -> Choice:
    """What an address asks for; what it does not understand it leaves out."""
    plain: dict[str, str] = {}
    values: dict[str, str] = {}
    low: dict[str, str] = {}
    high: dict[str, str] = {}
    groups = {"is": values, "from": low, "below": high}
    for name, value in pairs:
        group, dot, column = name.partition(".")
        (groups[group] if dot and group in groups else plain)[column if dot and group in groups else name] = value
    page = plain.get("page", "")
    return Choice(
        where=plain.get("where", "").strip(),
        values=values,
        ranges={name: (low.get(name, ""), high.get(name, "")) for name in dict.fromkeys([*low, *high])},
        folder=plain.get("folder"),
        sort=plain.get("sort", ""),
        descending=plain.get("desc") == "1",
        page=min(int(page), 1_000_000) if page.isascii() and page.isdigit() else 0,
        view="map" if plain.get("view") == "map" else "grid",
    )
