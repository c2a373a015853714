"""The network of `chainrule train`: its options, and what is built from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated

import typer

from chainrule import layers
from chainrule.arrays import Array
from chainrule.cli.data import Dataset
from chainrule.cli.options import ACTIVATIONS, INITIALIZERS, choose
from chainrule.errors import ArgumentError, DataError
from chainrule.graph import Input, Node
from chainrule.initializers import Initializer, Normal
from chainrule.network import Network
from chainrule.network.scales import out_of_range

MOST_UNITS = 1_000_000

of_network = partial(typer.Option, rich_help_panel="The network")


@dataclass(kw_only=True)
class NetworkOptions:
    """Which layers a network has, how its weights start, and what it computes in."""

    hidden: Annotated[
        str, of_network(help="Units of each hidden layer, such as 50 or 512,512; 0 for none.")
    ] = "50"
    activation: Annotated[str, of_network(help=f"{', '.join(ACTIVATIONS)}.")] = "relu"
    init: Annotated[
        str | None, of_network(help=f"How weights start: {', '.join(INITIALIZERS)}. Default: half-he.")
    ] = None
    weight_std: Annotated[
        float | None, of_network(help="Standard deviation of weights that start normal. Default: 0.01.")
    ] = None
    dropout: Annotated[float, of_network(help="Share of hidden values set to 0 while training.")] = 0.0
    dtype: Annotated[str, of_network(help="float32 or float64.")] = "float32"

    def build(self, data: Dataset, loss: layers.Loss, seed: int) -> Network:
        """Affine layers with activations between them. Columns of a table are first brought to one scale, and
        predictions of a regression last to that of its target.
        """
        activation = choose("--activation", self.activation, ACTIVATIONS)
        weights = self._make_weights()
        x = Input("x", shape=(data.x.shape[1],))
        node: Node = x
        if data.columns is not None:
            refuse_out_of_range(data.x, data.columns, self.dtype)
            node = layers.Standardize.of(data.x)(node, name="standardized")
        for units in hidden_units(self.hidden):
            node = activation()(layers.Affine(units, weights=weights)(node))
            if self.dropout:
                node = layers.Dropout(self.dropout)(node)
        output = layers.Affine(1 if data.classes is None else len(data.classes), weights=weights)(node)
        if data.classes is None:
            refuse_out_of_range(data.t, [str(data.target)], self.dtype)
            output = layers.Standardize.of(data.t, invert=True)(output, name="prediction")
        return Network(output=output, loss=loss, seed=seed, dtype=self.dtype)

    def _make_weights(self) -> Initializer:
        if self.weight_std is None:
            return choose("--init", "half-he" if self.init is None else self.init, INITIALIZERS)()
        if self.init is not None and choose("--init", self.init, INITIALIZERS) is not Normal:
            raise ArgumentError(
                f"--weight-std is for weights that start normal, --init normal, and {self.init} follows from the "
                f"sizes of the layers; leave one out"
            )
        return Normal(self.weight_std)


def refuse_out_of_range(values: Array, columns: list[str], dtype: str) -> None:
    """Raise DataError for a column that a network of this dtype cannot compute with."""
    if found := out_of_range(values, dtype):
        column, problem = found
        remedy = ", or try --dtype float64" if dtype == "float32" else ""
        raise DataError(f"column {columns[column]!r} {problem}{remedy}")


def hidden_units(text: str) -> list[int]:
    """The units of each hidden layer, as --hidden names them."""
    try:
        units = [int(part) for part in text.replace("x", ",").split(",")]
    except ValueError:
        units = [-1]
    if units == [0]:
        return []
    if min(units) < 1 or max(units) > MOST_UNITS:
        raise ArgumentError(
            f"--hidden: expected numbers of units such as 50 or 512,512, at most {MOST_UNITS:,} each, or 0 for "
            f"none, got {text!r}"
        )
    return units
