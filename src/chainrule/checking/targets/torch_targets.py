"""What is computed by PyTorch, as a target: tensors in their own dtypes, and what autograd makes of them.

PyTorch is imported by whoever wrote it, never by us.
"""

from __future__ import annotations

import copy
import math
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.checking.differences import Point
from chainrule.checking.randomness import held
from chainrule.checking.targets.kernels import Arguments, Outputs, mapped_builtin
from chainrule.checking.targets.target import Calls, Refused, Returned, Target, Use, WrongCount, accepts

#: Inputs that are asked for alone, at most: a module may have hundreds of parameters.
ASKED_ALONE = 6
#: Below this many numbers, several threads take longer to start than one takes to finish.
SMALL = 100_000

WRONG_COUNT = re.compile(r"returned an incorrect number of gradients \(expected (\d+), got (\d+)\)")
WRONG_SHAPE = re.compile(
    r"returned an invalid gradient at index (\d+) - got (\[.*?\]) but expected shape compatible with (\[.*?\])"
)


@dataclass
class TorchTarget(Target):
    """Something that computes tensors from tensors; `call` takes them by name."""

    arguments: Arguments = field(default_factory=lambda: Arguments({}, mapped_builtin))
    call: Callable[[Mapping[str, Any]], Any] = field(default=lambda _: None)
    #: Its forward, and where its backward is written; the Function itself, where it is one.
    forward: Any = None
    written: str | None = None
    function: Any = None
    module: Any = None
    #: The outputs that are compared, by name, once they are known.
    results: tuple[str, ...] = ()
    #: By the name of a parameter of a module: the way to it.
    paths: dict[str, str] = field(default_factory=dict)

    def start(self, dtype: str = "float64") -> TorchCalls:
        return TorchCalls(self, self._calling(), list(self.dtypes))

    def _calling(self) -> Callable[[Mapping[str, Any]], Any]:
        if self.module is None:
            return self.call
        return _calling_module(self.module, self.paths, self.arguments)

    @property
    def parameters(self) -> frozenset[str]:
        return frozenset(self.paths)

    def computing(self, forward: Callable[..., Any]) -> Target:
        wide = {
            name: each.double() if each.is_floating_point() else each
            for name, each in self.arguments.arrays.items()
        }
        arguments, own = replace(self.arguments, arrays=wide), list(self.paths)

        def call(arrays: Mapping[str, Any]) -> Any:
            given = arguments.filled(arrays)
            if own and accepts(forward, len(given) + len(own)):  # a module's parameters, after its inputs
                given += [arrays[name] for name in own]
            return forward(*given)

        dtypes = dict.fromkeys(self.dtypes, "float64")
        return replace(
            self, arguments=arguments, dtypes=dtypes, call=call, module=None, paths={}, forward=forward
        )

    @property
    def source(self) -> str | None:
        return self.written

    @property
    def method(self) -> Any:
        return self.forward

    def other_uses(self, dy: Array) -> Iterator[Use]:
        """Other ways in which PyTorch uses it: for some gradients only, for one output, and with other strides."""
        names = tuple(self.differentiable)

        def calls(wanted: Sequence[str] = names, **options: Any) -> TorchCalls:
            return TorchCalls(self, self._calling(), wanted, **options)

        yield Use("Where no gradient is needed,", "forward-disagrees", calls(tracked=False))
        data = [name for name in names if name not in self.paths]
        own = tuple(name for name in names if name in self.paths)
        alone = {f"Where only {name} needs a gradient,": (name,) for name in data[:ASKED_ALONE]}
        for said, some in {**alone, "Where only the parameters need a gradient,": own}.items():
            if some and some != names:
                yield Use(said, "used-in-part", calls(some), some, dy)
        yield from self._one_output_each(dy, calls)
        if dy.ndim:
            said = "Where dy is not contiguous,"
            yield Use(said, "strides", calls(strided_dy=True), names, dy, may_refuse=True)
        for name in [name for name in data if self.values[name].ndim][:ASKED_ALONE]:
            said = f"Where {name} is not contiguous,"
            yield Use(said, "strides", calls(strided=(name,)), names, dy, may_refuse=True)

    def _one_output_each(self, dy: Array, calls: Callable[..., TorchCalls]) -> Iterator[Use]:
        """Uses of one of several outputs: backward gets None, or zeros, for the others."""
        first = calls()
        first.forward({name: value.copy() for name, value in self.values.items()})
        parts = first.outputs.split(dy)
        for k, output in enumerate(first.outputs.shapes if len(parts) > 1 else ()):
            some = first.outputs.joined([part * (j == k) for j, part in enumerate(parts)])
            said, names = f"Where only {output} is used,", tuple(self.differentiable)
            yield Use(said, "used-in-part", calls(used=k), names, some)


class TorchCalls(Calls):
    """Calls with tensors, of which some need gradients (`wanted`).

    `used`: the one output that is used, of several. `tracked`: whether a gradient is needed at all. `strided`: the
    inputs with gaps between their elements; `strided_dy`: whether dy has these.
    """

    def __init__(
        self,
        target: TorchTarget,
        call: Callable[[Mapping[str, Any]], Any],
        wanted: Sequence[str],
        *,
        used: int | None = None,
        tracked: bool = True,
        strided: Sequence[str] = (),
        strided_dy: bool = False,
    ) -> None:
        self._torch: Any = sys.modules["torch"]
        self._target, self._call, self._wanted = target, call, list(wanted)
        self._used, self._tracked = used, tracked
        self._strided, self._strided_dy = strided, strided_dy
        self._given: Mapping[str, Array] = {}
        #: The latest upstream gradient: as it was given, as tensors, and as those that were handed over.
        self._dy: tuple[Any, list[Any], list[Any]] = (None, [], [])
        #: By name: a leaf, and the tensor made from it that the target is called with, and may write to.
        self.leaves: dict[str, Any] = {}
        self._handed: dict[str, Any] = {}
        #: Arrays whose tensors may be used again, and the version that these had.
        self._kept: dict[str, tuple[Array | None, int]] = {}
        self.results: list[Any] = []
        #: Outputs of floats that have no gradient.
        self.left_out: list[str] = []
        self.outputs = Outputs({}, {})

    def forward(self, values: Mapping[str, Array]) -> Any:
        self._given = values
        with self._undisturbed(0):
            for name, value in values.items():
                if not self._is_kept(values, name):
                    self._hand_over(name, value)
            result = self._call(dict(self._handed))
        self._keep(result)
        if not self.results:
            return as_numpy(result) if isinstance(result, self._torch.Tensor) else result
        return self.outputs.joined([as_numpy(each) for each in self.results])

    def backward(self, dy: Any) -> Returned:
        parts = zip(self.outputs.split(dy), self.results, strict=True)
        upstream = [self._tensor(part, y.dtype, y.device) for part, y in parts]
        handed = [self._laid_out(each, each, self._strided_dy) for each in upstream]
        self._dy = (dy, upstream, handed)
        used = [k for k, y in enumerate(self.results) if y.requires_grad and self._used in (None, k)]
        if not used:
            return dict.fromkeys(self._wanted)
        with self._undisturbed(1):
            try:
                gradients = self._torch.autograd.grad(
                    [self.results[k] for k in used],
                    [self.leaves[name] for name in self._wanted],
                    [handed[k] for k in used],
                    retain_graph=True,
                    allow_unused=True,
                )
            except RuntimeError as error:
                return self._refused(error, upstream)
        return {n: None if g is None else as_numpy(g) for n, g in zip(self._wanted, gradients, strict=True)}

    def output_sizes(self) -> dict[str, int]:
        return {name: math.prod(shape) for name, shape in self.outputs.shapes.items()}

    def replace_parameter(self, name: str, value: Array) -> None:
        """Let a parameter have another value from now on, in what the forward saved, too."""
        handed = self._handed[name]
        handed.data.copy_(self._tensor(value, handed.dtype, handed.device))

    # Tensors -------------------------------------------------------------------------------------------------

    def _is_kept(self, values: Mapping[str, Array], name: str) -> bool:
        """Whether the latest tensors of an input are still right: its array is the same, not moved, and was not
        written to.
        """
        if not isinstance(values, Point) or name == values.moved:
            self._kept.pop(name, None)
            return False
        array, version = self._kept.get(name, (None, 0))
        if array is values[name] and self._handed[name]._version == version:
            return True
        self._kept[name] = (values[name], 0)
        return False

    def _hand_over(self, name: str, value: Array) -> None:
        like = self._target.arguments.arrays[name]
        leaf = self._tensor(value, like.dtype, like.device)
        self.leaves[name] = leaf.requires_grad_(self._tracked and name in self._wanted)
        self._handed[name] = self._laid_out(leaf, like, name in self._strided)
        if name in self._kept:
            self._kept[name] = (value, self._handed[name]._version)

    def _tensor(self, value: Any, dtype: Any, device: Any) -> Any:
        contiguous = np.array(value, order="C", copy=None if np.asarray(value).flags.writeable else True)
        return self._torch.from_numpy(contiguous).to(dtype=dtype, copy=True).to(device)

    def _laid_out(self, leaf: Any, like: Any, gaps: bool) -> Any:
        """A copy with the strides of another tensor, or with gaps between the elements."""
        if gaps and leaf.dim():
            return leaf.new_empty((*leaf.shape, 2))[..., 0].copy_(leaf)
        if like.is_contiguous() or leaf.shape != like.shape or 0 in like.stride():
            return leaf.clone()
        return self._torch.empty_strided(
            like.shape, like.stride(), dtype=leaf.dtype, device=leaf.device
        ).copy_(leaf)

    def _keep(self, result: Any) -> None:
        """Of what was returned, the tensors of floats; those with a gradient alone, where some have one."""
        found: dict[str, Any] = {}

        def keep(name: str, leaf: Any) -> None:
            if isinstance(leaf, self._torch.Tensor) and leaf.is_complex():
                raise TypeError("a complex output cannot be compared; return torch.view_as_real of it")
            if isinstance(leaf, self._torch.Tensor) and leaf.is_floating_point():
                found[name] = leaf

        mapped_builtin(result, "output", keep)
        everything, known = list(found), self._target.results
        if known and set(known) <= found.keys():
            found = {name: found[name] for name in known}
        elif any(each.requires_grad for each in found.values()):
            found = {name: each for name, each in found.items() if each.requires_grad}
        self.left_out = [name for name in everything if name not in found]
        self.results = list(found.values())
        shapes = {name: tuple(each.shape) for name, each in found.items()}
        self.outputs = Outputs(shapes, {n: str(y.dtype).removeprefix("torch.") for n, y in found.items()})

    def show_writes(self) -> None:
        """Write into the arrays that were given what was written into their tensors, but not by design.

        A tensor that is returned was written to by design: a Function calls that `mark_dirty`.
        """
        for name, tensor in self._handed.items():
            by_design = any(tensor is each for each in self.results)
            if not by_design and not self._torch.equal(tensor, self.leaves[name]):
                self._given[name][...] = as_numpy(tensor)
        dy, upstream, handed = self._dy
        if isinstance(dy, np.ndarray) and not all(map(self._torch.equal, handed, upstream)):
            dy[...] = self.outputs.joined([as_numpy(each) for each in handed]).reshape(dy.shape)

    # What PyTorch says ---------------------------------------------------------------------------------------

    def _refused(self, error: RuntimeError, upstream: Sequence[Any]) -> Returned:
        """Gradients that PyTorch refused, as they were returned where that is seen, or what is wrong with them."""
        count, shape = WRONG_COUNT.search(str(error)), WRONG_SHAPE.search(str(error))
        if count is not None:
            raise WrongCount(int(count[2]), int(count[1])) from error
        if shape is None:
            raise error
        function = self._target.function
        if function is not None:
            try:
                with self._undisturbed(1):
                    raw = function.backward(self.results[0].grad_fn, *upstream)
                found = dict(zip(self._target.arguments.given, raw, strict=False))
                return {name: None if found[name] is None else as_numpy(found[name]) for name in self._wanted}
            except Exception:  # it has other outputs, or arguments in lists
                pass
        came, expected = (f"({each[1:-1]})" for each in (shape[2], shape[3]))
        raise Refused("shape", None, came, expected, str(error)) from error

    @contextmanager
    def _undisturbed(self, seed: int) -> Iterator[None]:
        """Random numbers are the same every time, gradients are on, and all is put back as it was."""
        torch = self._torch
        has_gpu = torch.cuda.is_available() and torch.cuda.is_initialized()
        kept, kept_on_gpu = torch.get_rng_state(), torch.cuda.get_rng_state_all() if has_gpu else []
        default, threads = torch.get_default_dtype(), torch.get_num_threads()
        if sum(value.size for value in self._target.values.values()) < SMALL:
            torch.set_num_threads(1)
        torch.default_generator.manual_seed(seed)
        if has_gpu:
            torch.cuda.manual_seed_all(seed)
        try:
            drawing = held(self._target.method, self._target.draws, seed)
            with torch.inference_mode(False), torch.set_grad_enabled(self._tracked), drawing:
                yield
        finally:
            torch.set_default_dtype(default)
            torch.set_num_threads(threads)
            torch.set_rng_state(kept)
            if has_gpu:
                torch.cuda.set_rng_state_all(kept_on_gpu)


def as_numpy(tensor: Any) -> Array:
    """A tensor as an array of its own: floats as float64, others as they are."""
    torch = sys.modules["torch"]
    plain = tensor.detach().cpu()
    dense = plain if plain.layout == torch.strided else plain.to_dense()
    own = dense.to(torch.float64 if dense.is_floating_point() else dense.dtype, copy=True)
    return np.asarray(own.numpy())


def functions_in(calls: TorchCalls) -> list[Any]:
    """The Functions of the user's own that the latest forward went through, each once."""
    found = [getattr(type(node), "_forward_cls", None) for node in _nodes(calls)]
    own = [each for each in found if each is not None and not each.__module__.startswith("torch.")]
    return list({id(each): each for each in own}.values())


def read_unseen(calls: TorchCalls, name: str) -> list[str]:
    """A sentence for each tensor that needs a gradient, and that the forward read without being handed it."""
    known = {id(leaf) for leaf in calls.leaves.values()}
    found = [getattr(node, "variable", None) for node in _nodes(calls)]
    return [
        f"{name} reads a tensor of shape {tuple(each.shape)} that requires a gradient and was not handed over: its "
        f"gradient was not checked. Make it an input, or check the module that holds it."
        for each in found
        if each is not None and id(each) not in known
    ]


def _nodes(calls: TorchCalls) -> Iterator[Any]:
    """The nodes of PyTorch's graph behind the latest output."""
    waiting = [each.grad_fn for each in calls.results]
    seen: set[Any] = set()
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            yield node
            waiting += [following for following, _ in node.next_functions]


def fixed_rows(module: Any, paths: Mapping[str, str]) -> dict[str, int]:
    """The row of each embedding that stands for padding, which PyTorch holds constant."""
    torch = sys.modules["torch"]
    found = {}
    for name, path in paths.items():
        owner = module.get_submodule(path.rpartition(".")[0])
        is_embedding = isinstance(owner, (torch.nn.Embedding, torch.nn.EmbeddingBag))
        if is_embedding and owner.padding_idx is not None:
            found[name] = owner.padding_idx
    return found


def _calling_module(
    module: Any, paths: Mapping[str, str], arguments: Arguments
) -> Callable[[Mapping[str, Any]], Any]:
    """Call a copy of a module, which shares its parameters and buffers, with other tensors in their places."""
    torch = sys.modules["torch"]
    kept = {id(each): each for each in (*module.parameters(), *module.buffers())}
    rows = {
        name: (row, module.get_parameter(paths[name])[row]) for name, row in fixed_rows(module, paths).items()
    }
    try:
        own = copy.deepcopy(module, dict(kept))
    except Exception:  # what it holds cannot be copied
        own = module

    def call(arrays: Mapping[str, Any]) -> Any:
        state = {name: buffer.clone() for name, buffer in own.named_buffers()}
        state |= {path: arrays[name] for name, path in paths.items()}
        for name, (row, value) in rows.items():
            weight = state[paths[name]]
            at = torch.tensor([row], device=weight.device)
            state[paths[name]] = weight.index_copy(0, at, value.detach()[None].to(weight.dtype))
        return torch.func.functional_call(own, state, tuple(arguments.filled(arrays)))

    return call
