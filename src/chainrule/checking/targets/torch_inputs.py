"""What somebody hands over that is PyTorch's: which target it makes, of which inputs."""

from __future__ import annotations

import copy
import inspect
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.arrays import is_float
from chainrule.checking.precision import EPSILONS, lowest
from chainrule.checking.targets.kernels import (
    Arguments,
    answers_among,
    checked_values,
    first_that_runs,
    is_mask,
    leaves,
    mapped_builtin,
    refuse_unknown_inputs,
    without_effect,
)
from chainrule.checking.targets.target import Target, input_names, source_of
from chainrule.checking.targets.torch_targets import (
    TorchCalls,
    TorchTarget,
    as_numpy,
    fixed_rows,
    functions_in,
    read_unseen,
)
from chainrule.errors import ArgumentError


def takes_torch(target: Any, inputs: Iterable[Any]) -> bool:
    """Whether a target is PyTorch's, or is called with its tensors."""
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "autograd"):
        return False
    if inspect.isclass(target):
        return issubclass(target, torch.autograd.Function)
    own = type(target).__module__.partition(".")[0] == "torch"
    if own or isinstance(target, torch.nn.Module) or _function_of(target) is not None:
        return True
    has_backward = callable(getattr(target, "backward", None))
    given = any(isinstance(leaf, torch.Tensor) for each in inputs for leaf in leaves(each))
    return callable(target) and not has_backward and given


def torch_target(
    target: Any, inputs: Sequence[Any], names: Sequence[str] | None, dtype: str | None
) -> Target:
    """What is PyTorch's as a target. NumPy arrays become float64, or what the tensors beside them are."""
    torch = sys.modules["torch"]
    function: Any = target if inspect.isclass(target) else _function_of(target)
    module = target if isinstance(target, torch.nn.Module) else None
    named = getattr(function or target, "__name__", None) or getattr(target, "_name", None)
    label = named or type(target).__name__
    if module is None:
        refuse_unknown_inputs(label, inputs)
    called = _input_names(target, function, inputs, names)
    if module is not None and dtype is not None:
        module = copy.deepcopy(module).to(getattr(torch, dtype))
    arguments = Arguments(dict(zip(called, inputs, strict=True)), mapped_builtin)
    if module is not None:
        module = _with_its_parameters(module, inputs)
    paths = {} if module is None else _parameters(module, called)
    apply: Any = function.apply if function else target

    def at(wide: str) -> TorchTarget:
        """The target with NumPy arrays as tensors of this dtype."""
        read = arguments.read(lambda name, leaf: _as_tensor(name, leaf, dtype, wide))
        own = {} if module is None else dict(module.named_parameters())
        tensors = read.arrays | {name: own[path].detach() for name, path in paths.items()}
        return TorchTarget(
            label,
            "autograd.Function" if function else "module" if module else "torch function",
            checked_values({name: as_numpy(tensor) for name, tensor in tensors.items()}),
            without_gradient=answers_among(called),
            dtypes={name: _name_of(t.dtype) for name, t in tensors.items() if t.is_floating_point()},
            arguments=replace(read, arrays=tensors),
            call=lambda arrays: apply(*read.filled(arrays)),
            forward=_forward_of(target, function, module),
            written=source_of(_backward_of(target, function)),
            function=function,
            module=module,
            paths=paths,
        )

    given = [leaf for each in inputs for leaf in leaves(each)]
    tried = [dtype] if dtype else _dtypes_for_arrays(given, [] if module is None else module.parameters())
    choices = [at(each) for each in tried]
    chosen, calls = first_that_runs(choices)
    remarks = []
    if chosen is not choices[0]:
        came = lowest(chosen.dtypes.values())
        remarks.append(f"{label} does not take {tried[0]}: the arrays were handed over in {came}.")
    elif tried[0] == "float32" and not dtype:
        remarks.append("The arrays given are of float32, and so the check was made in float32.")
    constant = _constants(chosen, inputs, called)
    chosen.without_gradient = chosen.without_gradient | frozenset(constant)
    if constant:
        remarks.append(
            f"No gradient of {', '.join(constant)} is asked for, and none was compared: other inputs require one."
        )
    rows = fixed_rows(module, paths)
    remarks += [f"{name}[{row}] is padding, and has no gradient by design." for name, row in rows.items()]
    chosen.remarks = (*remarks, *_learned(chosen, calls), *_expanded(chosen))
    return chosen


def _with_its_parameters(module: Any, inputs: Sequence[Any]) -> Any:
    """A module after a first call, where it makes its parameters in that."""
    torch = sys.modules["torch"]
    if not any(map(torch.nn.parameter.is_lazy, module.parameters())):
        return module
    made = copy.deepcopy(module)
    with torch.no_grad():
        made(*(torch.as_tensor(each) if isinstance(each, np.ndarray) else each for each in inputs))
    return made


def _constants(target: TorchTarget, inputs: Sequence[Any], called: Sequence[str]) -> list[str]:
    """The tensors of floats that require no gradient, where others do."""
    torch = sys.modules["torch"]
    asked: dict[str, bool] = {}

    def note(name: str, leaf: Any) -> Any:
        if isinstance(leaf, torch.Tensor) and leaf.is_floating_point():
            asked[name] = leaf.requires_grad
        return leaf

    for name, given in zip(called, inputs, strict=True):
        mapped_builtin(given, name, note)
    if not any(asked.values()):
        return []
    return [name for name, needed in asked.items() if not needed and name in target.differentiable]


def _dtypes_for_arrays(given: Sequence[Any], parameters: Iterable[Any]) -> list[str]:
    """What NumPy arrays may be handed over in, in the order in which it is tried.

    float64, or float32 where all are of that; else the dtype of the tensors beside them; else float32.
    """
    torch = sys.modules["torch"]
    arrays = [leaf for leaf in given if isinstance(leaf, np.ndarray) and is_float(leaf)]
    if not arrays:
        return ["float64"]
    tensors = [leaf for leaf in (*given, *parameters) if isinstance(leaf, torch.Tensor)]
    beside = [_name_of(tensor.dtype) for tensor in tensors if tensor.is_floating_point()]
    first = "float32" if all(leaf.dtype == np.float32 for leaf in arrays) else "float64"
    return list(dict.fromkeys([first, *([lowest(beside)] if beside else []), "float32"]))


def _learned(target: TorchTarget, calls: TorchCalls | None) -> list[str]:
    """What a first call tells of a target is kept on it; the rest, in sentences."""
    if calls is None:
        return []
    target.results = tuple(calls.outputs.shapes)
    functions = functions_in(calls)
    if target.function is None and len(functions) == 1:
        target.written = source_of(getattr(functions[0], "backward", None)) or target.written
        target.name = functions[0].__name__ if target.name == "<lambda>" else target.name
    target.without_gradient = target.without_gradient | without_effect(target, calls)
    said = []
    if calls.left_out:
        verb = "has no gradient, and was" if len(calls.left_out) == 1 else "have no gradient, and were"
        said.append(f"{', '.join(calls.left_out)} {verb} not compared.")
    unseen = read_unseen(calls, target.name)
    target.uncompared = (*target.uncompared, *(["what was not handed over"] if unseen else []))
    return [*said, *calls.outputs.remarks(), *unseen]


def _expanded(target: TorchTarget) -> list[str]:
    """A sentence for each tensor whose elements share their places: each was given its own."""
    return [
        f"{name} is expanded, and was checked as an array of its own."
        for name, tensor in target.arguments.arrays.items()
        if any(stride == 0 and size > 1 for stride, size in zip(tensor.stride(), tensor.shape, strict=True))
    ]


def _as_tensor(name: str, leaf: Any, dtype: str | None, wide: str) -> Any:
    """A leaf as a tensor without a graph; None for what stays as it is: numbers, flags, masks of infinity."""
    torch = sys.modules["torch"]
    if isinstance(leaf, np.ndarray):
        if leaf.dtype.kind not in "fiub":
            raise ArgumentError(
                f"check: {name}: expected numbers that are real, got an array of {leaf.dtype}"
            )
        tensor = torch.from_numpy(np.array(leaf))
        return tensor.to(getattr(torch, wide)) if is_float(leaf) else tensor
    if not isinstance(leaf, torch.Tensor):
        return None
    if leaf.is_complex():
        raise ArgumentError(
            f"check: {name}: complex numbers cannot be checked; give the real and imaginary parts apart"
        )
    if leaf.layout != torch.strided or leaf.is_quantized:
        return None
    if not leaf.is_floating_point():
        return leaf.detach()
    if _name_of(leaf.dtype) not in EPSILONS or is_mask(as_numpy(leaf)):
        return None
    return leaf.detach() if dtype is None else leaf.detach().to(getattr(torch, dtype))


def _name_of(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")


def _function_of(target: Any) -> Any:
    """The Function of a bound `apply`; None for anything else."""
    owner = getattr(target, "__self__", None)
    function = sys.modules["torch"].autograd.Function
    is_apply = getattr(target, "__name__", "") == "apply"
    return owner if is_apply and inspect.isclass(owner) and issubclass(owner, function) else None


def _forward_of(target: Any, function: Any, module: Any) -> Any:
    """What computes the output, as it is written."""
    if function is not None:
        return getattr(function, "forward", None)
    return module.forward if module is not None else getattr(target, "_init_fn", target)


def _backward_of(target: Any, function: Any) -> Any:
    if function is not None:
        return function.backward
    return getattr(target, "_backward_fn", None) or getattr(target, "forward", target)


def _input_names(target: Any, function: Any, inputs: Sequence[Any], names: Sequence[str] | None) -> list[str]:
    """The names of the inputs of its forward, without the context where that takes one."""
    count = len(inputs)
    if names is not None or not _is_operator(target):
        forward = _forward_of(target, function, target if hasattr(target, "forward") else None)
        if names is None and function is not None and takes_context(function):
            called = input_names(forward, count + 1, None)[1:]
            return [f"input {k}" if name == f"input {k + 1}" else name for k, name in enumerate(called, 1)]
        return input_names(forward, count, names)
    schema = getattr(target, "_opoverload", getattr(target, "default", target))._schema
    called = [argument.name for argument in schema.arguments]
    return [called[k] if k < len(called) else f"input {k + 1}" for k in range(count)]


def _is_operator(target: Any) -> bool:
    """Whether it is an operator of `torch.library`, by itself or as it stands in `torch.ops`."""
    ops, library = sys.modules["torch"]._ops, sys.modules["torch"].library
    return isinstance(target, (ops.OpOverload, ops.OpOverloadPacket, getattr(library, "CustomOpDef", ())))


def takes_context(function: Any) -> bool:
    """Whether the forward of a Function takes the context first, rather than leave it to `setup_context`."""
    return function.setup_context is sys.modules["torch"].autograd.Function.setup_context


def _parameters(module: Any, taken: Sequence[str]) -> dict[str, str]:
    """The parameters that are trained, each once, by names that no input has."""
    trained = [path for path, parameter in module.named_parameters() if parameter.requires_grad]
    return {(f"self.{path}" if path in taken else path): path for path in trained}
