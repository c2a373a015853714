"""MUTATIONS.md, written from what was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mutations.gradcheck import Said
from mutations.measuring import Outcome
from mutations.results import Results

RULES = """\
- **A mutant** is something right with one small mistake in it. *By hand*: classes and functions written as in
  notes and homework, with a few characters of their source replaced. *Layers*: every layer of chainrule, with
  gradients that are spoiled after they were computed. *Graphs*: a graph and a network in which one node is wrong.
- A mutant counts only if it behaves otherwise than the right one, which the tests of the suite check: in
  output, gradients, dtype, in what it writes into, in a second call, with other values, or with very large ones.
- **Found**: `cr.check` reports an error or a warning. **Named**: the first finding of the highest severity has the
  code that is written down with the mutant. Some mutants have two codes, where both are right: a ReLU without its
  mask passes on `dy` unchanged.
- **Located** (graphs only): the findings speak of the wrong node and of no other.
- **A false alarm** is an error or a warning on something right, or an exception. The right ones are the same
  classes, functions, graphs, and every row of the table on which chainrule's own layers are tested, each with new
  random numbers for every seed, in float64 and in float32.
- **Seen and unseen.** `cr.check` was made better with this suite at hand. That a mistake is found does not depend
  on its name; of code that it has not seen, fewer are named. A reviewer who knew neither the checker nor this suite
  wrote 86 more mistakes in code of their own, cells and attention among them: 85 were found, and 66 named.
- **gradcheck** is `torch.autograd.gradcheck` with its defaults, in float64, on an autograd function that calls the
  same NumPy code; weights are inputs of that function. Graphs are not given to it.
"""

#: The heading of the section that `--kernels` writes.
KERNELS = "## Fused kernels"


def write_report(results: Results, path: Path) -> None:
    """Everything on one page. What the page says of kernels stays."""
    kept = kernels_section(path.read_text(encoding="utf-8")) if path.exists() else ""
    with_torch = results.gradcheck is not None
    groups = {
        "by hand": [o for o in results.outcomes if not _is_layer(o) and o.located is None],
        "layers": [o for o in results.outcomes if _is_layer(o)],
        "graphs": [o for o in results.outcomes if o.located is not None],
        "**all**": results.outcomes,
    }
    versions = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    parts = [
        "# Wrong backwards, and what is said of them",
        "This page is written by `PYTHONPATH=benchmarks python -m mutations` "
        f"({results.seconds / 60:.0f} minutes; {versions}). `--quick` takes a part, `--correct 1000` makes fewer "
        "checks of what is right, `--out FOLDER` writes elsewhere. Every single result is written to "
        "`mutations.json` beside it.",
        "## What is found",
        table(
            ("mutants", "how many", "found", "named", "located", "gradcheck finds"),
            [_group(name, outcomes, results) for name, outcomes in groups.items()],
        ),
        f"One check of a mutant takes {_mean(results):.1f} ms on average.",
        "## By mistake",
        "A mutant with two codes is counted with both.",
        table(
            ("code", "mutants", "found", "named", "gradcheck finds", "what gradcheck says, for instance"),
            [_code(code, results) for code in results.codes],
        ),
        "" if with_torch else "PyTorch was missing in this run, so gradcheck was not asked.",
        "## What is called what",
        table(
            ("expected", "named so", "otherwise"),
            [_confused(expected, named) for expected, named in results.confusion().items()],
        ),
        "## Not found, or called otherwise",
        _missed(results),
        _found_by_one(results),
        "## False alarms",
        _alarms(results),
        "## One wrong element among many",
        _projection(results),
        kept,
        "## Rules",
        RULES,
    ]
    path.write_text("\n\n".join(part.strip() for part in parts if part) + "\n", encoding="utf-8")


def kernels_section(page: str) -> str:
    """What a page says of kernels, from its heading to the next; nothing where it is silent."""
    _, found, rest = page.partition(KERNELS)
    return found + rest.partition("\n## ")[0] if found else ""


def _is_layer(outcome: Outcome) -> bool:
    return outcome.name.startswith("cr.")


def _mean(results: Results) -> float:
    return sum(o.milliseconds for o in results.outcomes) / max(len(results.outcomes), 1)


def _group(name: str, outcomes: list[Outcome], results: Results) -> tuple[str, ...]:
    count, found, named = results.rate(outcomes)
    located = [o.located for o in outcomes if o.located is not None]
    return (
        name,
        str(count),
        share(found, count),
        share(named, count),
        share(sum(located), len(located)) if located and name != "**all**" else "",
        _gradcheck_share(results.said_of(outcomes)),
    )


def _code(code: str, results: Results) -> tuple[str, ...]:
    outcomes = results.of_code(code)
    count, found, named = results.rate(outcomes)
    said = results.said_of(outcomes)
    lines = Counter(each.said for each in said if each.detected)
    example = lines.most_common(1)[0][0] if lines else ""
    return (
        code,
        str(count),
        share(found, count),
        share(named, count),
        _gradcheck_share(said),
        cell(example),
    )


def _confused(expected: str, named: Counter[str]) -> tuple[str, ...]:
    codes = expected.split(" or ")
    right = sum(named[code] for code in codes)
    others = ", ".join(f"{code} {count}" for code, count in named.most_common() if code not in codes)
    return expected, f"{right} of {named.total()}", others


def _missed(results: Results) -> str:
    lines = [
        f"| {cell(o.name)} | {' or '.join(o.expected)} | {', '.join([o.named, *o.others])} |"
        for o in results.outcomes
        if not o.right
    ]
    if not lines:
        return "None."
    return "\n".join(["| mutant | expected | reported |", "|---|---|---|", *lines])


def _found_by_one(results: Results) -> str:
    """Where the two checkers differ: each mutant that `cr.check` misses, and how many the other one does."""
    if results.gradcheck is None:
        return ""
    ours = {o.name: o for o in results.outcomes}
    others = [said.name for said in results.gradcheck if said.detected and not ours[said.name].detected]
    missed = [ours[said.name] for said in results.gradcheck if not said.detected and ours[said.name].detected]
    by_code = Counter(" or ".join(outcome.expected) for outcome in missed)
    return (
        f"Found by `cr.check` and not by gradcheck: {len(missed)}"
        + "".join(f", {code} {count}" for code, count in by_code.most_common())
        + f". Found by gradcheck and not by `cr.check`: {len(others)}"
        + "".join(f"; {name}" for name in others)
        + "."
    )


def _alarms(results: Results) -> str:
    alarms = results.alarms
    text = (
        f"{len(alarms.found)} in {alarms.checks:,} checks of what is right, {alarms.milliseconds:.1f} ms each on "
        "average."
    )
    if results.gradcheck_alarms is not None:
        text += (
            f" gradcheck objects to {len(results.gradcheck_alarms)} of {results.gradcheck_correct:,} right ones "
            "in float64, each given to it once."
        )
    if not alarms.found:
        return text
    counted = Counter((alarm.name, alarm.named, alarm.severity) for alarm in alarms.found)
    rows = [(cell(name), named, severity, str(n)) for (name, named, severity), n in counted.most_common()]
    return text + "\n\n" + table(("what", "reported", "severity", "times"), rows)


def _projection(results: Results) -> str:
    if not results.projection:
        return "Not measured in this run."
    first = results.projection[0]
    rows = []
    for n in sorted({each.n for each in results.projection}):
        of_n = [each for each in results.projection if each.n == n]
        rows.append(
            (
                f"{n:,}",
                *(
                    f"{share(each.by_one_projection, each.tries)}, {share(each.by_check, each.check_tries)}"
                    for each in of_n
                ),
            )
        )
    errors = [f"off by {each.error:g}" for each in results.projection if each.n == first.n]
    return (
        "y = tanh(x) on n numbers, one element of whose gradient is off by a fraction of itself. Missed by one "
        f"random projection alone, with a tolerance of a thousandth ({first.tries:,} tries), and by all of "
        f"`cr.check` ({first.check_tries} tries):\n\n" + table(("n", *errors), rows)
    )


def _gradcheck_share(said: list[Said]) -> str:
    return share(sum(each.detected for each in said), len(said)) if said else ""


def share(part: int, whole: int) -> str:
    """A percentage that says 100 % only where it is all of them, and 0 % only where it is none."""
    if whole == 0:
        return ""
    percent = 100 * part / whole
    if part not in (0, whole):
        percent = min(max(percent, 0.1), 99.9)
    return f"{percent:.0f} %" if part in (0, whole) else f"{percent:.1f} %"


def cell(text: str) -> str:
    """A text short enough for a table."""
    short = text if len(text) <= 110 else text[:107] + "..."
    return short.replace("|", "\\|")


def table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """In Markdown."""
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])
