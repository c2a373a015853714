"""The digits that come with scikit-learn: real data with nothing to download."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from chainrule.arguments import checked_seed, number
from chainrule.arrays import Array
from chainrule.datasets.images import Split, arrange_images, arrange_labels
from chainrule.errors import ArgumentError
from chainrule.randomness import Purpose, stream


def load_digits(
    normalize: bool = True,
    flatten: bool = True,
    one_hot_label: bool = False,
    test_share: float = 0.2,
    seed: int = 0,
) -> Split:
    """1,797 handwritten digits of 8 x 8, values 0 to 16: `((x_train, t_train), (x_test, t_test))`.

    `test_share` of every class, drawn with `seed` and rounded, is held out for testing; both parts keep the
    order of the original.

    Shapes: x (N, 64), or (N, 1, 8, 8) when not flattened; t (N,), or (N, 10) when one-hot.
    dtype: x float32 in [0, 1], or uint8 when not normalized; t int64, or float32 when one-hot.
    Raises: ArgumentError when test_share leaves a class with no digit on one of the sides.
    Source: Alpaydin, Kaynak, Optical recognition of handwritten digits, UCI repository (1998), its test set.
    """
    pixels, target = _content()
    images = arrange_images(pixels, 16, normalize=normalize, flatten=flatten)
    share = number("test_share", test_share, "(0, 1)", owner="load_digits", remedy="for example 0.2")
    test = _stratified(target, share, checked_seed(seed))
    labels = arrange_labels(target, 10, one_hot=one_hot_label)
    return (images[~test], labels[~test]), (images[test], labels[test])


def _content() -> tuple[Array, Array]:
    """The images (1797, 8, 8), uint8, and their labels (1797,), int64.

    They are read from scikit-learn's file, since importing scikit-learn takes longer than a short training. A
    version that keeps them elsewhere is asked for them.
    """
    spec = find_spec("sklearn")
    places = [] if spec is None else spec.submodule_search_locations or []
    for path in (Path(place, "datasets", "data", "digits.csv.gz") for place in places):
        if path.is_file():
            rows = np.loadtxt(path, np.uint8, delimiter=",")
            return rows[:, :-1].reshape(-1, 8, 8), rows[:, -1].astype(np.int64)
    from sklearn.datasets import load_digits as load

    data = load()
    return data.images.astype(np.uint8), data.target.astype(np.int64)


def _stratified(labels: Array, share: float, seed: int) -> Array:
    """A mask that picks the same share of every class. Shapes: labels (N,) -> (N,) bool."""
    random = stream(seed, Purpose.SPLIT)
    chosen = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = round(share * len(members))
        if not 0 < count < len(members):
            raise ArgumentError(
                f"load_digits: expected test_share to leave some of every class on both sides, "
                f"got {share}; for example 0.2"
            )
        chosen[random.permutation(members)[:count]] = True
    return chosen
