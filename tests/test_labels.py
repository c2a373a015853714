"""Labels as people have them: text, booleans, any whole numbers; and the classes that a network knows by name."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest

import chainrule as cr
from chainrule.errors import ArgumentError, ChainruleWarning, DataError, ShapeError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 4))
K = RNG.permutation(np.arange(30) % 3)
NAMES = ["setosa", "versicolor", "virginica"]
T = np.array(NAMES)[K]
YES = K == 1


def network(loss: Any = "cross_entropy", outputs: int = 3, **arguments: Any) -> cr.Network:
    layers = [cr.Affine(8), cr.Tanh(), cr.Affine(outputs)]
    return cr.Network(layers, input_shape=4, loss=loss, **({"seed": 0} | arguments))


def of_two(loss: Any = "binary_cross_entropy") -> cr.Network:
    return network(loss, 1)


def trained(t: Any, make: Callable[[], cr.Network] = network) -> cr.Network:
    net = make()
    net.fit(X, t, epochs=2, batch_size=10)
    return net


FORMS = {
    "array": (T, NAMES),
    "list": (list(T), NAMES),
    "objects": (T.astype(object), NAMES),
    "series": (pd.Series(T, index=np.arange(30) + 7), NAMES),
    "strings of pandas": (pd.Series(T, dtype="string"), NAMES),
    "categorical": (pd.Categorical(T), NAMES),
    "from one": (K + 1, [1, 2, 3]),
    "tens": (10 * K - 10, [-10, 0, 10]),
    "floats from one": (K + 1.0, [1, 2, 3]),
    "unsigned": ((K + 5).astype(np.uint8), [5, 6, 7]),
    "numbers of classes": (K, None),
    "their floats": (K.astype(np.float32), None),
    "their objects": (K.astype(object), None),
    "whole numbers of pandas": (pd.Series(K, dtype="Int64"), None),
    "a column": (K[:, np.newaxis], None),
    "a column of text": (T[:, np.newaxis], NAMES),
    "a column of several": (K[:, np.newaxis] + 1.0, [1, 2, 3]),
    "a frame of one column": (pd.DataFrame({"kind": T}), NAMES),
    "decimals": ([Decimal(int(k)) for k in K], None),
    "fractions": ([Fraction(int(k) + 1) for k in K], [1, 2, 3]),
    "one-hot": (np.eye(3)[K], None),
}
FORMS_OF_TWO = {
    "text": (np.where(YES, "yes", "no"), ["no", "yes"]),
    "booleans": (YES, [False, True]),
    "booleans in a list": (list(YES), [False, True]),
    "a column of booleans": (YES[:, np.newaxis], [False, True]),
    "signs": (np.where(YES, 1, -1), [-1, 1]),
    "from one": (np.where(YES, 2, 1), [1, 2]),
    "floats from one": (np.where(YES, 2.0, 1.0), [1, 2]),
    "numbers of classes": (YES.astype(int), None),
    "their floats": (YES.astype(float), None),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_labels_trains_the_same(form: str) -> None:
    t, classes = FORMS[form]
    plain, net = trained(K), trained(t)
    assert net.classes == classes
    assert classes is None or [type(name) for name in net.classes] == [type(name) for name in classes]
    if form != "one-hot":
        np.testing.assert_array_equal(net.params.flat, plain.params.flat)
    assert net.loss(X, t) == pytest.approx(plain.loss(X, K))
    assert net.accuracy(X, t) == plain.accuracy(X, K)
    assert net.evaluate(X, t, np.ones(30)) == pytest.approx(plain.evaluate(X, K, np.ones(30)))
    for name, gradient in net.gradient(X, t).items():
        np.testing.assert_allclose(gradient, plain.gradient(X, K)[name], atol=1e-7)
    some = slice(0, 5)
    for name, gradient in net.numerical_gradient(X[some], t[some]).items():
        np.testing.assert_allclose(gradient, plain.gradient(X[some], K[some])[name], atol=1e-5)
    assert cr.check(net, X[some], t[some]).passed
    assert "affine1" in cr.draw(net, X[some], t[some]).svg()


@pytest.mark.parametrize("form", FORMS_OF_TWO)
@pytest.mark.parametrize("loss", ["binary_cross_entropy", "cross_entropy"])
def test_every_form_of_two_labels_trains_the_same(form: str, loss: str) -> None:
    t, classes = FORMS_OF_TWO[form]
    if loss == "cross_entropy" and np.ndim(t) == 2:
        return
    outputs = 1 if loss == "binary_cross_entropy" else 2
    nets = [network(loss, outputs) for _ in range(2)]
    for net, labels in zip(nets, (t, YES.astype(int)), strict=True):
        net.fit(X, labels, epochs=2, batch_size=10)
    np.testing.assert_array_equal(nets[0].params.flat, nets[1].params.flat)
    assert nets[0].classes == classes
    assert nets[0].loss(X, t) == nets[1].loss(X, YES.astype(int))
    number_of = nets[1].classify(X)
    np.testing.assert_array_equal(nets[0].classify(X), np.array(classes or [0, 1])[number_of])
    assert number_of.shape == (30,)


def test_a_single_logit_without_an_axis_takes_labels_too() -> None:
    node = cr.Reshape((-1,))(cr.Affine(1)(cr.Input("x", shape=4)))
    net = cr.Network(output=node, loss="binary_cross_entropy", seed=0)
    net.fit(X, np.where(YES, "yes", "no"), epochs=1)
    assert net.classes == ["no", "yes"]
    assert net.classify(X).shape == (30,)
    assert net.loss(X, YES.astype(int)) == net.loss(X, np.where(YES, "yes", "no"))


def test_probabilities_as_targets_stay_as_they_are() -> None:
    soft = np.where(YES, 0.75, 0.5)
    net = trained(soft, of_two)
    assert net.classes is None
    assert net.loss(X, soft) == net.loss(X, soft[:, np.newaxis])


def test_labels_of_several_steps_are_taken_by_name_too() -> None:
    net = cr.Network([cr.Affine(3)], input_shape=(5, 4), loss="cross_entropy", seed=0)
    x, numbers = RNG.normal(size=(6, 5, 4)), np.arange(30).reshape(6, 5) % 3
    net.fit(x, np.array(NAMES)[numbers], epochs=1)
    assert net.classes == NAMES
    assert net.loss(x, np.array(NAMES)[numbers]) == net.loss(x, numbers)
    assert net.classify(x).shape == (6, 5)


def test_known_classes_are_looked_up() -> None:
    net = trained(T)
    assert net.loss(X[:1], T[:1]) == net.loss(X[:1], K[:1])  # one class of three
    with pytest.raises(DataError, match=r"t: unknown label 'setsa' in row 3; did you mean 'setosa'\?"):
        net.loss(X, np.where(np.arange(30) == 3, "setsa", T))
    with pytest.raises(DataError, match=r"labels from 0 to 2, got 3 in row"):
        net.loss(X, K + 1)
    with pytest.raises(DataError, match=r"which are text, got booleans, .*; give the labels as text"):
        net.loss(X, YES)
    numbered = trained(K + 1)
    assert numbered.loss(X[:1], K[:1] + 1) == net.loss(X[:1], K[:1])
    with pytest.raises(DataError, match=r"t: unknown label 0 in row \d+; the classes are 1, 2, 3"):
        numbered.loss(X, K)
    with pytest.raises(DataError, match=r"which are whole numbers, got text"):
        numbered.loss(X, (K + 1).astype(str))
    with pytest.raises(DataError, match=r"^validation: t: unknown label 'x' in row 0"):
        net.fit(X, T, epochs=1, validation=(X[:1], ["x"]))


@pytest.mark.parametrize(
    ("make", "t", "message"),
    [
        (
            network,
            T[K < 2],
            r"expected 3 different labels, one for each class, got 2: 'setosa'.*net.classes = ",
        ),
        (network, np.arange(30).astype(str), r"got 30: .*\(30 in all\).*an output for each"),
        (network, K * 2 + (np.arange(30) == 7), r"labels from 0 to 2, got \d+ in row \d+; .*net.classes = "),
        (network, YES, r"expected 3 different labels, one for each class, got 2: False, True"),
        (of_two, T, r"expected 2 different labels.*got 3.*SoftmaxCrossEntropy\(\)"),
        (of_two, np.full(30, 2), r"labels from 0 to 1, got 2 in row 0; or 2 different .* got 1: 2"),
        (of_two, np.where(YES, 1.5, 0), r"targets from 0 to 1, got 1.5"),
        (lambda: network("mse", 1), T, r"expected numbers, got text, .*MeanSquaredError\(\) takes none"),
        (lambda: network("binary_cross_entropy"), T, r"expected numbers, got text"),
        (
            network,
            [b"cat"] * 30,
            r"got bytes, b'cat', in row 0; decode them, \[each.decode\(\) for each in t\]",
        ),
        (network, [object()] * 30, r"got an object, .*, in row 0"),
        (
            network,
            ["a", True] * 15,
            r"labels of one kind, got text, 'a' in row 0, and booleans, True in row 1",
        ),
    ],
)
def test_labels_that_fit_no_classes_change_nothing(make: Any, t: Any, message: str) -> None:
    net = make()
    before = net.params.flat.copy()
    with pytest.raises(DataError, match=message):
        net.fit(X[: len(t)], t, epochs=1, batch_size=5)
    assert net.classes is None
    np.testing.assert_array_equal(net.params.flat, before)


def test_a_refused_training_learns_no_classes() -> None:
    net = network()
    for wrong in (
        {"batch_size": 31},
        {"epochs": 0},
        {"validation": 2},
        {"threads": 0},
        {"sample_weight": [1]},
    ):
        with pytest.raises((ArgumentError, ShapeError)):
            net.fit(X, T, **({"epochs": 1} | wrong))
        assert net.classes is None
    schedule = cr.SGD(cr.schedules.Cosine(0.1))
    with pytest.raises(ArgumentError, match="depends on the length"):
        net.fit(X, T, optimizer=schedule, epochs=2, total_epochs=1)
    assert net.classes is None


def test_text_in_the_wrong_shape_is_a_shape_error() -> None:
    with pytest.raises(ShapeError, match=r"\(30, 3\)"):
        network().fit(X, np.tile(T[:, np.newaxis], 3), epochs=1)


@pytest.mark.parametrize("call", ["loss", "accuracy", "evaluate", "gradient", "numerical_gradient", "feeds"])
def test_names_are_unknown_before_a_training(call: str) -> None:
    net = network()
    with pytest.raises(
        DataError, match=r"'.*', and the network knows no names of its 3 classes.*net.classes = "
    ):
        getattr(net, call)(X, T)
    net.classes = NAMES
    getattr(net, call)(X, T)


def test_booleans_need_no_names_where_there_are_two_classes() -> None:
    assert of_two().loss(X, YES) == of_two().loss(X, YES.astype(int))
    assert network(outputs=2).loss(X, YES) == network(outputs=2).loss(X, YES.astype(int))
    with pytest.raises(DataError, match=r"expected 3 different labels.*got 2: False, True"):
        network().loss(X, YES)


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT], ids=str)
@pytest.mark.parametrize("form", [list, np.array, pd.Series])
@pytest.mark.parametrize("labels", [T, K, YES], ids=["text", "numbers", "booleans"])
def test_a_missing_label_is_named_by_its_row(missing: Any, form: Any, labels: Any) -> None:
    values = [*labels.tolist()]
    values[17] = missing
    if form is not list:
        values = np.array(values, dtype=object) if form is np.array else pd.Series(values, dtype=object)
    net = network()
    net.classes = NAMES
    for call in (lambda: net.fit(X, values, epochs=1), lambda: net.loss(X, values)):
        with pytest.raises(DataError, match=r"t: the target in row 17 is missing"):
            call()


def test_a_missing_target_of_a_regression_and_a_masked_one_are_named() -> None:
    values = pd.Series([1.0, None] * 15, dtype="Float64")
    for t in (values, [1.0, None] * 15, np.ma.masked_array(np.ones(30), np.arange(30) == 1)):
        missing = r"^t.* row 1(, column 0)?( is missing|: fill such values in|, which is missing)"
        with pytest.raises(DataError, match=missing + "|finite targets, got nan"):
            network("mse", 1).fit(
                X, np.ma.reshape(t, (30, 1)) if isinstance(t, np.ma.MaskedArray) else t, epochs=1
            )


def test_signs_are_classes() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert trained(np.array(["+", "-", "="])[K]).classes == ["+", "-", "="]


@pytest.mark.parametrize("name", ["", "NA", "-", "None", "?", "nan", "NULL"])
def test_a_class_that_looks_like_a_missing_value_is_warned_of(name: str) -> None:
    t = np.where(K == 2, name, T)
    with pytest.warns(
        ChainruleWarning, match=rf"named '{name}'.*looks like a missing value".replace("?'", r"\?'")
    ):
        net = trained(t)
    assert name in net.classes


def test_one_label_a_sample_for_several_yes_or_no_is_said() -> None:
    with pytest.raises(
        ShapeError, match=r't: expected the shape of the network\'s output.*use the loss "cross_entropy"'
    ):
        network("binary_cross_entropy").fit(X, K, epochs=1)


def test_labels_for_one_output_of_a_softmax_are_refused_with_the_remedy() -> None:
    with pytest.warns(ChainruleWarning, match="over one output"):
        net = network(outputs=1)
    with pytest.raises(DataError, match=r'got 2: .*use the loss "binary_cross_entropy"'):
        net.fit(X, np.where(YES, "yes", "no"), epochs=1)


def test_classes_that_differ_by_capitals_or_spaces_are_warned_of() -> None:
    with pytest.warns(
        ChainruleWarning, match=r"named 'Yes' and 'yes ', which differ by capitals or spaces"
    ) as told:
        trained(np.array(["Yes", "no", "yes "])[K])
    assert told[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trained(T)


def test_names_after_a_training_on_numbers_are_warned_of() -> None:
    """As where the labels 1, 2, 3 come in parts, and the first part holds 1 and 2 only."""
    for labels in (K + 1, T):
        net = network()
        net.fit(X[K < 2], labels[K < 2] if labels is not T else K[K < 2], epochs=1)
        with pytest.warns(
            ChainruleWarning, match=r"on numbers of classes before, in 1 iterations; the numbers now"
        ):
            net.fit(X, labels, epochs=1)
        net.fit(X, labels, epochs=1)
    two = trained(YES.astype(int), of_two)
    two.fit(X, YES, epochs=1)  # which are the same numbers


def test_classes_are_set_by_hand() -> None:
    net = network()
    net.classes = ("c", "b", "a")
    assert net.classes == ["c", "b", "a"]
    net.fit(
        X, np.where(YES, "a", "c"), epochs=1
    )  # one class is missing, and the order is that of the outputs
    assert net.classes == ["c", "b", "a"]
    assert net.loss(X, np.where(YES, "a", "c")) == net.loss(X, np.where(YES, 2, 0))
    net.classes.append("d")
    assert net.classes == ["c", "b", "a"]
    net.classes = np.array([7, 8, 9])
    assert net.classes == [7, 8, 9]
    assert {type(each) for each in net.classes} == {int}
    net.classes = None
    assert net.classes is None
    two = of_two()
    two.classes = ["no", "yes"]
    assert two.loss(X, np.where(YES, "yes", "no")) == two.loss(X, YES.astype(int))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a", "b"], r"expected 3 different names.* got 2: 'a', 'b'"),
        (["a", "a", "b"], r"expected 3 different names.* got 3"),
        ("abc", r"expected a list of text.*got 'abc'"),
        (["a", "b", 3], r"expected a list of text"),
        ([1.0, 2.0, 3.0], r"expected a list of text"),
        (["a", "b", None], r"expected a list of text"),
        ([], r"expected a list of text"),
        (5, r"expected 3 different names"),
    ],
)
def test_wrong_classes_are_refused(names: Any, message: str) -> None:
    net = trained(T)
    with pytest.raises(ArgumentError, match="^classes: " + message):
        net.classes = names
    assert net.classes == NAMES


def test_a_regression_has_no_classes() -> None:
    net = network("mse")
    with pytest.raises(ArgumentError, match=r"MeanSquaredError\(\) tells no classes apart"):
        net.classes = NAMES
    with pytest.raises(ArgumentError, match=r"classify is for classifiers"):
        net.classify(X)


@pytest.mark.parametrize("t", [T, K + 1], ids=["text", "numbers"])
def test_copies_and_files_keep_the_classes(t: Any, tmp_path: Any) -> None:
    net = trained(t)
    loaded = cr.load(cr.save(net, tmp_path / "m.safetensors"))
    for twin in (
        copy.copy(net),
        copy.deepcopy(net),
        pickle.loads(pickle.dumps(net)),
        net.astype("float64"),
        loaded,
    ):
        assert twin.classes == net.classes
        np.testing.assert_array_equal(twin.classify(X), net.classify(X))
        assert twin.accuracy(X, t) == net.accuracy(X, t)
    two = trained(YES, of_two)
    again = cr.load(cr.save(two, tmp_path / "two.safetensors"))
    assert again.classes == [False, True]
    assert again.classify(X).dtype == bool


def test_classify_answers_in_what_the_classes_are() -> None:
    assert trained(T).classify(X).dtype.kind == "U"
    np.testing.assert_array_equal(
        trained(T).classify(X), np.array(NAMES)[trained(K).predict(X).argmax(axis=1)]
    )
    np.testing.assert_array_equal(trained(K + 1).classify(X), 1 + trained(K).classify(X))
    assert trained(K).classify(X).dtype.kind == "i"
    several = network("binary_cross_entropy")
    answers = several.classify(X)
    assert (answers.shape, answers.dtype) == ((30, 3), bool)
    np.testing.assert_array_equal(answers, several.predict(X) > 0)
    several.params["b2"][...] = np.nan
    with pytest.raises(DataError, match=r"the output for row 0 is nan"):
        several.classify(X)


def test_a_report_names_the_classes(tmp_path: Any) -> None:
    net = network()
    history = net.fit(X, T, epochs=2)
    path = cr.report(history, net, X, T).save(tmp_path / "r.html")
    page = path.read_text(encoding="utf-8")
    assert all(name in page for name in NAMES)
    two = of_two()
    history = two.fit(X, np.where(YES, "spam", "ham"), epochs=2)
    page = (
        cr.report(history, two, X, np.where(YES, "spam", "ham")).save(tmp_path / "s.html").read_text("utf-8")
    )
    assert "spam" in page
    assert "ham" in page
