"""scikit-learn's digits: the form, and a split that is stratified and repeats."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits as original

from chainrule.datasets import digits, load_digits
from chainrule.errors import ArgumentError


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("flatten", [True, False])
@pytest.mark.parametrize("one_hot", [True, False])
def test_the_form_asked_for(normalize, flatten, one_hot):
    (x_train, t_train), (x_test, t_test) = load_digits(normalize, flatten, one_hot)
    assert len(x_train) + len(x_test) == 1797
    for x, t in ((x_train, t_train), (x_test, t_test)):
        assert x.shape == (len(t), 64) if flatten else (len(t), 1, 8, 8)
        assert x.dtype == (np.float32 if normalize else np.uint8)
        assert (x.min(), x.max()) == (0, 1 if normalize else 16)
        assert t.dtype == (np.float32 if one_hot else np.int64)
        assert t.shape == ((len(x), 10) if one_hot else (len(x),))


@pytest.mark.parametrize("has_file", [True, False])
def test_every_digit_is_there_once_with_its_label(has_file, monkeypatch):
    if not has_file:
        monkeypatch.setattr(digits, "find_spec", lambda name: None)
    (x_train, t_train), (x_test, t_test) = load_digits(normalize=False)
    data = original()
    got = sorted(
        (*x.tolist(), int(t)) for x, t in zip(np.r_[x_train, x_test], np.r_[t_train, t_test], strict=True)
    )
    assert got == sorted(
        (*x.astype(int).tolist(), int(t)) for x, t in zip(data.data, data.target, strict=True)
    )


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
def test_the_split_is_stratified(share):
    (_, t_train), (_, t_test) = load_digits(test_share=share)
    for digit in range(10):
        inside, outside = (t_test == digit).sum(), (t_train == digit).sum()
        assert abs(inside - share * (inside + outside)) <= 0.5


def test_the_seed_decides():
    first, again, other = load_digits(seed=3), load_digits(seed=3), load_digits(seed=4)
    np.testing.assert_array_equal(first[1][0], again[1][0])
    np.testing.assert_array_equal(first[0][1], again[0][1])
    assert not np.array_equal(first[1][0], other[1][0])


@pytest.mark.parametrize("share", [0, 1, -0.2, 1.5, 0.0001, 0.9999, float("nan")])
def test_a_share_that_leaves_nothing_is_an_error(share):
    with pytest.raises(ArgumentError, match=f"got {share}; for example 0.2"):
        load_digits(test_share=share)


def test_the_digits_and_the_imports_of_the_loaders_need_nothing_heavy():
    code = (
        "import sys, chainrule.datasets; chainrule.datasets.load_digits();"
        "print([name for name in ('pandas', 'sklearn', 'pooch', 'matplotlib', 'rich', 'requests')"
        " if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
