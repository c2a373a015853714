"""Network: a graph with a loss and one flat parameter vector."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Collection, Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.arguments import checked_dtype, checked_seed, whole_number
from chainrule.arrays import Array, ArrayLike, Shape
from chainrule.datasets.tables import Preparation
from chainrule.elsewhere import method_here
from chainrule.errors import ArgumentError, LayerError, did_you_mean, warn
from chainrule.graph import Graph, Input, Node
from chainrule.graph.structure import in_order
from chainrule.incoming import numbers
from chainrule.layers import Layer, Loss
from chainrule.loop import (
    Batches,
    Callback,
    History,
    Sampling,
)
from chainrule.network.callers import Callers
from chainrule.network.feeds import Data, Feeds, check_values, rows_of
from chainrule.network.finite import warn_unless_finite
from chainrule.network.fitting import out_of_reach, warn_of_misfit
from chainrule.network.labels import Label, Labels
from chainrule.network.making import (
    Values,
    chain,
    checked_callbacks,
    checked_loss,
    checked_optimizer,
    flat_parameters,
    given,
    input_shapes,
    made_elsewhere,
    shape_of_output,
    where_decayed,
    with_loss,
)
from chainrule.network.programs import Programs, measured
from chainrule.network.progress import Progress
from chainrule.network.residuals import errors_of
from chainrule.network.scales import warn_of_scales
from chainrule.network.summary import Summary, summarize
from chainrule.network.training import Training
from chainrule.numerical import numerical_gradient
from chainrule.optimizers import Adam, Optimizer
from chainrule.parameters import Parameters
from chainrule.schedules import InverseSquareRoot
from chainrule.sparse import sparse_names

if (
    TYPE_CHECKING
):  # programs, and BLAS, are imported when they are first needed: `import chainrule` stays quick
    from chainrule.program import Program


class Network:
    """A graph with a loss: predict, loss, accuracy, gradient, fit.

    `Network(layer, layer, ..., input_shape=(784,))`, or with a list of the layers, puts them one after another;
    `Network(output=node)` takes any graph, whose inputs say their shapes, `Input("x", shape=(784,))`. `loss` is one
    such as `cr.Huber()`, or its name: "cross_entropy", "binary_cross_entropy", "mean_squared_error" or "mse",
    "mean_absolute_error" or "mae", "huber". `params` holds the parameters by name, "W1", "b1", "W2", ..., as
    writable views into one flat vector.

    Shapes: inputs (N, *input_shape); targets as the loss takes them, or labels by name: see `classes`.
    dtype: float32 or float64, for all that is computed.
    Raises: ArgumentError, GraphError and ShapeError when the network cannot be made.
    """

    #: What `fit` trains with unless told otherwise: the rate falls as the training goes on, however long it is.
    default_optimizer: Optimizer = Adam(InverseSquareRoot(0.01), clip_norm=1.0)

    def __init__(
        self,
        *layers: Layer | Sequence[Layer],
        input_shape: Shape | int | None = None,
        output: Node | None = None,
        loss: Loss | str | None = None,
        seed: int | None = None,
        dtype: Any = "float32",
    ) -> None:
        node = chain(layers, input_shape) if output is None else given(output, layers, input_shape)
        self._make(node, loss, seed, dtype)

    @classmethod
    def with_values(cls, output: Node, loss: Loss | None, seed: int, dtype: Any, values: Values) -> Network:
        """A network that begins with these parameters and statistics; no initial ones are made."""
        network = cls.__new__(cls)
        network._make(output, loss, seed, dtype, values)
        return network

    def _make(
        self,
        output: Node,
        loss: Loss | str | None,
        seed: int | None,
        dtype: Any,
        values: Values | None = None,
    ) -> None:
        dtype = checked_dtype(dtype)
        self.output, self.loss_layer = output, checked_loss(loss)
        self.graph = Graph(with_loss(self.output, self.loss_layer), seed=seed, dtype=dtype)
        if values is not None:
            self.graph.begin_with(values.params, values.state)
        #: The loss alone, to measure outputs with.
        measured_loss = with_loss(Input("output"), self.loss_layer, of=self.output)
        self._measuring = Graph(measured_loss, seed=self.graph.seed, dtype=dtype)
        #: Iterations trained so far. It decides which random numbers the next one draws.
        self.iterations = 0
        #: How far trainings have come; the next one goes on from there.
        self.progress = Progress()
        #: Notes of yours that are saved with the network. JSON values only. Under "columns" the first training
        #: on a frame keeps the names of its columns, by which later frames are read.
        self.metadata: dict[str, Any] = {}
        #: How the columns of a table become the numbers of the single input: `load_table(...).preparation`. With it
        #: the network takes frames as the table was, and is saved with it. None: data are numbers.
        self.preparation: Preparation | None = None
        #: Who may do what with the network at the same time.
        self.callers = Callers()
        self._inputs = input_shapes(self.graph, self.output)
        self.output_shape: Shape = shape_of_output(
            self.graph, self.output, self._inputs, 2 if values is None else values.rows
        )
        warn_of_misfit(self.output, self.loss_layer, self.output_shape)
        self._params = flat_parameters(self.graph, self.callers)
        #: Where weight decay applies: everywhere in the flat vector but on biases and scales.
        self.decays: Array = where_decayed(self.graph, self._params)
        self._feeds = Feeds(
            self._inputs, self.output_shape, self.loss_layer, dtype, dense=self.graph.readers_of_dense()
        )
        #: The fast forms of the network that are kept.
        self.programs = Programs(self.graph, self.output, self._inputs, self._params)

    # What it is ----------------------------------------------------------------------------------------

    @property
    def params(self) -> Parameters:
        """The parameters by name, "W1", "b1", ...: writable views into one flat vector. Assigning copies."""
        return self._params

    @params.setter
    def params(self, values: Mapping[str, ArrayLike]) -> None:
        if not isinstance(values, Mapping) or set(values) != set(self._params):
            raise ArgumentError(f"params: expected an array for each of {', '.join(self._params)}, by name")
        for name, value in values.items():
            self._params[name] = value

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the parameters and of all that is computed."""
        return self.params.flat.dtype

    @property
    def seed(self) -> int:
        """The seed of the initial parameters, of random layers and, unless told otherwise, of the batches."""
        return self.graph.seed

    @property
    def state(self) -> dict[str, Array]:
        """The running statistics of layers such as BatchNorm, by name."""
        return self.graph.state

    @property
    def input_shapes(self) -> dict[str, Shape]:
        """The shape of one sample of each input, by name."""
        return dict(self._inputs)

    @property
    def classes(self) -> list[Label] | None:
        """The names of the classes in the order of the outputs: text, whole numbers or booleans; None: no names.

        The first training on such labels sets them, sorted, if there is one for each class; plain numbers of
        outputs, 0 to K - 1, need no names. Set them where a class is missing in the data:
        `net.classes = ["no", "yes"]`.
        Raises: ArgumentError, when set, unless they are different, and as many as the classes.
        """
        return None if self._feeds.classes is None else list(self._feeds.classes)

    @classes.setter
    def classes(self, names: Sequence[Label] | None) -> None:
        self._feeds = self._feeds.with_classes(names)

    def summary(self, batch_size: int = 1) -> Summary:
        """A table of every layer: its output's shape, its parameters, its memory for a batch."""
        return summarize(self, batch_size)

    def astype(self, dtype: Any) -> Network:
        """A copy of the network that computes in another dtype."""
        twin = Network(output=self.output, loss=self.loss_layer, seed=self.seed, dtype=dtype)
        with self.callers.between_steps():
            twin.params.flat[:] = self.params.flat
            twin.graph.state |= {name: value.astype(twin.dtype) for name, value in self.state.items()}
        twin.iterations, twin.metadata = self.iterations, copy.deepcopy(self.metadata)
        twin.progress = self.progress.copy(with_state=False)
        twin.classes, twin.preparation = self.classes, self.preparation
        return twin

    def settled(self) -> Network:
        """The network itself; while another thread is training it, a copy as it is between two steps."""
        if not self.callers.others_train:
            return self
        make, arguments, others = self._reduced(with_state=False)
        twin: Network = make(*arguments)
        vars(twin).update(copy.deepcopy(others))
        return twin

    def __reduce__(self) -> tuple[Any, ...]:
        return self._reduced(with_state=True)

    def _reduced(self, with_state: bool) -> tuple[Any, ...]:
        """What a copy is made with; the state of the last training's optimizer need not be among it."""
        nodes = in_order(self.output)  # each after its inputs, so that a deep graph needs no deep recursion
        with self.callers.between_steps():
            flat, state = self.params.flat.copy(), {name: value.copy() for name, value in self.state.items()}
            progress = self.progress.copy(with_state=with_state)
        made_from = (nodes, self.loss_layer, self.seed, self.dtype.name, flat, state, self.classes)
        made = (
            "output",
            "loss_layer",
            "graph",
            "_params",
            "decays",
            "_measuring",
            "programs",
            "callers",
            "_of_one_row",
            "_feeds",
        )
        others = {name: value for name, value in vars(self).items() if name not in made}
        return _made_again, (type(self), *made_from), others | {"progress": progress}

    if not TYPE_CHECKING:  # to type checkers, a name that is not there is an error

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_"):  # as copying, pickling and notebooks ask for
                raise AttributeError(name)
            advice = method_here(name) or did_you_mean(name, [each for each in dir(self) if each[0] != "_"])
            raise AttributeError(f"a network has no attribute {name!r}; {advice}")

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name} {shape}" for name, shape in self._inputs.items())
        return f"<Network: {sizes} -> {self.output_shape}, {self.params.flat.size} {self.dtype} parameters>"

    # Predicting ----------------------------------------------------------------------------------------

    def predict(self, x: Data) -> Array:
        """The output, (N, *output_shape): logits for a classifier. Computed some hundred rows at a time.

        Warns when an output is NaN or infinite, and says which parameter, or node, it comes from.
        Raises: ShapeError, DataError (NaN, infinity, or a number too large for the dtype).
        """
        of_one_row = self.programs.of_one_row
        if of_one_row is not None and (output := of_one_row(x)) is not None:
            return output
        return self.output_of(x)

    def output_of(self, x: Data, *, warns: bool = True) -> Array:
        """The same as `predict`, but that it need not warn."""
        inputs = self._reader.inputs(x, values=False)
        program = self.programs.predicting(sparse_names(inputs), rows_of(inputs))
        for name in program.unwatched:
            check_values(inputs[name], name, self.dtype)
        result = np.empty((rows_of(inputs), *self.output_shape), dtype=self.dtype)
        doubtful = True
        try:
            doubtful = program.predict(inputs, result)
        finally:  # a layer may not bear NaN: what is wrong is the input, not the layer
            if doubtful:
                self._feeds.check_values(inputs)
        if warns and (doubtful or program.predicting.in_python):
            warn_unless_finite(self, inputs, result)
        return result

    def predict_proba(self, x: Data) -> Array:
        """The probabilities of the classes, as the loss understands the output: softmax or sigmoid of it."""
        probabilities = self._feeds.the_loss().probabilities(self.predict(x))
        if probabilities is None:
            raise ArgumentError(f"{self.loss_layer!r} is a loss for regression: there are no probabilities")
        return probabilities

    def classify(self, x: Data) -> Array:
        """The label of the likeliest class, argmax_k y_k, as `classes` names it, or else its number.

        With SigmoidCrossEntropy and one output, the second class where y > 0; with several, whether each y_k > 0.

        Shapes: x (N, *input_shape) -> (N,); (N, K) of booleans for several outputs with SigmoidCrossEntropy.
        dtype: text, int or bool.
        Raises: ArgumentError for a regression; DataError where an output is not finite; as `predict`.
        """
        return self._feeds.classified(self.output_of(x, warns=False))

    def loss(self, x: Data, t: Any, sample_weight: ArrayLike | None = None) -> float:
        """The mean loss, predicting (dropout off, running statistics used)."""
        return self.measures_of(self._reader.batch(x, t, sample_weight, values=False))["loss"]

    def accuracy(self, x: Data, t: Any) -> float:
        """The share of right answers. Raises ArgumentError for a regression."""
        measures = self.measures_of(self._reader.batch(x, t, values=False))
        if "accuracy" not in measures:
            raise ArgumentError(f"accuracy is for classifiers; with {self.loss_layer!r} use evaluate(x, t)")
        return measures["accuracy"]

    def evaluate(self, x: Data, t: Any, sample_weight: ArrayLike | None = None) -> dict[str, float]:
        """The "loss"; for a classifier the "accuracy", for a regression "r2", "rmse" and "mae".

        RMSE, the root of the mean squared error, and MAE, the mean absolute error, are in the targets' own unit; R²
        is the share of their variance that is explained, NaN for targets of one value only. Of several outputs they
        are the means. Warns as `predict` does.
        """
        data = self._reader.batch(x, t, sample_weight, values=False)
        measures = self.measures_of(data)
        if self._feeds.the_loss().task == "regression" and data["t"].shape[1:] == self.output_shape:
            output = self.output_of({name: data[name] for name in self._inputs}, warns=False)
            measures |= errors_of(output, data["t"], data.get("sample_weight")).means()
        return measures

    def measures_of(self, data: Mapping[str, Array], *, warns: bool = True) -> dict[str, float]:
        """The loss, and the accuracy of a classifier, for data as `feeds` returns them; it need not warn."""
        inputs = {name: data[name] for name in self._inputs}
        targets = data["t"]
        if "sample_weight" not in data:
            try:
                by_program = measured(self.programs.evaluating(targets, sparse_names(inputs)), data)
            except Exception:  # as in predict: what is wrong may be the input, not the layer
                self._feeds.check_values(inputs)
                raise
            if by_program is not None:
                return by_program
        output = self.output_of(inputs, warns=warns)
        measures = {"loss": self.loss_of(output, data)}
        correct = self._feeds.the_loss().correct(output, targets)
        if correct is not None:
            finite = np.isfinite(output).reshape(len(output), -1).all(axis=1)  # NaN is no answer
            correct = correct & finite.reshape(-1, *[1] * (correct.ndim - 1))
            measures["accuracy"] = float(np.mean(correct))
        return measures

    def loss_of(self, output: Array, data: Mapping[str, Array]) -> float:
        """The mean loss of these outputs, for data as `feeds` returns them."""
        targets = {name: data[name] for name in data if name not in self._inputs}
        return self.one_number(self._measuring.evaluate({"output": output, **targets}))

    # Gradients -----------------------------------------------------------------------------------------

    def gradient(
        self,
        x: Data,
        t: Any,
        sample_weight: ArrayLike | None = None,
        *,
        training: bool | None = None,
        step: int | None = None,
    ) -> dict[str, Array]:
        """The gradient of the loss with respect to every parameter, by name, by backpropagation.

        `training` must be said when the network has layers that act otherwise while training (Dropout,
        BatchNorm): True draws the random numbers of `step` (default: `iterations`) and keeps the running
        statistics, False is the gradient of `loss(x, t)`.
        """
        return dict(self.flat_gradient(x, t, sample_weight, training=training, step=step))

    def flat_gradient(
        self,
        x: Data,
        t: Any,
        sample_weight: ArrayLike | None = None,
        *,
        training: bool | None = None,
        step: int | None = None,
    ) -> Parameters:
        """The same as `gradient`, as one flat vector, `.flat`, in the layout of `params`, and its named views."""
        feeds = self.feeds(x, t, sample_weight)
        program = self.program(len(feeds["t"]), feeds["t"], sample_weight is not None, sparse_names(feeds))
        mode, number = self._training(training), self._step(step)
        with np.errstate(all="ignore"):
            _, gradient = program.loss_and_gradient(feeds, training=mode, step=number)
        return self.params.like(gradient)

    def program(
        self,
        batch_size: int,
        targets: ArrayLike | None = None,
        weighted: bool = False,
        sparse: Collection[str] = (),
    ) -> Program:
        """The fast form of the network for one size of batch: print it to see its instructions.

        `targets` is an example of the targets, by default labels or numbers as the loss takes them; `weighted`
        says whether there are sample weights, and `sparse` names the inputs that take sparse matrices. Programs
        are kept: `fit`, `gradient` and `predict` make theirs.
        """
        size = whole_number("batch_size", batch_size, 1)
        example = self._example_targets() if targets is None else numbers(targets, "targets")
        if example.ndim == 0 or len(example) == 0:
            raise ArgumentError(
                f"targets: expected an example of the targets, at least one row, got {targets!r}"
            )
        for name in sparse:
            self._feeds.check_sparse(name)
        return self.programs.training(size, example, weighted, frozenset(sparse))

    def _example_targets(self) -> Array:
        return self._feeds.the_loss().example_targets((1, *self.output_shape), self.dtype)

    def numerical_gradient(
        self,
        x: Data,
        t: Any,
        sample_weight: ArrayLike | None = None,
        *,
        training: bool | None = None,
        step: int | None = None,
        h: float | None = None,
    ) -> dict[str, Array]:
        """The same as `gradient`, by central differences in float64: two losses for every single parameter."""
        twin = self.astype("float64")
        feeds = twin.feeds(x, t, sample_weight)
        mode, number = self._training(training), self._step(step)

        def loss(_: Array) -> float:
            return self.one_number(twin.graph.evaluate(feeds, training=mode, step=number))

        flat = numerical_gradient(loss, twin.params.flat, h)
        return dict(self.params.like(flat.astype(self.dtype)))

    # Training ------------------------------------------------------------------------------------------

    def fit(
        self,
        x: Data,
        t: Any,
        *,
        optimizer: Optimizer | str | None = None,
        epochs: int | None = None,
        iterations: int | None = None,
        batch_size: int | None = None,
        sampling: Sampling = "shuffle",
        sample_weight: ArrayLike | None = None,
        validation: tuple[Data, Any] | list[Any] | float | None = None,
        measure_every: int = 1,
        callbacks: Callback | Sequence[Callback] = (),
        checkpoint: Callback | None = None,
        seed: int | None = None,
        progress: bool | None = None,
        threads: int | None = None,
        total_epochs: int | None = None,
        fresh: bool = False,
        **unknown: Any,
    ) -> History:
        """Train by mini-batch gradient descent, and return the record.

        Give `epochs` or `iterations`: how many more there will be. `fit` goes on where the last one stopped:
        ten times `epochs=1` is `epochs=10`, bit for bit, with the same data and arguments. A schedule that
        depends on the length of the training must then be told it, in `total_epochs`. Another optimizer, or
        `fresh=True`, starts without the state of the last.

        `checkpoint=cr.Checkpoint("runs/mine")` keeps the run in that folder: after the process was killed,
        `cr.resume("runs/mine", x, t)` goes on, and ends with the same bits.

        `measure_every=5` measures all the data after every fifth epoch, and at the end, not after every one. The
        progress bar is shown when somebody can see it, or as `progress` says. The other arguments are those of
        `training`.

        Raises: ShapeError, DataError and ArgumentError before anything is changed; DivergedError when the loss
        or a gradient becomes NaN or infinite, with the weights as they were before that step.
        """
        if unknown:
            known = list(inspect.signature(Network.fit).parameters)[1:-1]
            name = next(iter(unknown))
            advice = made_elsewhere(name, unknown[name]) or did_you_mean(name, known)
            raise TypeError(f"fit() got an unexpected keyword argument {name!r}; {advice}")
        if epochs is None and iterations is None:
            raise ArgumentError("say how long to train: either epochs= or iterations=")
        measure_every = whole_number("measure_every", measure_every, 1)
        called = checked_callbacks(callbacks)
        if checkpoint is not None and not (isinstance(checkpoint, Callback) and checkpoint.keeps):
            raise ArgumentError(f"checkpoint: expected cr.Checkpoint(folder), got {checkpoint!r}")
        training = self.training(
            x,
            t,
            optimizer=optimizer,
            epochs=epochs,
            iterations=iterations,
            batch_size=batch_size,
            sampling=sampling,
            sample_weight=sample_weight,
            validation=validation,
            seed=seed,
            threads=threads,
            total_epochs=total_epochs,
            fresh=fresh,
        )
        return training.run(called, measure_every=measure_every, progress=progress, checkpoint=checkpoint)

    def training(
        self,
        x: Data,
        t: Any,
        *,
        optimizer: Optimizer | str | None = None,
        epochs: int | None = None,
        iterations: int | None = None,
        batch_size: int | None = None,
        sampling: Sampling = "shuffle",
        sample_weight: ArrayLike | None = None,
        validation: tuple[Data, Any] | list[Any] | float | None = None,
        seed: int | None = None,
        threads: int | None = None,
        total_epochs: int | None = None,
        fresh: bool = False,
    ) -> Training:
        """A training to run step by step, with what `fit` would train with.

        `epochs` or `iterations` says how long it is going to be, for schedules that depend on it.

        `optimizer` is `default_optimizer` unless given, or named: "adam". `batch_size` is 100, or all the rows
        where there are fewer. "shuffle" goes through all the data in a new order every epoch; "replacement" draws
        every batch anew, as the textbook does. `seed` decides the batches (default: the network's). `validation`
        is measured beside the training data: a pair of data and targets, or a share of the data such as 0.2, which
        is held out: the same share of every class, chosen by the seed. `total_epochs` is the length of the whole
        training, for schedules that depend on it. `fresh` drops what the optimizer has gathered in trainings
        before.

        `threads` is how many the machine may use; by default as many as the work is large enough for, within what
        OMP_NUM_THREADS and its like say, and one in a worker of joblib or multiprocessing. The results are the same
        for any number.

        Raises: ShapeError, DataError, ArgumentError; BusyError when the network is being trained.
        """
        if epochs is not None and iterations is not None:
            raise ArgumentError("say how long to train: either epochs= or iterations=, not both")
        chosen = self.default_optimizer if optimizer is None else checked_optimizer(optimizer)
        feeds = self._reader.learning(t, iterations=self.iterations)
        if learns_columns := self.metadata.get("columns") is None and self.preparation is None:
            feeds = feeds.with_columns(feeds.columns_of(x))
        seed = checked_seed(self.seed if seed is None else seed)
        data, tested = feeds.parts(feeds.batch(x, t, sample_weight), validation, seed)
        batches = Batches.make(
            len(data["t"]), batch_size=batch_size, sampling=sampling, seed=seed, least=self.least_batch()
        )
        if self._feeds.the_loss().task == "regression" and (text := out_of_reach(self.output, data["t"])):
            warn(text)
        if not self.iterations:  # what goes on was looked at before
            warn_of_scales(self, data)
        steps = None if iterations is None else whole_number("iterations", iterations, 1)
        if epochs is not None:
            steps = whole_number("epochs", epochs, 1) * batches.epoch_length
        training = Training(
            self,
            data,
            chosen,
            batches,
            validation=tested,
            threads=None if threads is None else whole_number("threads", threads, 1),
            steps=steps,
            total=None
            if total_epochs is None
            else whole_number("total_epochs", total_epochs, 1) * batches.epoch_length,
            fresh=fresh,
        )
        self._feeds = feeds
        if learns_columns and feeds.columns is not None:
            self.metadata["columns"] = feeds.columns
        if isinstance(validation, Real):
            training.held_out = float(validation)
        return training

    def least_batch(self) -> int:
        """How many rows a batch of training must have: what the most demanding layer needs."""
        shapes, least = self.programs.shapes, 1
        for i, node in enumerate(self.graph):
            first = self.graph.source_positions(i)[:1]
            if node.layer is not None and first and first[0] in shapes:
                least = max(least, node.layer.least_rows((1, *shapes[first[0]])))
        return least

    # What is handed in ---------------------------------------------------------------------------------

    def inputs_of(self, x: Data) -> dict[str, Array]:
        """The data as `graph` takes them, checked, by the name of the input."""
        return self._reader.inputs(x)

    @property
    def labels(self) -> Labels:
        """How labels and the numbers of classes belong together: `labels.numbered(t)`, `labels.named(numbers)`."""
        return self._feeds.labels

    def feeds(self, x: Data, t: Any, weight: ArrayLike | None = None) -> dict[str, Any]:
        """What `graph` is fed with for this batch, checked, by the name of its input."""
        return self._reader.batch(x, t, weight)

    @property
    def _reader(self) -> Feeds:
        """What reads the data that are handed in: frames by the preparation, or by the names in the metadata."""
        if self.preparation is not None:
            return self._feeds.with_preparation(self.preparation)
        return self._feeds.with_columns(self.metadata.get("columns"))

    def one_number(self, loss: Any) -> float:
        """The value of the loss. Raises LayerError for one that is no single number."""
        if np.ndim(loss):
            raise LayerError(
                f"{self.loss_layer!r}: a loss is one number, the mean over the batch; its forward returned an "
                f"array of shape {np.shape(loss)}"
            )
        return float(loss)

    def _training(self, training: bool | None) -> bool:
        """Whether to run as in training; it must be said where it makes a difference."""
        if training is None:
            for node in self.graph:
                if node.layer is not None and "training" in node.layer.signature.forward_asks:
                    raise ArgumentError(
                        f"{node.layer!r} acts otherwise while training than while predicting: say which gradient "
                        f"is wanted, training=True or training=False"
                    )
        return bool(training)

    def _step(self, step: int | None) -> int:
        return self.iterations if step is None else whole_number("step", step, 0)


def _made_again(
    cls: type[Network],
    nodes: list[Node],
    loss: Loss | None,
    seed: int,
    dtype: str,
    flat: Array,
    state: dict[str, Array],
    classes: list[Label] | None = None,
) -> Network:
    network = cls.__new__(cls)
    Network.__init__(network, output=nodes[-1], loss=loss, seed=seed, dtype=dtype)
    network.params.flat[:] = flat
    network.graph.keep_statistics(state)
    network.classes = classes
    return network
