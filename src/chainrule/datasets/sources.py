"""Where MNIST and Fashion-MNIST come from, and how their files are recognized.

What is verified is the SHA-256 of each file's decompressed content, so that every way of compressing it, and
the decompressed file itself, is accepted, and nothing else is.
"""

from __future__ import annotations

from dataclasses import dataclass

from chainrule.arrays import Shape


@dataclass(frozen=True)
class IdxFile:
    """One IDX file: its name without .gz, its shape, and the SHA-256 of its decompressed content."""

    name: str
    shape: Shape
    sha256: str


@dataclass(frozen=True)
class Source:
    """A dataset in four IDX files.

    `folder` is its folder's name in the cache and in $CHAINRULE_DATA. A mirror is given up when it sends
    nothing for `timeout` seconds or, after that time, is slower than `slowest` bytes a second on average.
    """

    title: str
    folder: str
    mirrors: tuple[str, ...]
    train_images: IdxFile
    train_labels: IdxFile
    test_images: IdxFile
    test_labels: IdxFile
    timeout: float = 20.0
    slowest: float = 1024.0

    @property
    def files(self) -> tuple[IdxFile, ...]:
        """All four, in the order in which they are read."""
        return self.train_images, self.train_labels, self.test_images, self.test_labels


def _mnist_like(
    title: str, folder: str, mirrors: tuple[str, ...], hashes: tuple[str, str, str, str]
) -> Source:
    return Source(
        title,
        folder,
        mirrors,
        IdxFile("train-images-idx3-ubyte", (60000, 28, 28), hashes[0]),
        IdxFile("train-labels-idx1-ubyte", (60000,), hashes[1]),
        IdxFile("t10k-images-idx3-ubyte", (10000, 28, 28), hashes[2]),
        IdxFile("t10k-labels-idx1-ubyte", (10000,), hashes[3]),
    )


MNIST = _mnist_like(
    "MNIST",
    "mnist",
    (
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
    ),
    (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
)

FASHION_MNIST = _mnist_like(
    "Fashion-MNIST",
    "fashion-mnist",
    (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    (
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
)
