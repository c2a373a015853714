"""How `chainrule train` trains: its options, and the loss, the optimizer and the length that come of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated

import typer

from chainrule import layers, optimizers
from chainrule.cli.class_weights import class_weights
from chainrule.cli.data import Dataset
from chainrule.cli.options import SCHEDULES, choose
from chainrule.errors import ArgumentError
from chainrule.loop import Callback, EarlyStopping, Health, History
from chainrule.loop.batches import BATCH_SIZE
from chainrule.network import Network
from chainrule.optimizers import Optimizer
from chainrule.reports.setup import USUAL_RATES
from chainrule.schedules import Schedule

DECAY, MOST_DECAY = 5.0, 0.1
EPOCHS, MOST_EPOCHS, LEAST_BATCHES = 20, 200, 1_000

of_training = partial(typer.Option, rich_help_panel="How it trains")


@dataclass(kw_only=True)
class TrainingOptions:
    """How long a training is, what its steps are, and what is looked at on the way."""

    epochs: Annotated[
        int | None,
        of_training(help="Times through the data. Default: 20; of few rows up to 200, for 1,000 batches."),
    ] = None
    iterations: Annotated[int | None, of_training(help="Batches to train on, instead of --epochs.")] = None
    batch_size: Annotated[
        int | None, of_training(help="Samples in a batch. Default: 100, or all that there are.")
    ] = None
    optimizer: Annotated[str, of_training(help=f"{', '.join(USUAL_RATES)}.")] = "adam"
    learning_rate: Annotated[
        float | None,
        of_training(help="Size of a step. Default: of adam falling from 0.01; of sgd 0.1, of others less."),
    ] = None
    schedule: Annotated[
        str | None,
        of_training(
            help=f"How the learning rate changes: {', '.join(SCHEDULES)}. Default of a given rate: constant."
        ),
    ] = None
    weight_decay: Annotated[
        float | None,
        of_training(help="Pull of the weights to 0. Default: of a table 5 / rows, at most 0.1; else 0."),
    ] = None
    clip_norm: Annotated[
        float | None,
        of_training(help="Scale a gradient whose norm is larger than this down to it. Default: 1 for adam."),
    ] = None
    early_stopping: Annotated[
        int | None,
        of_training(
            metavar="EPOCHS",
            help="Stop when the test loss has not improved for so many epochs. The weights of the best are kept.",
        ),
    ] = None
    class_weights: Annotated[
        str | None,
        of_training(
            metavar="WEIGHTS",
            help="How much each class counts in the loss: balanced, or a list such as no=1,yes=5.",
        ),
    ] = None
    sampling: Annotated[
        str,
        of_training(
            help="shuffle: all the data in a new order every epoch. replacement: every batch drawn anew."
        ),
    ] = "shuffle"
    seed: Annotated[int, of_training(help="The same seed gives the same result.")] = 0
    check: Annotated[
        bool | None,
        of_training(
            "--check/--no-check",
            help="Hold backpropagation against numerical differentiation, whole and layer by layer. Default: "
            "up to 1,000,000 parameters. Of a large network a sample of the parameters is compared.",
        ),
    ] = None
    health: Annotated[
        bool,
        of_training(
            "--health/--no-health",
            help="Look at the layers now and then, for the report: dead units, gradients, sizes of updates.",
        ),
    ] = True

    def make_optimizer(self) -> Optimizer:
        """Adam as `fit` has it, but for what is given; of another kind, its usual rate, and not clipped."""
        rate, kind, usual = self.learning_rate, self.optimizer.strip(), Network.default_optimizer
        usual_rate = choose("--optimizer", kind, USUAL_RATES)
        is_default = kind.lower() == "adam"
        if rate is not None and not 0 < rate < math.inf:
            raise ArgumentError(f"--learning-rate: expected a number above 0, such as 0.1, got {rate:g}")
        learning_rate: float | Schedule = usual.schedule
        if rate is not None or self.schedule is not None or not is_default:
            schedule = choose("--schedule", self.schedule or "constant", SCHEDULES)
            learning_rate = schedule(usual_rate if rate is None else rate)
        clip_norm = usual.clip_norm if self.clip_norm is None and is_default else self.clip_norm
        return optimizers.get(
            kind, learning_rate=learning_rate, weight_decay=self.weight_decay or 0.0, clip_norm=clip_norm
        )

    def make_callbacks(self) -> list[Callback]:
        callbacks: list[Callback] = [Health()] if self.health else []
        if self.early_stopping is not None:  # after Health, which looks before other weights are put back
            callbacks.append(EarlyStopping(patience=self.early_stopping))
        return callbacks

    def make_loss(self, data: Dataset) -> layers.Loss:
        """The loss of the task that the data are for."""
        if self.class_weights is not None:
            return layers.SoftmaxCrossEntropy(class_weights=class_weights(self.class_weights, data))
        return layers.MeanSquaredError() if data.classes is None else layers.SoftmaxCrossEntropy()

    def set_length(self, rows: int) -> None:
        """Say how long to train, of data with so many rows, where nobody did."""
        if self.epochs is None and self.iterations is None:
            self.epochs = usual_epochs(rows, self.batch_size or BATCH_SIZE)

    def fit(
        self,
        network: Network,
        data: Dataset,
        optimizer: Optimizer,
        callbacks: list[Callback],
        checkpoint: Callback | None,
    ) -> History:
        """Train the network. Of a table, the weight decay depends on its rows unless it is given."""
        if self.weight_decay is None and data.columns is not None:
            optimizer = replace(optimizer, weight_decay=usual_decay(len(data.x)))
        return network.fit(
            data.x,
            data.t,
            optimizer=optimizer,
            epochs=self.epochs,
            iterations=self.iterations,
            batch_size=self.batch_size,
            sampling=self.sampling,  # type: ignore[arg-type]  # fit checks the word
            validation=(data.x_test, data.t_test),
            callbacks=callbacks,
            checkpoint=checkpoint,
            seed=self.seed,
        )


def usual_epochs(rows: int, batch_size: int) -> int:
    """How many epochs train by default: of few rows enough for a thousand batches."""
    batches = math.ceil(rows / max(batch_size, 1))
    return max(EPOCHS, min(MOST_EPOCHS, math.ceil(LEAST_BATCHES / batches)))


def usual_decay(rows: int) -> float:
    """The weight decay of a table: the fewer rows there are, the less can be learnt from them."""
    return min(MOST_DECAY, DECAY / rows)
