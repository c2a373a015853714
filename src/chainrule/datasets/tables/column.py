"""One column of a table, as it was read: numbers, and what they stand for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from chainrule.arrays import Array

Kind: TypeAlias = Literal["number", "boolean", "date", "text"]


@dataclass(frozen=True)
class Form:
    """What a column holds, and how its cells are written where that is not plain.

    `written` says it: "$", "%", "day first". It is what reads the same column of another table in the same way.
    """

    kind: Kind
    written: str = ""


@dataclass(frozen=True, eq=False)
class Column:
    """A column of a table.

    `values` are the numbers; of booleans 0 and 1; of dates days since 1970-01-01, with fractions; all of them NaN
    where the cell is missing. Of text they are positions in `texts`, which are different and sorted, and -1 where
    the cell is missing.

    Shapes: values (N,).
    dtype: float64; of text int32.
    """

    name: str
    form: Form
    values: Array
    texts: list[str] = field(default_factory=list)

    @property
    def missing(self) -> Array:
        """Which cells are missing. Shapes: (N,). dtype: bool."""
        absent: Array = self.values < 0 if self.form.kind == "text" else self.values != self.values
        return absent

    def rows(self, chosen: Array) -> Column:
        """The column of some of the rows, told by their positions or by a mask."""
        return Column(self.name, self.form, self.values[chosen], self.texts)
