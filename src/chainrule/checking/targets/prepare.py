"""An object becomes a target: its parameters, their gradients and its contract are learnt from runs of copies."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from chainrule.arguments import one_of
from chainrule.arrays import Array, is_float
from chainrule.checking.targets.calling import calling_of
from chainrule.checking.targets.captured import captured
from chainrule.checking.targets.contracts import adding, updating
from chainrule.checking.targets.first_run import FirstRun, first_run, started
from chainrule.checking.targets.inputs import as_data
from chainrule.checking.targets.naming import STATISTICS, Methods, Path, is_gradient_of
from chainrule.checking.targets.objects import Adding, ObjectTarget, Updating
from chainrule.checking.targets.parameters import (
    Place,
    aliases,
    is_declared,
    is_of_interest,
    named,
    pair_by_names,
)
from chainrule.checking.targets.places import (
    Original,
    as_path,
    as_text,
    attributes_of,
    is_floats,
    is_other_array,
    is_whole,
    look,
    numbers_of,
    walk,
)
from chainrule.checking.targets.reading import read_by
from chainrule.checking.targets.target import Contract, in_order_and_by_name, key_of
from chainrule.errors import ArgumentError


def object_target(
    thing: Any,
    methods: Methods,
    data: Mapping[str, Array],
    plain: frozenset[str],
    without_gradient: frozenset[str],
    gradients: Mapping[str, str] | None,
    ignore: Collection[str],
) -> ObjectTarget:
    """The target that an object is, on these inputs. Where a run of it fails, the check itself tells how."""
    name = type(thing).__name__
    target = ObjectTarget(
        name,
        name,
        dict(data),
        without_gradient=without_gradient,
        original=Original(thing),
        calling=calling_of(thing, methods.backward, list(data)),
        methods=methods,
        plain=plain,
        draws=True,  # what it draws is held while it is learnt from
    )
    try:
        target = started(target)
        run = first_run(target)
    except (Exception, SystemExit):
        return replace(target, draws=False)
    _refuse_unknown(ignore, run)
    search = _Search(run, ignore, gradients or {})
    search.parameters()
    return replace(_completed(search, frozenset(ignore)), draws=False)


def _refuse_unknown(ignore: Collection[str], run: FirstRun) -> None:
    """ArgumentError for a name that nothing has."""
    if not ignore:
        return
    original = run.target.original
    others = [path for path, value in walk(original.thing) if is_other_array(value)]
    paths = [
        *numbers_of(run.thing),
        *original.numbers,
        *original.out_of_reach,
        *captured(original.thing),
        *others,
    ]
    there = {name for path in paths for name in _names_of(path)}
    for name in ignore:
        one_of("ignore", name, sorted(there | set(run.target.values)), owner="check")


def _names_of(path: Path) -> set[str]:
    """By what a place may be named: its last name, its path, and the path of what holds it."""
    return {str(path[-1]), *(as_text(path[: k + 1]) for k in range(len(path)))}


@dataclass
class _Search:
    """The search for the parameters of one object, and the remarks on what it found."""

    run: FirstRun
    ignore: Collection[str]
    named: Mapping[str, str]
    #: The parameters, by name.
    places: dict[str, Place] = field(default_factory=dict)
    updates: Updating = field(default_factory=Updating)
    #: What the output depends on and is no known parameter, and sentences.
    uncompared: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    #: The gradients that were found by their names.
    used: set[Path] = field(default_factory=set)

    def parameters(self) -> None:
        """Find all: named by the caller, found by their names, returned by backward, or updated by it."""
        run, numbers = self.run, self.run.target.original.numbers
        if not run.failed:
            self._take_given()
        pairs = pair_by_names(numbers, run.thing, run.by_backward)
        if self._extra or in_order_and_by_name(run.result)[1]:  # then what is kept may be of no use
            pairs = {path: g for path, g in pairs.items() if any(each in run.by_backward for each in g)}
        self.used = {gradient for gradients in pairs.values() for gradient in gradients}
        given = [place.path for place in self.places.values()]
        groups = {
            path: others
            for path, others in aliases(numbers).items()
            if path not in self.used and not any(each in given for each in others)
        }
        unsure = [path for path in groups if self._is_unsure(path, pairs)]
        read = read_by(run.target, unsure)
        left: list[Path] = []
        for path, others in groups.items():
            if any(map(self._is_ignored, others)) or (path in unsure and path not in read):
                continue
            if STATISTICS.fullmatch(str(path[-1])) and not self._is_learnt(path, pairs.get(path, ())):
                text = f"{self._cls}.{as_text(path)}"
                self.remarks.append(f"{text} was not compared: it is a running statistic, no parameter.")
            elif path in pairs:
                self._take(Place(path, pairs[path]))
            elif path in read:
                left.append(path)
        self._without_a_gradient(left)
        compared = [place.path for place in self.places.values()]
        shared = {p: v for p, v in self._shared.items() if p not in compared}
        self._leave_read(
            shared,
            shared,
            "and a copy has none of its own: it stands in a closure, in the module, on an object without a copy, "
            "or is read by the name of its class. Keep it on the object, make it an input",
        )
        foreign = {path: value for path, value in walk(run.target.original.thing) if is_other_array(value)}
        self._leave_read(
            foreign, {}, "and it is no NumPy array of real numbers. Keep it as one, make it an input"
        )
        if not is_whole(run.thing):
            self.uncompared.append("the rest")
            self.remarks.append(f"{self._cls} keeps so much that only a part of it was looked at.")

    @property
    def _shared(self) -> dict[Path, Array]:
        original = self.run.target.original
        return original.out_of_reach | captured(original.thing)

    def _is_learnt(self, path: Path, gradients: Collection[Path]) -> bool:
        """Whether backward writes what has a name as the gradient of it has."""
        return any(g in self.run.by_backward and is_gradient_of(str(g[-1]), str(path[-1])) for g in gradients)

    def _leave_read(self, found: Mapping[Path, Any], shared: Mapping[Path, Array], why: str) -> None:
        """Those of these that the output depends on are left uncompared."""
        read = read_by(self.run.target, aliases(found), shared)
        for path in found:
            if path in read and not self._is_ignored(path):
                self._leave(path, f"the output depends on it, {why}")

    @property
    def _cls(self) -> str:
        return self.run.target.name

    @property
    def _extra(self) -> list[tuple[int, ...]]:
        """The shapes of the gradients that backward returns behind those of the inputs."""
        order, _ = in_order_and_by_name(self.run.result)
        inputs = self.run.target.values
        floats = [name for name, v in inputs.items() if is_float(v) and name not in self.run.target.plain]
        behind = order[len(inputs if len(order) > len(inputs) else floats) :]
        return [each.shape for each in behind if isinstance(each, np.ndarray)]

    def _is_unsure(self, path: Path, pairs: Mapping[Path, tuple[Path, ...]]) -> bool:
        """Whether it takes a trial to see if forward reads it: all but what has a gradient that backward wrote."""
        value = self.run.target.original.numbers[path]
        if path not in pairs:
            return is_floats(value) and np.size(value) > 0
        return path in self.run.by_forward or not any(g in self.run.by_backward for g in pairs[path])

    def _is_ignored(self, path: Path) -> bool:
        return not _names_of(path).isdisjoint(self.ignore)

    def _take(self, place: Place) -> None:
        """It is a parameter; its name must differ from that of an input of forward."""
        name = named(place.path, self.places)
        self.places[f"self.{name}" if name in self.run.target.values else name] = place

    def _leave(self, path: Path, because: str) -> None:
        """It is left uncompared, for a reason, and with what else can be done."""
        text = as_text(path)
        self.uncompared.append(text)
        self.remarks.append(
            f"{self._cls}.{text} was not compared: {because}, or say that it is no parameter, "
            f'ignore=["{text}"].'
        )

    def _take_given(self) -> None:
        """The parameters that the caller names."""
        before, after = self.run.target.original.thing, self.run.thing
        for parameter, gradient in self.named.items():
            for thing, what in ((before, parameter), (after, gradient)):
                if look(thing, as_path(what)) is None:
                    raise ArgumentError(
                        f"check: gradients: {parameter!r} in {gradient!r}: {self._cls} has no {what!r} after "
                        f"forward and backward; its attributes: {', '.join(sorted(attributes_of(after))) or 'none'}"
                    )
            self.places[parameter] = Place(as_path(parameter), (as_path(gradient),))

    def _without_a_gradient(self, left: list[Path]) -> None:
        """What forward reads, and has no gradient on the object: returned, updated, forgotten, or not known."""
        run, numbers = self.run, self.run.target.original.numbers
        others = any(isinstance(look(run.thing, path), float) for path in run.by_backward)
        left = [path for path in left if is_of_interest(path, numbers[path], others)]
        for path in self._returned(left):
            self._take(Place(path))
            left.remove(path)
        known = [*left, *(place.path for place in self.places.values())]
        self.updates = updating(run.target, [p for p in numbers if p in run.by_backward and p in known])
        for path in left:
            text, rates = as_text(path), self.updates.rates
            if rates.get(path) is not None:
                self._take(Place(path, rate=rates[path]))
            elif path in rates:
                self._leave(
                    path,
                    f"{self._cls} updates its weights in backward by a rule of its own. Let backward keep its "
                    f'gradient, and name that, gradients={{"{text}": ...}}',
                )
            elif is_declared(path, numbers[path]) and not self._is_kept_elsewhere(path):
                self._take(Place(path))
            else:
                self._leave(
                    path,
                    f"the output depends on it, and no gradient of it was found. Name that, "
                    f'gradients={{"{text}": "{_likely(path)}"}}',
                )

    def _is_kept_elsewhere(self, path: Path) -> bool:
        """Whether backward wrote an array that may be its gradient, under a name that says nothing of it."""
        shape = np.shape(self.run.target.original.numbers[path])
        written = self.run.by_backward - self.run.by_forward - self.used
        return path in self.run.by_forward or any(np.shape(look(self.run.thing, p)) == shape for p in written)

    def _returned(self, left: list[Path]) -> list[Path]:
        """Those of which backward returns the gradient: by name, else in their order, or by their shapes."""
        _, by_name = in_order_and_by_name(self.run.result)
        found = [path for path in left if key_of(by_name, str(path[-1])) is not None]
        rest = [path for path in left if path not in found]
        for shape in self._extra:
            if rest:
                fitting = [p for p in rest if np.shape(self.run.target.original.numbers[p]) == shape]
                found.append((fitting or rest)[0])
                rest.remove(found[-1])
        return found


def _likely(path: Path) -> str:
    """What the gradient of a parameter might be called: dW for W, dweights[0] for weights[0]."""
    at = max((k for k, step in enumerate(path) if isinstance(step, str)), default=0)
    return as_text((*path[:at], f"d{path[at]}", *path[at + 1 :]))


def _completed(search: _Search, ignore: frozenset[str]) -> ObjectTarget:
    """The target with its parameters, its contract and its remarks."""
    run, target, updates = search.run, search.run.target, search.updates
    thing, cls = target.original.thing, target.name
    values = dict(target.values)
    for name, place in search.places.items():
        values[name] = as_data(look(thing, place.path), name, whole=False)
    gradients = [path for place in search.places.values() for path in place.gradients]
    adds = adding(target, gradients)
    remarks = [*search.remarks, *_remarks(target, adds, updates)]
    ignored = ignore & values.keys()
    without = target.without_gradient | ignored
    uncompared = list(search.uncompared)
    data = [name for name in target.values if is_float(target.values[name]) and name not in without]
    if _only_of_parameters(run.result, data, search.places):
        uncompared += data
        without |= frozenset(data)
        told = ", ".join(data)
        remarks.append(f"backward of {cls} returns gradients of parameters only: {told} was not compared.")
    return replace(
        target,
        values=values,
        without_gradient=without,
        straight_through=ignored,
        places=search.places,
        updates=updates,
        adds=adds,
        remarks=tuple(remarks),
        uncompared=tuple(uncompared),
        contract=Contract(
            adds=adds.alone,
            pops=bool(target.stacks),
            updates=tuple(map(as_text, updates.rates)),
            updates_early=updates.early,
            without_upstream=target.calling.takes in ("inputs", "answers"),
        ),
    )


def _only_of_parameters(result: Any, data: Collection[str], places: Mapping[str, Place]) -> bool:
    """Whether backward returns a dict of the gradients of its parameters, and of no input."""
    if not isinstance(result, Mapping) or any(key_of(result, name) is not None for name in data):
        return False
    return any(key_of(result, str(place.path[-1])) is not None for place in places.values())


def _remarks(target: ObjectTarget, adds: Adding, updates: Updating) -> Iterator[str]:
    if adds.meant:
        yield f"{target.name} adds into its gradients by contract: {adds.cleared} between two backwards."
    known = [as_text(path) for path, rate in updates.rates.items() if rate is not None]
    if known:
        yield f"backward of {target.name} updates {', '.join(known)}: after each call they were put back."
    if target.stacks:
        kept = ", ".join(map(as_text, target.stacks))
        yield (
            f"{target.name} keeps the inputs of all its calls in {kept}: backward has to be called as often as "
            f"forward, in reverse."
        )
