"""An object becomes a target: its parameters, their gradients and its contract are learnt from runs of copies."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from chainrule.arguments import one_of
from chainrule.arrays import Array, is_float
from chainrule.checking.targets.contracts import Adding, Updating, adding, updating
from chainrule.checking.targets.first_run import FirstRun, Runs, first_run, started
from chainrule.checking.targets.inputs import as_data
from chainrule.checking.targets.naming import STATISTICS, Path
from chainrule.checking.targets.objects import ObjectTarget
from chainrule.checking.targets.parameters import (
    Place,
    aliases,
    is_declared,
    is_of_interest,
    named,
    pair_by_names,
    read_by,
    read_out_of_reach,
)
from chainrule.checking.targets.places import (
    Original,
    as_path,
    as_text,
    attributes_of,
    is_floats,
    look,
    numbers_of,
)
from chainrule.checking.targets.target import Contract, in_order_and_by_name, key_of
from chainrule.errors import ArgumentError


def object_target(
    thing: Any,
    data: Mapping[str, Array],
    plain: frozenset[str],
    without_gradient: frozenset[str],
    gradients: Mapping[str, str] | None,
    ignore: Collection[str],
) -> ObjectTarget:
    """The target that an object is, on these inputs. Where a run of it fails, the check itself tells how."""
    name, original = type(thing).__name__, Original(thing)
    runs = Runs(original, data, plain)
    bare = ObjectTarget(
        name, name, dict(data), without_gradient=without_gradient, original=original, plain=plain
    )
    try:
        runs = started(runs)
        run = first_run(runs)
    except (Exception, SystemExit):
        return replace(bare, calling=runs.calling)
    _refuse_unknown(ignore, run)
    found = _Search(run, ignore, gradients or {}).parameters()
    return _completed(replace(bare, original=runs.original), run, found, frozenset(ignore))


def _refuse_unknown(ignore: Collection[str], run: FirstRun) -> None:
    """ArgumentError for a name of which nothing is there."""
    original = run.runs.original
    paths = [*numbers_of(run.thing), *original.numbers, *original.out_of_reach]
    there = {str(path[-1]) for path in paths} | {
        as_text(path[: k + 1]) for path in paths for k in range(len(path))
    }
    for name in ignore:
        one_of("ignore", name, sorted(there | set(run.runs.values)), owner="check")


@dataclass
class _Found:
    """The parameters of an object, what it depends on and is no known parameter, and what is to be said."""

    places: dict[str, Place] = field(default_factory=dict)
    uncompared: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    updated: Updating = field(default_factory=lambda: Updating({}))


@dataclass
class _Search:
    """The search for the parameters of one object."""

    run: FirstRun
    ignore: Collection[str]
    named: Mapping[str, str]
    #: The gradients that were found by their names.
    used: set[Path] = field(default_factory=set)

    def parameters(self) -> _Found:
        """All of them: named by the caller, found by their names, returned by backward, or updated by it."""
        start, run = self.run.runs.original, self.run
        found = _Found()
        given = {} if run.failed else dict(self._given())
        pairs = pair_by_names(start.numbers, run.thing, run.by_backward)
        if self._extra or in_order_and_by_name(run.result)[1]:  # then what is kept may be of no use
            pairs = {path: g for path, g in pairs.items() if any(each in run.by_backward for each in g)}
        groups = aliases(start.numbers)
        self.used = {gradient for gradients in pairs.values() for gradient in gradients}
        unsure = [
            path
            for path in groups
            if path not in given.values() and path not in self.used and self._is_unsure(path, pairs)
        ]
        read = read_by(run.runs.forward, start, unsure)
        left: list[Path] = []
        for name, path in given.items():
            found.places[name] = Place(path, (as_path(self.named[name]),))
        for path, others in groups.items():
            is_new = not any(place.path in others for place in found.places.values())
            if (
                not is_new
                or path in self.used
                or self._is_ignored(others)
                or (path in unsure and path not in read)
            ):
                continue
            if STATISTICS.fullmatch(str(path[-1])):
                found.remarks.append(
                    f"{self._cls}.{as_text(path)} was not compared: it is a running statistic, no parameter."
                )
            elif path in pairs:
                found.places[self._free(path, found.places)] = Place(path, pairs[path])
            elif path in read:
                left.append(path)
        self._without_a_gradient(left, found)
        self._out_of_reach(found)
        return found

    @property
    def _cls(self) -> str:
        return type(self.run.thing).__name__

    @property
    def _extra(self) -> list[tuple[int, ...]]:
        """The shapes of the gradients that backward returns behind those of the inputs."""
        order, _ = in_order_and_by_name(self.run.result)
        inputs = self.run.runs.values
        floats = [
            name for name, value in inputs.items() if is_float(value) and name not in self.run.runs.plain
        ]
        behind = order[len(inputs if len(order) > len(inputs) else floats) :]
        return [each.shape for each in behind if isinstance(each, np.ndarray)]

    def _is_unsure(self, path: Path, pairs: Mapping[Path, tuple[Path, ...]]) -> bool:
        """Whether it takes a trial to see if forward reads it: all but what has a gradient that backward wrote."""
        value = self.run.runs.original.numbers[path]
        if path not in pairs:
            return is_floats(value) and np.size(value) > 0
        return path in self.run.by_forward or not any(g in self.run.by_backward for g in pairs[path])

    def _is_ignored(self, places: Collection[Path]) -> bool:
        return any(
            as_text(path[: k + 1]) in self.ignore or str(path[-1]) in self.ignore
            for path in places
            for k in range(len(path))
        )

    def _free(self, path: Path, taken: Collection[str]) -> str:
        """A parameter's name, told apart from that of an input of forward."""
        name = named(path, taken)
        return f"self.{name}" if name in self.run.runs.values else name

    def _given(self) -> Iterator[tuple[str, Path]]:
        """The parameters that the caller names."""
        before, after = self.run.runs.original.thing, self.run.thing
        for parameter, gradient in self.named.items():
            for thing, what in ((before, parameter), (after, gradient)):
                if look(thing, as_path(what)) is None:
                    raise ArgumentError(
                        f"check: gradients: {parameter!r} in {gradient!r}: {self._cls} has no {what!r} after "
                        f"forward and backward; its attributes: {', '.join(sorted(attributes_of(after))) or 'none'}"
                    )
            yield parameter, as_path(parameter)

    def _without_a_gradient(self, left: list[Path], found: _Found) -> None:
        """What forward reads, and has no gradient on the object: returned, updated, forgotten, or not known."""
        run, numbers = self.run, self.run.runs.original.numbers
        others = any(isinstance(look(run.thing, path), float) for path in run.by_backward)
        left = [path for path in left if is_of_interest(path, numbers[path], others)]
        for path in self._returned(left):
            found.places[self._free(path, found.places)] = Place(path)
            left.remove(path)
        changed = [path for path in numbers if path in run.by_backward]
        found.updated = updating(
            run.runs,
            [p for p in changed if p in left or any(place.path == p for place in found.places.values())],
        )
        for path in left:
            text, rates = as_text(path), found.updated.rates
            if rates.get(path) is not None:
                found.places[self._free(path, found.places)] = Place(path, rate=rates[path])
            elif path in rates:
                found.uncompared.append(text)
                found.remarks.append(
                    f"{self._cls} updates its weights in backward by a rule of its own, so {text} was not "
                    f'compared: let backward keep its gradient, and name that in gradients={{"{text}": ...}}.'
                )
            elif is_declared(path, numbers[path]) and not self._is_kept_elsewhere(path):
                found.places[self._free(path, found.places)] = Place(path)
            else:
                found.uncompared.append(text)
                found.remarks.append(
                    f"{self._cls}.{text} was not compared: the output depends on it, and no gradient of it was "
                    f'found. Name that, gradients={{"{text}": "{_likely(path)}"}}, or say that it is no parameter, '
                    f'ignore=["{text}"].'
                )

    def _out_of_reach(self, found: _Found) -> None:
        """What forward reads, and no copy has for its own."""
        compared = {place.path for place in found.places.values()}
        for path in read_out_of_reach(self.run.runs.forward, self.run.runs.original):
            if path not in compared and not self._is_ignored([path]):
                text = as_text(path)
                found.uncompared.append(text)
                found.remarks.append(
                    f"{self._cls}.{text} was not compared: the output depends on it, and it stands in a closure "
                    f"or is read by the name of its class. Keep it on the object, make it an input, or say that it "
                    f'is no parameter, ignore=["{text}"].'
                )

    def _is_kept_elsewhere(self, path: Path) -> bool:
        """Whether backward wrote an array that may be its gradient, under a name that says nothing of it."""
        shape = np.shape(self.run.runs.original.numbers[path])
        written = self.run.by_backward - self.run.by_forward - self.used
        return path in self.run.by_forward or any(np.shape(look(self.run.thing, p)) == shape for p in written)

    def _returned(self, left: list[Path]) -> list[Path]:
        """Those of which backward returns the gradient: by name, else in their order, or by their shapes."""
        _, by_name = in_order_and_by_name(self.run.result)
        found = [path for path in left if key_of(by_name, str(path[-1])) is not None]
        rest = [path for path in left if path not in found]
        shapes = [np.shape(self.run.runs.original.numbers[path]) for path in rest]
        for shape in self._extra:
            if rest:
                place = shapes.index(shape) if shape in shapes else 0
                found.append(rest.pop(place))
                shapes.pop(place)
        return found


def _likely(path: Path) -> str:
    """What the gradient of a parameter might be called: dW for W, dweights[0] for weights[0]."""
    at = max((k for k, step in enumerate(path) if isinstance(step, str)), default=0)
    return as_text((*path[:at], f"d{path[at]}", *path[at + 1 :]))


def _completed(target: ObjectTarget, run: FirstRun, found: _Found, ignore: Collection[str]) -> ObjectTarget:
    """The target with its parameters, its contract and its remarks."""
    runs, thing, cls = run.runs, run.runs.original.thing, target.name
    values = dict(target.values)
    for name, place in found.places.items():
        values[name] = as_data(look(thing, place.path), name, whole=False)
    gradients = [path for place in found.places.values() for path in place.gradients]
    adds = Adding() if run.failed else adding(runs, gradients)
    updates = found.updated
    remarks = [*found.remarks, *_remarks(cls, adds, updates, run)]
    ignored = frozenset(ignore) & values.keys()
    without = target.without_gradient | ignored
    uncompared = list(found.uncompared)
    data = [name for name in target.values if is_float(target.values[name]) and name not in without]
    if _only_of_parameters(run.result, data, found.places):
        uncompared += data
        without |= frozenset(data)
        told = ", ".join(data)
        remarks.append(f"backward of {cls} returns gradients of parameters only: {told} was not compared.")
    return replace(
        target,
        values=values,
        without_gradient=without,
        straight_through=ignored,
        calling=replace(runs.calling, kept=run.kept),
        places=found.places,
        updated=tuple(updates.rates),
        added=adds.paths,
        cleared=adds.meant,
        stacks=run.stacks,
        remarks=tuple(remarks),
        uncompared=tuple(uncompared),
        contract=Contract(
            adds=adds.alone,
            pops=bool(run.stacks),
            updates=tuple(map(as_text, updates.rates)),
            updates_early=updates.early,
            without_upstream=runs.calling.takes in ("inputs", "answers"),
        ),
    )


def _only_of_parameters(result: Any, data: Collection[str], places: Mapping[str, Place]) -> bool:
    """Whether backward returns a dict of the gradients of its parameters, and of no input."""
    if not isinstance(result, Mapping) or any(key_of(result, name) is not None for name in data):
        return False
    return any(key_of(result, str(place.path[-1])) is not None for place in places.values())


def _remarks(cls: str, adds: Adding, updates: Updating, run: FirstRun) -> Iterator[str]:
    if adds.meant:
        yield f"{cls} adds into its gradients by contract: {adds.cleared} between two backwards."
    known = [as_text(path) for path, rate in updates.rates.items() if rate is not None]
    if known:
        yield f"backward of {cls} updates {', '.join(known)}: after each call they were put back."
    if run.stacks:
        kept = ", ".join(map(as_text, run.stacks))
        yield (
            f"{cls} keeps the inputs of all its calls in {kept}: backward has to be called as often as forward, in "
            f"reverse."
        )
