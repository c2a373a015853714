"""One-row predictions of one network, asked for by several threads of Python at the same time.

    python benchmarks/serving.py [--quick] [--rounds 7]

The networks are W1's, 784-50-10, and W2's, 784-512-512-10, with ReLU, in float32, with the same weights for
everyone. 1, 2 and 4 threads call one network, each with rows of its own, one row a call, and nothing else.
Everyone takes a NumPy array and gives one; one prediction is made by one thread. For each number of threads
the table has the calls a second of all threads together, and the time of a call: the 50th and the 99th
percentile over the calls of all threads, and the longest. A call takes as long as its caller waits, also for
Python's lock. Python hands its lock on every 5 ms: where a thread makes a thousand short calls before it
gives way, only the longest call shows how long the others wait.

PyTorch is shown in three forms: the model as it is (eager), traced and frozen, and compiled by torch.compile,
each under torch.inference_mode. onnxruntime has one InferenceSession. Both have one thread for the work
inside a call, set in PyTorch for each thread that calls. chainrule is as it comes, but for the environment
that all have, OMP_NUM_THREADS=1 and OPENBLAS_NUM_THREADS=1, as a server that has threads of its own sets it.

Each contestant is a process of its own, stopped while another is timed. In every round each has its turn, in
an order of the round; medians over the rounds are shown, and of "ours / theirs" the median of each round's
ratio of calls a second. All outputs are first compared with a product in float64.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from peers.task import Array, Task
from speed.apart import Apart, Missing, serve
from speed.machine import said
from speed.workloads import W1, W2

NETWORKS = {task.name: task for task in (W1, W2)}
CONTESTANTS = {
    "ours": "chainrule",
    "eager": "PyTorch, eager",
    "frozen": "PyTorch, frozen",
    "compiled": "PyTorch, compiled",
    "onnx": "onnxruntime",
}
COMPILES = ("compiled",)  # left out of a quick run
THREADS = (1, 2, 4)
ROWS = 256  # of each thread
TOLERANCE = 1e-4  # of an output, relative to the largest
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

Predict = Callable[[Array], Array]


# What a contestant does ------------------------------------------------------------------------------------


def rows(thread: int) -> list[Array]:
    """The rows of one thread, each (1, 784)."""
    x = np.random.default_rng(thread).random((ROWS, W1.sizes[0]), np.float32)
    return [x[k : k + 1] for k in range(ROWS)]


def ours(task: Task) -> Predict:
    """chainrule: net.predict."""
    import chainrule as cr

    layers: list[cr.layers.Layer] = []
    for width in task.sizes[1:]:
        layers += [cr.Affine(width), cr.ReLU()]
    net = cr.Network(*layers[:-1], input_shape=task.sizes[0], loss=cr.SoftmaxCrossEntropy(), seed=0)
    for name, value in zip(net.params, task.weights(), strict=True):
        net.params[name] = value
    return net.predict


def pytorch(task: Task, form: str) -> Predict:
    """PyTorch, in one of its forms."""
    import torch

    jit: Any = torch.jit
    torch.set_num_threads(1)
    modules = []
    weights = task.weights()
    for number, (inputs, outputs) in enumerate(zip(task.sizes, task.sizes[1:], strict=False)):
        linear = torch.nn.Linear(inputs, outputs)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(np.ascontiguousarray(weights[2 * number].T)))
            linear.bias.copy_(torch.from_numpy(weights[2 * number + 1]))
        modules += [linear, torch.nn.ReLU()]
    model: Any = torch.nn.Sequential(*modules[:-1]).eval()
    example = torch.zeros(1, task.sizes[0])
    if form == "frozen":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that torch.jit is old
            model = jit.freeze(jit.trace(model, example))
    elif form == "compiled":
        model = torch.compile(model, dynamic=False)
    from_numpy, inference = torch.from_numpy, torch.inference_mode

    def predict(x: Array) -> Array:
        with inference():
            y: Array = model(from_numpy(x)).numpy()
            return y

    return predict


def onnx(task: Task) -> Predict:
    """onnxruntime, on a model made of Gemm and Relu."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    nodes, values, weights = [], [], task.weights()
    last = len(task.sizes) - 2
    for number in range(last + 1):
        x, y = ("x" if number == 0 else f"h{number}"), ("y" if number == last else f"a{number}")
        for name, value in ((f"W{number}", weights[2 * number]), (f"b{number}", weights[2 * number + 1])):
            values.append(numpy_helper.from_array(value, name))
        nodes.append(helper.make_node("Gemm", [x, f"W{number}", f"b{number}"], [y]))
        if number < last:
            nodes.append(helper.make_node("Relu", [y], [f"h{number + 1}"]))
    graph = helper.make_graph(
        nodes,
        task.name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, task.sizes[0]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, task.sizes[-1]])],
        values,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )

    def predict(x: Array) -> Array:
        y: Array = session.run(None, {"x": x})[0]
        return y

    return predict


def contestant(who: str) -> Callable[..., Any]:
    """What answers for one contestant."""
    makers: dict[str, Callable[[Task], Predict]] = {"ours": ours, "onnx": onnx}
    ready = {
        name: makers[who](task) if who in makers else pytorch(task, who) for name, task in NETWORKS.items()
    }

    def in_each_thread() -> None:
        if who in ("eager", "frozen", "compiled"):  # the number is one for each thread that calls
            import torch

            torch.set_num_threads(1)

    def answer(do: str, network: str, threads: int, seconds: float) -> Any:
        if do == "outputs":
            return [ready[network](x).ravel().tolist() for x in rows(0)[:20]]
        return timed(ready[network], threads, seconds, in_each_thread)

    return answer


def timed(
    predict: Predict, threads: int, seconds: float, in_each_thread: Callable[[], None]
) -> dict[str, float]:
    """Calls a second, and percentiles of the time of a call, with so many threads calling for so long."""
    everyone_is_here = threading.Barrier(threads)
    taken: list[list[int]] = [[] for _ in range(threads)]
    ends = [0] * threads
    begins = [0] * threads

    def call(thread: int) -> None:
        mine, keep, clock = rows(thread), taken[thread].append, time.perf_counter_ns
        in_each_thread()
        for x in mine[:20]:
            predict(x)
        everyone_is_here.wait()
        begins[thread] = now = clock()
        end = now + int(seconds * 1e9)
        while now < end:
            for x in mine:
                before = clock()
                predict(x)
                now = clock()
                keep(now - before)
                if now >= end:
                    break
        ends[thread] = now

    callers = [threading.Thread(target=call, args=(k,)) for k in range(threads)]
    for each in callers:
        each.start()
    for each in callers:
        each.join()
    all_calls = np.concatenate([np.array(each) for each in taken])
    middle, late = np.percentile(all_calls, (50, 99)) / 1e3
    whole = (max(ends) - min(begins)) / 1e9
    return {
        "calls": len(all_calls) / whole,
        "p50": float(middle),
        "p99": float(late),
        "longest": all_calls.max() / 1e6,
    }


# The run ---------------------------------------------------------------------------------------------------


def right(task: Task) -> Array:
    """The outputs for the first rows, in float64."""
    x = np.concatenate(rows(0)[:20]).astype(np.float64)
    weights = task.weights()
    for k in range(0, len(weights), 2):
        x = x @ weights[k].astype(np.float64) + weights[k + 1]
        x = np.maximum(x, 0) if k + 2 < len(weights) else x
    return x


def compare(who: str, process: Apart) -> None:
    """Raises Missing when it cannot take part, or gives other outputs."""
    for name, task in NETWORKS.items():
        wanted = right(task)
        given = np.array(process.ask(do="outputs", network=name, threads=1, seconds=0))
        error = float(np.max(np.abs(given - wanted)) / np.max(np.abs(wanted)))
        if not error <= TOLERANCE:
            raise Missing(f"its outputs differ by {error:.1e}")


def main(
    rounds: Annotated[int, typer.Option(help="How often everyone is timed.")] = 7,
    quick: Annotated[bool, typer.Option(help="Shorter samples, fewer rounds, nothing compiled.")] = False,
    be: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Time everyone, and print a table for each network."""
    if be:
        serve(lambda: contestant(be))
        return
    print(said("torch", "onnx", "onnxruntime"))
    rounds, seconds = (min(rounds, 5), 0.1) if quick else (rounds, 0.35)
    found: dict[tuple[str, int, str], list[dict[str, float]]] = {}
    with (
        ExitStack() as stack,
        tempfile.TemporaryFile("w") as log,
        Console(stderr=True).status("starting") as status,
    ):
        processes = {}
        for who, label in CONTESTANTS.items():
            if quick and who in COMPILES:
                continue
            status.update(f"starting {label}")
            process = stack.enter_context(Apart(["--be", who], log, ENVIRONMENT))
            try:
                compare(who, process)
                processes[who] = process
            except Missing as missing:
                print(f"{label} takes no part: {missing}")
        asked = [(name, threads, who) for name in NETWORKS for threads in THREADS for who in processes]
        for number in range(rounds + 1):  # the first round does not count
            random.Random(number).shuffle(asked)
            for name, threads, who in asked:
                status.update(f"round {number} of {rounds}: {CONTESTANTS[who]}, {name}, {threads} threads")
                long = seconds if number else seconds / 4
                answer = processes[who].ask(do="time", network=name, threads=threads, seconds=long)
                if number:
                    found.setdefault((name, threads, who), []).append(answer)
    console = Console(width=110)
    for name, task in NETWORKS.items():
        console.print(table(task, {key[1:]: value for key, value in found.items() if key[0] == name}))
    if quick:
        print("PyTorch compiled was left out (--quick)")


def table(task: Task, found: dict[tuple[int, str], list[dict[str, float]]]) -> Table:
    """A line for each contestant, for each number of threads."""
    title = (
        f"one row, {'-'.join(map(str, task.sizes))}: medians of {len(next(iter(found.values()), []))} rounds"
    )
    made = Table(title=title, title_justify="left")
    made.add_column("threads")
    made.add_column("")
    for name in ("calls/s", "ours / theirs", "p50 µs", "p99 µs", "longest ms"):
        made.add_column(name, justify="right")
    for threads in THREADS:
        for who, label in CONTESTANTS.items():
            samples = found.get((threads, who), [])
            if not samples:
                continue
            middle = {key: statistics.median(each[key] for each in samples) for key in samples[0]}
            own = found.get((threads, "ours"), [])
            ratios = [one["calls"] / other["calls"] for one, other in zip(own, samples, strict=False)]
            made.add_row(
                str(threads),
                label,
                f"{middle['calls']:,.0f}",
                f"{statistics.median(ratios):.2f}" if ratios else "-",
                *(f"{middle[key]:.1f}" for key in ("p50", "p99", "longest")),
            )
        made.add_section()
    return made


if __name__ == "__main__":
    typer.run(main)
