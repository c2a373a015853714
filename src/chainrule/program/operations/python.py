"""What has no kernel: a layer runs its own forward and backward, in Python, between the other instructions."""

from __future__ import annotations

from chainrule.program.lowering import Walk
from chainrule.program.table import Operation

LAYER = Operation("layer", (), "{writes} = layer({reads})", turn="python")
LAYER_BACKWARD = Operation("layer_backward", (), "{writes} = layer_backward({reads})", turn="python")


class PythonRule:
    """Takes every node."""

    def takes(self, walk: Walk, i: int) -> bool:
        return True

    def forward(self, walk: Walk, i: int) -> None:
        reads = [walk.value(source) for source in walk.sources(i)]
        walk.emit(LAYER, *reads, walk.value(i), layer=i, note="its own forward")

    def backward(self, walk: Walk, i: int) -> None:
        sources = walk.sources(i)
        wanted = tuple(walk.needed[source] for source in sources)
        into = [walk.gradient(source) for source, want in zip(sources, wanted, strict=True) if want]
        fresh = tuple(walk.starts(place) for place in into)
        reads = [walk.gradient(i), *(walk.value(source) for source in sources)]
        walk.emit(LAYER_BACKWARD, *reads, *into, layer=i, note="its own backward", wanted=wanted, fresh=fresh)
