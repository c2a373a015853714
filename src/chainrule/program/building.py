"""The two tables of a program: the walk over the graph, cut into turns, with a place for every array."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from chainrule.arrays import Array, Shape
from chainrule.graph import Graph, Node
from chainrule.layers import Standardize
from chainrule.program.lowering import Walk
from chainrule.program.operations import RULES
from chainrule.program.operations.affine import MATMUL
from chainrule.program.operations.gather import GATHER, RESULT, RESULT_OF_PYTHON, WATCH, gathers
from chainrule.program.operations.losses import LossRule
from chainrule.program.operations.sparse import SPARSE_MATMUL
from chainrule.program.operations.updates import STOP_UNLESS_FINITE, before_update, gradient_place
from chainrule.program.table import Instruction, Place, Table, Turn, in_turns, parts_of, plan, written

#: Of a prediction: 256 are as fast for small networks, and a tenth slower for one of 784-512-512-10.
ROWS_AT_ONCE = 512
ROWS_OF_LAYERS = 1024  # where Python does a part: fewer calls


def training_table(
    graph: Graph,
    output: Node,
    shapes: dict[int, Shape],
    target: Array,
    weighted: bool,
    batch_size: int,
    sparse: Collection[str] = (),
) -> Table:
    """Gather, forward, the loss, and back: all of a training step but the update."""
    shapes = with_targets(graph, shapes, target)
    walk = Walk(graph, output, shapes, target, weighted, RULES, training=True, sparse=sparse)
    walk.run()
    size = sum(value.size for value in map(graph.parameter_value, graph.parameters))
    stop = Instruction(STOP_UNLESS_FINITE, (gradient_place(size),))
    body = [*gathers(walk, walk.instructions), *walk.instructions]
    table = _table(walk, [*body, stop, *walk.update_instructions], batch_size, cut=True)
    plan(table)
    return table


def with_targets(graph: Graph, shapes: dict[int, Shape], target: Array) -> dict[int, Shape]:
    """The shapes of rows, with those of predictions and targets that are standardized for the loss."""
    found = dict(shapes)
    for source in graph.source_positions(len(graph) - 1)[:2]:
        if isinstance(graph.nodes[source].layer, Standardize):
            (given,) = graph.source_positions(source)
            found[source] = found.setdefault(given, target.shape[1:])
    return found


def with_update(table: Table, update: Instruction) -> Table:
    """The table with an optimizer's instruction at its end."""
    *before, last = table.turns
    if update.operation.kernel is None:
        return replace(table, turns=[*table.turns, Turn("python", (update,))])
    before += in_turns(before_update(update), table.capacity, cut=True)
    instructions = *last.instructions, update
    return replace(
        table, turns=[*before, Turn("update", instructions, parts_of("update", instructions, table.capacity))]
    )


def predicting_table(
    graph: Graph, output: Node, shapes: dict[int, Shape], target: Array | None, sparse: Collection[str] = ()
) -> Table:
    """Gather, forward, and the output; with a target, whose loss must have a kernel, the loss behind it."""
    shapes = shapes if target is None else with_targets(graph, shapes, target)
    walk = Walk(graph, output, shapes, target, False, RULES, training=False, sparse=sparse)
    if target is not None and not isinstance(walk.rule(len(graph) - 1), LossRule):
        return predicting_table(graph, output, shapes, None, sparse)
    walk.run()
    behind = set(range(len(graph))) - {walk.output, *graph.ancestors(walk.output)}
    body = [each for each in walk.instructions if target is None or each.layer not in behind]
    of_loss = [each for each in walk.instructions if target is not None and each.layer in behind]
    fed = {each.operands[1] for each in gathers(walk, body)}
    measured = [each for each in gathers(walk, of_loss) if each.operands[1] not in fed] + of_loss
    output_place = walk.value(walk.output)
    result = Instruction(RESULT if walk.output in shapes else RESULT_OF_PYTHON, (output_place,))
    forward = _watched(walk, [*gathers(walk, body), *body])
    if walk.output in shapes and (forward[-1].operation, forward[-1].operands) != (WATCH, (output_place,)):
        forward.append(Instruction(WATCH, (output_place,)))
    forward.append(result)
    in_python = any(each.operation.turn == "python" for each in forward)
    if not in_python:
        forward = [_in_place(each, walk) for each in forward]
    table = _table(walk, forward, ROWS_OF_LAYERS if in_python else ROWS_AT_ONCE, cut=False)
    if measured:
        of_measuring = in_turns(measured, table.capacity, cut=False)
        table.turns += of_measuring
        table.measured = len(of_measuring)
    plan(table, kept=[walk.value(walk.output)])
    return table


def _table(walk: Walk, instructions: list[Instruction], capacity: int, *, cut: bool) -> Table:
    return Table(
        in_turns(instructions, capacity, cut=cut),
        capacity,
        walk.value(walk.output),
        spares_size=walk.spares_size,
        constants=walk.constants,
        indices=walk.indices,
        skipped=walk.skipped,
    )


def _watched(walk: Walk, instructions: list[Instruction]) -> list[Instruction]:
    """The instructions, and behind them those that look for NaN and infinity in the inputs.

    NaN or infinity in a row of x makes all of that row of x W not finite, also where W is 0. So it is enough to
    look at the product, where it is smaller and nothing else reads x.
    """
    watched: dict[Instruction, Place] = {}
    for each in instructions:
        if each.operation is SPARSE_MATMUL:
            watched[each] = written(each)[0]
        elif each.operation is GATHER:
            x = each.operands[1]
            readers = [other for other in instructions if x in other.operands and other is not each]
            product = readers[0].operands[2] if [other.operation for other in readers] == [MATMUL] else None
            if product is not None and x is not None and product.width < x.width:
                watched[readers[0]] = product
            elif x is not None:
                watched[each] = x
    found: list[Instruction] = []
    for each in instructions:
        found.append(each)
        if each in watched:
            found.append(Instruction(WATCH, (watched[each],)))
    return found


def _in_place(each: Instruction, walk: Walk) -> Instruction:
    """Let data be used where they lie: nothing writes to an input."""
    if each.operation is not GATHER or each.operands[1] is walk.value(walk.output):
        return each
    return replace(each, numbers=(1.0,))
