"""The flat parameter vector, and its views by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule.errors import ArgumentError, DataError, ShapeError
from chainrule.parameters import Parameters

SHAPES = {"W1": (2, 3), "b1": (3,), "scale": (), "none": (0, 4), "W2": (3, 1)}


def made(dtype: Any = np.float64) -> Parameters:
    return Parameters(np.arange(13, dtype=dtype), SHAPES)


def test_views_lie_in_order_in_one_vector() -> None:
    params = made()
    assert list(params) == list(SHAPES)
    assert len(params) == 5
    np.testing.assert_array_equal(params["W1"], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(params["b1"], [6, 7, 8])
    assert params["scale"] == 9
    assert params["none"].shape == (0, 4)
    np.testing.assert_array_equal(params["W2"], [[10], [11], [12]])
    for name in SHAPES:
        assert params[name].shape == SHAPES[name]
        assert params[name].size == 0 or np.shares_memory(params[name], params.flat)


def test_an_update_in_place_reaches_the_vector_and_the_other_way_round() -> None:
    params = made()
    params["W1"] -= 1.0
    params["b1"] *= 2
    params["scale"] += 0.5
    np.testing.assert_array_equal(params.flat, [-1, 0, 1, 2, 3, 4, 12, 14, 16, 9.5, 10, 11, 12])
    params.flat -= params.flat
    assert not params["W2"].any()
    assert params["scale"] == 0


def test_assignment_copies() -> None:
    params, new = made(np.float32), np.full((2, 3), 7)
    view = params["W1"]
    params["W1"] = new
    new[:] = 0
    assert params["W1"] is view
    np.testing.assert_array_equal(view, np.full((2, 3), 7))
    assert view.dtype == np.float32
    np.testing.assert_array_equal(params.flat[:6], [7] * 6)
    params["b1"] = [1, 2, 3]
    params["scale"] = 4
    np.testing.assert_array_equal(params.flat[6:10], [1, 2, 3, 4])
    params.update(W2=[[1], [2], [3]])
    np.testing.assert_array_equal(params["W2"].ravel(), [1, 2, 3])


@pytest.mark.parametrize("shape", [(3, 2), (6,), (3,), (1, 3), (), (2, 3, 1)], ids=str)
def test_an_assigned_shape_agrees_exactly(shape: tuple[int, ...]) -> None:
    params = made()
    with pytest.raises(
        ShapeError, match=r"parameter 'W1': expected an array of shape \(2, 3\), got "
    ) as caught:
        params["W1"] = np.zeros(shape)
    assert str(caught.value).endswith(f"got {shape}")
    np.testing.assert_array_equal(params.flat, np.arange(13))


def test_errors() -> None:
    params = made()
    with pytest.raises(ArgumentError, match="there is no parameter 'W3'; Known: W1, W2, b1"):
        params["W3"]
    with pytest.raises(ArgumentError, match="there is no parameter 'w1'; did you mean 'W1'"):
        params["w1"] = 3
    for wrong in ("text", None, [[1, 2, 3], [4, 5]], np.zeros((2, 3), complex)):
        with pytest.raises(DataError, match="parameter 'W1': expected a number or an array of numbers, got"):
            params["W1"] = wrong  # type: ignore[assignment]
    with pytest.raises(ArgumentError, match="'W1' belongs to the network and cannot be deleted"):
        del params["W1"]
    np.testing.assert_array_equal(params.flat, np.arange(13))


@pytest.mark.parametrize("shape", [(12,), (14,), (0,), (13, 1), ()], ids=str)
def test_the_vector_is_flat_and_as_long_as_all_parameters(shape: tuple[int, ...]) -> None:
    with pytest.raises(
        ShapeError, match=r"expected a flat vector of shape \(13,\) for these parameters, got"
    ):
        Parameters(np.zeros(shape), SHAPES)


def test_it_is_a_mapping() -> None:
    params = made()
    assert "W1" in params
    assert "W9" not in params
    assert params.get("W9") is None
    assert params.get("W9", 3) == 3
    assert params.get("b1") is params["b1"]
    assert [value.shape for value in params.values()] == list(SHAPES.values())


def test_empty_and_like() -> None:
    params = Parameters.empty(SHAPES, np.float32)
    assert params.flat.dtype == np.float32
    assert params.flat.shape == (13,)
    assert not params.flat.any()
    flat = np.ones(13)
    twin = params.like(flat)
    assert twin.flat is flat
    assert twin.shapes == params.shapes
    nothing = Parameters.empty({}, np.float64)
    assert len(nothing) == nothing.flat.size == 0


def test_views_of_a_strided_vector_are_views_too() -> None:
    wide = np.zeros(26)
    params = Parameters(wide[::2], SHAPES)
    params["W1"] += 1
    np.testing.assert_array_equal(wide[:12], [1, 0] * 6)


def test_repr() -> None:
    params = Parameters(np.zeros(9, np.float32), {"W1": (2, 3), "b1": (3,)})
    assert repr(params) == "<2 arrays in one float32 vector of 9: W1: (2, 3), b1: (3,)>"
