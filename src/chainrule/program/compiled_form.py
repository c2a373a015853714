"""The compiled form: the same operations as the source of one function, a run of many whole steps.

The source is plain Python that Numba compiles: the kernels it needs, each with its formula, and `run`, which
for every step gathers a batch, goes forward and backward, and updates the parameters. Each step is cut into
tasks (see chainrule.kernels.parallel), and a second thread may call `run` too, to do some of them. Where `run` is
to measure, a step ends with the loss and the number of right answers.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from chainrule.errors import ChainruleError
from chainrule.graph import Graph, Parameter
from chainrule.kernels import LOSSES, UPDATES, activation_of, blas, constants, loops, losses, updates
from chainrule.layers import Layer
from chainrule.program.operations import Listing, Operation

HEADER = '''"""A chainrule program: many whole training steps in one call. Generated; compiled by Numba."""

import math

import numpy as np
from numba import njit, types

# Floating-point contraction (a * b + c in one rounding) is allowed; nothing that changes NaN or infinity is.
compiled = njit(nogil=True, error_model="numpy", fastmath={"contract"})
summing = njit(nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})
entry = njit(nogil=True, error_model="numpy", fastmath={"contract"}, cache=CACHED)
'''
WORTH_SHARING = 1_000_000  # parameters times rows of a batch, below which cutting a step up makes it slower
ROWS_MEASURED = 256  # at once: 200 to 512 are as fast, and in a half of them 784 columns are in the L2 cache
PARALLEL = "from chainrule.kernels.parallel import DONE, OPEN, load, rest, store, swap"
TILES = "from chainrule.kernels.tiles import product_in_tiles"


def _imported(line: str) -> str:
    """A line that imports, with a short hash of what: machine code on disk of another version is not used."""
    module = importlib.import_module(line.split()[1])  # not before it is needed: it loads Numba
    return f"{line}  # version {hashlib.sha256(inspect.getsource(module).encode()).hexdigest()[:8]}"


@dataclass(frozen=True)
class Update:
    """What the optimizer does to the flat vector, as far as a kernel knows it."""

    kernel: str  # the name of the optimizer's class
    running: int  # how many running arrays it has
    numbers: tuple[float, ...]  # the arguments behind the rate and the number of the step
    decay: str = ""  # "", "add_decay" or "shrink"


class CannotCompile(ChainruleError):
    """The program has a layer, or a shape, for which there is no kernel. It runs step by step."""


class Source:
    """Writes the source of the compiled form."""

    def __init__(
        self, graph: Graph, listing: Listing, names: list[str], gradients: list[str],
        places: dict[str, int], dtype: Any, update: Update | None, inputs: list[str], labels: bool, parts: int,
        batch: int,
    ) -> None:  # fmt: skip
        self.graph, self.listing, self.names, self.gradient_names = graph, listing, names, gradients
        self.places, self.dtype, self.update = places, np.dtype(dtype).name, update
        self.inputs, self.labels, self.parts, self.batch = inputs, labels, parts, batch
        self.gemm = blas.declaration(self.dtype)
        self.functions: dict[str, str] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}  # of the parameters' gradients
        self.numbers: dict[str, float] = {}

    def text(self) -> str:
        """The whole module. Raises CannotCompile."""
        body = self._run()
        declared = [
            _imported(PARALLEL),
            *([_imported(TILES)] if "product_in_tiles(" in body else []),
            f"PARTS = {self.parts}",
        ]
        declared += [self.gemm] if self.gemm else []
        return module_text(self.functions, self.numbers, self.dtype, body, declared)

    def _run(self) -> str:
        from chainrule.kernels import parallel  # not before it is needed: it loads Numba

        for function in (parallel.share, parallel.next_task):
            self._use(function)
        arrays = self._arrays()
        turns = zip(("if turn == 0:", "elif turn == 1:", "else:"),
                    (self._rows(), self._gradients(), self._updates()), strict=True)  # fmt: skip
        lines = ["@entry", f"def run({', '.join(self._arguments())}):"]
        lines += [f"    {line}" for line in arrays]
        lines += [
            "    task = -1",
            "    while True:",
            "        task = next_task(box, task, helping)",
            "        step, turn, part = task // 6, task // 2 % 3, task % 2",
            "        if step >= rows.shape[0]:",
            "            return rows.shape[0]",
        ]
        for head, body in turns:
            lines += [f"        {head}", *(f"            {line}" for line in body)]
        return "\n".join(lines)

    def _arguments(self) -> list[str]:
        data = [f"data_{name}" for name in self.inputs]
        running = [f"running{k}" for k in range(self.update.running)] if self.update else []
        return [*data, "targets", "rows", "rates", "done", "parameters", "gradient", "decay", *running,
                "scaling", "arena", "losses", "right", "measuring", "box", "sums", "helping"]  # fmt: skip

    def _arrays(self) -> list[str]:
        lines = ["B = rows.shape[1]"]
        start = 0
        for i, node in enumerate(self.graph):
            if isinstance(node, Parameter):
                shape = self.graph.parameter_value(self.graph.name_of(i)).shape
                size = int(np.prod(shape, dtype=np.int64))
                view = f"[{start} : {start + size}]" + (f".reshape{shape}" if len(shape) != 1 else "")
                lines.append(f"{self.names[i]} = parameters{view}")
                lines.append(f"{self.gradient_names[i]} = gradient{view}")
                self.shapes[self.gradient_names[i]] = shape
                for spare, owner in self.listing.spares.items():
                    if owner == self.names[i]:
                        self.shapes[spare] = shape
                        lines.append(f"{spare} = np.empty_like({self.gradient_names[i]})")
                start += size
        for name, place in self.places.items():
            width = self.listing.buffers[name].width
            lines.append(f"{name} = arena[B * {place} : B * {place + width}].reshape(B, {width})")
        lines.append(
            "t = np.empty(B, np.int64)" if self.labels else "t = np.empty((B, targets.shape[1]), FLOAT)"
        )
        return lines

    # The three turns of a step --------------------------------------------------------------------------

    def _rows(self) -> list[str]:
        """Forward, the loss and back: what each row of the batch needs no other for."""
        lines = ["own = share(B, part)"]
        for name in self.inputs:
            self._use(loops.gather)
            lines.append(f"gather(data_{name}, rows[step, own], {name}[own])")
        gather = loops.gather_labels if self.labels else loops.gather
        self._use(gather)
        lines.append(f"{gather.__name__}(targets, rows[step, own], t[own])")
        lines += [self._line(operation) for operation in self.listing.forward()]
        lines += ["if measuring:", f"    right[step, part] = {self._right()}"]
        back = []
        for operation in self.listing.backward():
            if operation.kernel == "activation_bias_gradient":  # the bias is for the next turn
                dy = operation.writes[0]
                operation = replace(operation, kernel="activation_gradient", writes=(dy,), note="")
            if operation.writes[0] not in self.shapes:
                back.append(f"    {self._line(operation)}")
        return [*lines, "else:", *back] if back else lines

    def _right(self) -> str:
        """How many answers of a part are right, from what the loss reads: nothing to count in a regression."""
        loss = self.listing.forward()[-1]
        kernel = losses.counting_of(self.graph.nodes[loss.details["layer"]].layer)
        return "0" if kernel is None else f"{self._use(kernel)}({loss.reads[0]}[own], t[own])"

    def _gradients(self) -> list[str]:
        """The gradients of the parameters, over the whole batch: some rows of each matrix; vectors whole."""
        matrices, vectors = ["if measuring:", "    continue"], []
        for operation in self.listing.operations:
            reads, into = operation.reads, operation.writes[-1]
            if into not in self.shapes:
                continue
            rows = f"[share({self.shapes[into][0]}, part)]"
            if operation.kernel == "matmul":
                a = f"{reads[0]}[:, {rows[1:]}"
                if self._in_tiles(self.batch, self.shapes[into][1]):
                    matrices.append(f"product_in_tiles({a}.T, {reads[1]}, {into}{rows})")
                    continue
                name = self._use((blas if self.gemm else loops).matmul_transposed_a)
                matrices.append(f"{name}({a}, {reads[1]}, {into}{rows})")
            elif operation.kernel == "accumulate" and len(self.shapes[into]) == 2:
                self._use(loops.accumulate)
                matrices.append(f"accumulate({reads[0]}{rows}, {into}{rows})")
            elif operation.kernel == "accumulate":
                self._use(loops.accumulate)
                vectors.append(f"accumulate({reads[0]}.reshape(1, -1), {into}.reshape(1, -1))")
            else:
                self._use(loops.bias_gradient)
                vectors.append(f"bias_gradient({reads[0]}, {into})")
        self._use(loops.all_finite, "summing")
        for name in self.gradient_names:
            if len(self.shapes.get(name, ())) == 2:
                matrices.append(
                    f"if not all_finite({name}[share({self.shapes[name][0]}, part)].reshape(-1)):"
                )
                matrices.append("    sums[part] = np.nan")
            elif name in self.shapes:
                vectors += [f"if not all_finite({name}):", "    sums[0] = np.nan"]
        return [*matrices, *(["if part == 0:"] if vectors else []), *(f"    {line}" for line in vectors)]

    def _updates(self) -> list[str]:
        """The optimizer's rule on a half of the flat vector; nothing where a loss or a gradient is not finite."""
        lines = [
            "losses[step] = sums[0] + sums[1]",
            "if not np.isfinite(losses[step]):",
            "    return step",
        ]
        update = self.update
        if update is None:
            return lines
        lines += ["if measuring:", "    continue", "own = share(parameters.shape[0], part)"]
        if update.decay == "add_decay":
            self._use(updates.add_decay)
            lines.append("add_decay(parameters[own], gradient[own], decay[own])")
        elif update.decay == "shrink":
            self._use(updates.shrink)
            lines.append("shrink(parameters[own], decay[own], rates[step])")
        name = self._use(UPDATES[update.kernel])
        running = "".join(f", running{k}[own]" for k in range(update.running))
        numbers = "".join(f", {number!r}" for number in update.numbers)
        lines.append(
            f"{name}(parameters[own], gradient[own]{running}, rates[step], done + step + 1{numbers})"
        )
        return lines

    def _in_tiles(self, length: int, width: int) -> bool:
        """Whether to multiply by a matrix (length, width) without BLAS."""
        from chainrule.kernels import tiles

        return tiles.fits(length, width, np.dtype(self.dtype).itemsize)

    def _line(self, operation: Operation) -> str:
        """The call of an operation on the rows of a part."""
        reads, writes = ([f"{name}[own]" if name in self.places else name for name in names]
                         for names in (operation.reads, operation.writes))  # fmt: skip
        kernel = operation.kernel
        layer = self.graph.nodes[operation.details["layer"]].layer if "layer" in operation.details else None
        note = f"  # {operation.note}" if operation.note else ""
        if kernel in ("layer", "layer_backward"):
            raise CannotCompile(
                f"{layer!r} has no kernel, so there is no compiled form; it trains step by step, and "
                f"print(program) shows how"
            )
        if kernel == "matmul":
            if operation.details.get("transposed") is None and self._in_tiles(
                *self.shapes.get(self.gradient_names[self.names.index(operation.reads[1])], (0, 1))
            ):
                return f"product_in_tiles({reads[0]}, {reads[1]}, {writes[0]})"
            name = "matmul" if operation.details.get("transposed") is None else "matmul_transposed_b"
            self._use(getattr(blas if self.gemm else loops, name))
            return f"{name}({reads[0]}, {reads[1]}, {writes[0]})"
        if kernel == "softmax_cross_entropy":
            self._use(losses.softmax_cross_entropy)
            return f"sums[part] = softmax_cross_entropy({reads[0]}, t[own], B, {writes[1]}){note}"
        if kernel == "mean_loss":
            name = self._use_loss(layer)
            return f"sums[part] = {name}({reads[0]}, t[own], B, {writes[1]}){note}"
        if kernel == "scale_columns":
            self._use(loops.scale_columns)
            row = operation.details["row"]
            width = self.listing.buffers[operation.writes[0]].width
            return f"scale_columns({reads[0]}, scaling[{row}, :{width}], scaling[{row + 1}, :{width}], {writes[0]})"
        if "activation" in kernel:
            name = self._use_activation(kernel, layer)
            used = dict.fromkeys([*reads, *writes])
            return f"{name}({', '.join(used)}){note}"
        self._use(getattr(loops, kernel))
        return f"{kernel}({', '.join(dict.fromkeys([*reads, *writes]))}){note}"

    # Functions that the source contains ----------------------------------------------------------------

    def _use(self, function: Callable[..., Any], decorator: str = "compiled") -> str:
        name = function.__name__
        if name not in self.functions:
            self.functions[name] = f"@{decorator}\n{source_of(function)}"
        return name

    def _use_activation(self, loop: str, layer: Layer | None) -> str:
        """The loop with an activation's own kernel in the place of `value` or `gradient`."""
        kernels = activation_of(layer)
        assert kernels is not None
        scalar = kernels.gradient if "gradient" in loop else kernels.value
        self._use(scalar)
        numbers = [
            self._number(f"{scalar.__name__}_{each}", getattr(layer, each)) for each in kernels.numbers
        ]
        name = {
            "activation": f"each_{scalar.__name__}",
            "activation_gradient": f"each_{scalar.__name__}",
            "bias_activation": f"bias_{scalar.__name__}",
            "bias_activation_in_place": f"bias_{scalar.__name__}_in_place",
        }[loop]
        name += "".join(f"_{number.rsplit('_', 1)[1]}" for number in numbers)
        text = source_of(getattr(loops, loop)).replace(f"def {loop}(", f"def {name}(")
        placeholder = "gradient" if scalar is kernels.gradient else "value"
        text = re.sub(
            rf"= {placeholder}\((.*)\)$",
            lambda found: f"= {scalar.__name__}({', '.join([found[1], *numbers])})",
            text,
            flags=re.MULTILINE,
        )
        text = re.sub(rf"\b{placeholder}\(", f"{scalar.__name__}(", text)  # what is left is the docstring's
        self.functions.setdefault(name, f"@compiled\n{text}")
        return name

    def _number(self, name: str, value: float) -> str:
        """A name, in the source, for a number of a layer's: one for each value."""
        for known, same in self.numbers.items():
            if known.startswith(name.upper()) and same == value:
                return known
        known = f"{name}_{sum(each.startswith(name.upper()) for each in self.numbers) + 1}".upper()
        self.numbers[known] = float(value)
        return known

    def _use_loss(self, layer: Layer | None) -> str:
        kernels = LOSSES[type(layer)]  # type: ignore[index]  # an operation of a loss names its layer
        self._use(kernels.value)
        self._use(kernels.gradient)
        text = source_of(losses.mean_loss)
        text = text.replace("loss_value(x[", f"{kernels.value.__name__}(x[")
        text = text.replace("loss_gradient(x[", f"{kernels.gradient.__name__}(x[")
        name = f"mean_{kernels.value.__name__}"
        self.functions[name] = "@compiled\n" + text.replace("def mean_loss(", f"def {name}(")
        return name


def module_text(
    functions: Mapping[str, str],
    numbers: Mapping[str, float],
    dtype: str,
    body: str,
    declared: Sequence[str] = (),
) -> str:
    """A module of functions in which every number has the dtype: the named constants, the functions, the body."""
    text = "\n".join([body, *functions.values()])
    named = {
        name: value for name, value in constants.numbers_of(dtype).items() if re.search(rf"\b{name}\b", text)
    }
    constant = [f"{name} = FLOAT({value!r})" for name, value in {**named, **numbers}.items()]
    head = "\n".join([HEADER, f"FLOAT = np.{dtype}", *constant, *declared])
    return "\n\n\n".join([head, *functions.values(), body]) + "\n"


@cache
def source_of(function: Callable[..., Any]) -> str:
    """A kernel's source without its annotations, which name types that the generated module lacks."""
    text = inspect.getsource(function).rstrip()
    head = re.search(r"\)(?: -> [^\n]*)?:\n", text)
    assert head is not None
    names = ", ".join(inspect.signature(function).parameters)
    return f"def {function.__name__}({names}):\n{text[head.end() :]}"
