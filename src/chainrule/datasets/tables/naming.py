"""Names of columns, made different where the file has one twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from chainrule.errors import DataError

LONGEST = 40
"""Characters of a cell or a name in an error or a note."""


def shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def different(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """The names without spaces around them, all different, and notes of those that were changed.

    One that is empty becomes "column 3", one that is there before "a.1".
    """
    stripped = [name.strip() or f"column {k}" for k, name in enumerate(names, 1)]
    taken, counts, made, renamed = set(stripped), Counter[str](), [], {}
    for name in stripped:
        count = counts[name]
        counts[name] += 1
        new = name
        while count and (new := f"{name}.{count}") in taken:
            count += 1
        if new != name:
            taken.add(new)
            renamed[new] = name
            counts[name] = count + 1
        made.append(new)
    if not renamed:
        return made, []
    shown = ", ".join(
        f"{shortened(old)!r} is called {shortened(new)!r}" for new, old in list(renamed.items())[:3]
    )
    more = f", and {len(renamed) - 3} more" if len(renamed) > 3 else ""
    return made, [f"columns of the same name: the further {shown}{more}"]


def refuse_target_twice(path: Path, target: str, names: Sequence[str]) -> None:
    places = [k for k, name in enumerate(names, 1) if name.strip() == target]
    if len(places) > 1:
        raise DataError(
            f"{path}: expected one column {shortened(target)!r} for the target, got it as columns "
            f"{' and '.join(map(str, places))}; rename the one that is none"
        )
