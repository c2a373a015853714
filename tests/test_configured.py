"""Objects that remember what they were made with."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.configured import Configured, constructor_of
from chainrule.errors import ArgumentError
from chainrule.initializers import He, Normal


class Point(Configured):
    def __init__(self, x: float, y: float = 0.0, *, name: str = "p") -> None:
        self.x, self.y, self.name = x, y, name


class Polygon(Configured):
    def __init__(self, corners: Any, **options: Any) -> None:
        self.corners, self.options = corners, options


class Plain(Configured):
    pass


class Below(Point):
    def __init__(self, x: float) -> None:
        super().__init__(x, -1.0, name="below")


def again(value: Configured) -> Configured:
    return type(value)(**value.arguments)


def test_arguments_are_recorded_by_name() -> None:
    assert Point(1, 2).arguments == {"x": 1, "y": 2}
    assert Point(1, name="q").arguments == {"x": 1, "name": "q"}
    assert Point(y=3, x=1).arguments == {"x": 1, "y": 3}
    assert Plain().arguments == {}
    assert Below(4).arguments == {"x": 4}, "those of the class that was called, not of its parent"
    assert Below(4).y == -1


def test_repr_is_how_it_was_made() -> None:
    assert repr(Point(1.0, name="q")) == "Point(x=1.0, name='q')"
    assert repr(Plain()) == "Plain()"
    assert repr(cr.Affine(3, weights=He("uniform"))) == "Affine(units=3, weights=He(distribution='uniform'))"


def test_it_can_be_made_again() -> None:
    for value in (Point(1, name="q"), Polygon([1, 2], closed=True, color="red"), Plain(), Below(3)):
        twin = again(value)
        assert twin.arguments == value.arguments
        assert {**vars(twin)} == {**vars(value)}


def test_keywords_of_any_name_are_arguments_like_others() -> None:
    polygon = Polygon(3, closed=True)
    assert polygon.arguments == {"corners": 3, "closed": True}
    assert repr(polygon) == "Polygon(corners=3, closed=True)"
    assert Polygon(3).arguments == {"corners": 3}


def test_what_is_recorded_does_not_change_with_what_was_passed() -> None:
    corners, key, weights = [1, 2], ([0, 1], 2), np.array([1.0, 2.0])
    polygon, index = Polygon(corners), cr.Index(key)
    loss = cr.SoftmaxCrossEntropy(class_weights=weights)
    corners.append(3)
    key[0].append(5)  # type: ignore[union-attr]
    weights[:] = 0
    assert polygon.arguments == {"corners": [1, 2]}
    assert index.arguments == {"key": ([0, 1], 2)}
    np.testing.assert_array_equal(loss.arguments["class_weights"], [1, 2])
    normal = Normal(2.0)
    assert cr.Affine(3, weights=normal).arguments["weights"] is normal, "objects are kept as they are"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Point(), r"Point: missing a required argument: 'x'; it takes \(x, y, name\)"),
        (lambda: Point(1, 2, 3), r"Point: too many positional arguments; it takes \(x, y, name\)"),
        (lambda: Point(1, nam="q"), "Point: got an unexpected keyword argument 'nam'; did you mean 'name'"),
        (lambda: Point(1, x=2), "Point: multiple values for argument 'x'"),
        (lambda: Plain(3), r"Plain: too many positional arguments; it takes \(\)"),
        (lambda: cr.Affine(), "Affine: missing a required argument: 'units'"),
        (lambda: cr.Dropout(rte=0.5), "Dropout: .* did you mean 'rate'"),
    ],
)
def test_wrong_arguments(make: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))]
)
def test_copies(copied: Any) -> None:
    point = Point(1, name="q")
    point.y = 7  # set later
    twin = copied(point)
    assert twin is not point
    assert type(twin) is Point
    assert twin.arguments == point.arguments
    assert (twin.x, twin.y, twin.name) == (1, 7, "q")
    layer = copied(cr.Affine(3, weights=Normal(0.5)))
    assert repr(layer) == "Affine(units=3, weights=Normal(std=0.5))"
    assert layer.weights.std == 0.5


def test_the_constructor_is_read_once() -> None:
    assert constructor_of(Point) is constructor_of(Point)
    assert list(constructor_of(Below).parameters) == ["x"]
    assert list(constructor_of(Plain).parameters) == []
