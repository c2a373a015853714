"""MNIST and Fashion-MNIST: 60,000 and 10,000 grey images of 28 x 28, in ten classes."""

from __future__ import annotations

import os
from pathlib import Path

from chainrule.datasets.fetching import find_file
from chainrule.datasets.images import Split, arrange_images, arrange_labels
from chainrule.datasets.sources import FASHION_MNIST, MNIST, Source


def load_mnist(
    normalize: bool = True,
    flatten: bool = True,
    one_hot_label: bool = False,
    *,
    folder: str | os.PathLike[str] | None = None,
    download: bool = True,
) -> Split:
    """Handwritten digits: `((x_train, t_train), (x_test, t_test))`.

    The four files, compressed or not, are looked for in `folder`, and then nowhere else; without it in mnist/
    in the folder that the environment variable CHAINRULE_DATA names, then in the user's cache folder. What is
    missing is downloaded into the cache folder, unless `download` is False. The SHA-256 of each file's
    decompressed content is verified, wherever the file was found.

    Shapes: x (N, 784), or (N, 1, 28, 28) when not flattened; t (N,), or (N, 10) when one-hot. N is 60000 and
    10000.
    dtype: x float32 in [0, 1], or uint8 when not normalized; t int64, or float32 when one-hot.
    Raises: FileError when a file is missing or corrupt in a folder of the user's, or no mirror had it.
    Source: LeCun, Bottou, Bengio, Haffner, Gradient-based learning applied to document recognition (1998).
    """
    return load_images(MNIST, normalize, flatten, one_hot_label, folder=folder, download=download)


def load_fashion_mnist(
    normalize: bool = True,
    flatten: bool = True,
    one_hot_label: bool = False,
    *,
    folder: str | os.PathLike[str] | None = None,
    download: bool = True,
) -> Split:
    """Articles of clothing, in the form of MNIST: `((x_train, t_train), (x_test, t_test))`.

    The classes are T-shirt/top, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag, ankle boot. The
    files are looked for and verified as those of `load_mnist`, in the folder fashion-mnist/.

    Shapes: x (N, 784), or (N, 1, 28, 28) when not flattened; t (N,), or (N, 10) when one-hot. N is 60000 and
    10000.
    dtype: x float32 in [0, 1], or uint8 when not normalized; t int64, or float32 when one-hot.
    Raises: FileError when a file is missing or corrupt in a folder of the user's, or no mirror had it.
    Source: Xiao, Rasul, Vollgraf, Fashion-MNIST (2017), arXiv:1708.07747.
    """
    return load_images(FASHION_MNIST, normalize, flatten, one_hot_label, folder=folder, download=download)


def load_images(
    source: Source,
    normalize: bool,
    flatten: bool,
    one_hot_label: bool,
    *,
    folder: str | os.PathLike[str] | None = None,
    download: bool = True,
    cache: Path | None = None,
) -> Split:
    """The four files of a source, in the form asked for. `cache` stands in for the user's cache folder."""
    halves = []
    for images, labels in (
        (source.train_images, source.train_labels),
        (source.test_images, source.test_labels),
    ):
        pixels = find_file(source, images, folder=folder, download=download, cache=cache)
        # Rebinding drops the uint8 original before the next half is read.
        pixels = arrange_images(pixels, 255, normalize=normalize, flatten=flatten)
        targets = find_file(source, labels, folder=folder, download=download, cache=cache)
        halves.append((pixels, arrange_labels(targets, 10, one_hot=one_hot_label)))
    return halves[0], halves[1]
