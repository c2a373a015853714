"""MNIST and Fashion-MNIST: the form, the places looked in, and mirrors that misbehave."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import os
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from chainrule.datasets import fetching, load_fashion_mnist, load_mnist, mnist
from chainrule.datasets.images import arrange_images, arrange_labels
from chainrule.datasets.mnist import load_images
from chainrule.datasets.sources import FASHION_MNIST, MNIST, IdxFile, Source
from chainrule.errors import FileError
from datasets_server import broken_off, dripping, flooding, good, instead, serve, stalled, status, written

RANDOM = np.random.default_rng(5)
ARRAYS = {
    "train-images-idx3-ubyte": RANDOM.integers(0, 256, (50, 28, 28), dtype=np.uint8),
    "train-labels-idx1-ubyte": RANDOM.integers(0, 10, 50, dtype=np.uint8),
    "t10k-images-idx3-ubyte": RANDOM.integers(0, 256, (20, 28, 28), dtype=np.uint8),
    "t10k-labels-idx1-ubyte": RANDOM.integers(0, 10, 20, dtype=np.uint8),
}
CONTENT = {name: written(array) for name, array in ARRAYS.items()}
ZIPPED = {f"{name}.gz": gzip.compress(content) for name, content in CONTENT.items()}
IMAGES = "train-images-idx3-ubyte"
WRONG = gzip.compress(written(ARRAYS[IMAGES] ^ 1))


def source(*mirrors: str) -> Source:
    files = [IdxFile(name, ARRAYS[name].shape, hashlib.sha256(CONTENT[name]).hexdigest()) for name in ARRAYS]
    return Source("Tiny", "tiny", mirrors, *files, timeout=0.5, slowest=20_000)


@pytest.fixture(autouse=True)
def _no_data_of_this_machine(monkeypatch, tmp_path, request):
    if "real" not in request.node.name:
        monkeypatch.delenv("CHAINRULE_DATA", raising=False)
        monkeypatch.setattr(fetching, "cache_folder", lambda source: tmp_path / "cache" / source.folder)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache" / "tiny"


def load(*mirrors: str, **options):
    return load_images(source(*mirrors), True, True, False, **options)


def fill(folder: Path, zipped: bool = True) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (ZIPPED if zipped else CONTENT).items():
        (folder / name).write_bytes(content)
    return folder


def check(loaded) -> None:
    (x_train, t_train), (x_test, t_test) = loaded
    for x, t, half in ((x_train, t_train, "train"), (x_test, t_test, "t10k")):
        images, labels = ARRAYS[f"{half}-images-idx3-ubyte"], ARRAYS[f"{half}-labels-idx1-ubyte"]
        assert x.dtype == np.float32
        assert t.dtype == np.int64
        np.testing.assert_array_equal(x, (images / 255).astype(np.float32).reshape(len(images), 784))
        np.testing.assert_array_equal(t, labels)


def everything_under(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# The form


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("flatten", [True, False])
@pytest.mark.parametrize("one_hot", [True, False])
def test_the_form_asked_for(tmp_path, normalize, flatten, one_hot):
    halves = load_images(source(), normalize, flatten, one_hot, folder=fill(tmp_path))
    for (x, t), count, half in zip(halves, (50, 20), ("train", "t10k"), strict=True):
        images, labels = ARRAYS[f"{half}-images-idx3-ubyte"], ARRAYS[f"{half}-labels-idx1-ubyte"]
        assert x.shape == ((count, 784) if flatten else (count, 1, 28, 28))
        assert x.dtype == (np.float32 if normalize else np.uint8)
        np.testing.assert_array_equal(np.round(x * 255).ravel() if normalize else x.ravel(), images.ravel())
        assert t.dtype == (np.float32 if one_hot else np.int64)
        assert t.shape == ((count, 10) if one_hot else (count,))
        np.testing.assert_array_equal(t.argmax(axis=1) if one_hot else t, labels)
        assert not one_hot or (t.sum(axis=1) == 1).all()
        assert x.flags.writeable
        assert t.flags.writeable


def test_normalized_is_exact():
    values = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    got = arrange_images(values, 255, normalize=True, flatten=True)
    np.testing.assert_array_equal(got, (values / 255.0).astype(np.float32).reshape(1, 256))
    assert got.min() == 0
    assert got.max() == 1


def test_normalizing_allocates_the_result_and_no_more():
    images = np.zeros((10_000, 28, 28), np.uint8)
    tracemalloc.start()
    arrange_images(images, 255, normalize=True, flatten=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * images.size + 100_000


def test_one_hot():
    expected = [[0, 0, 1], [1, 0, 0]]
    np.testing.assert_array_equal(arrange_labels(np.array([2, 0], np.uint8), 3, one_hot=True), expected)


# Where the files are looked for


@pytest.mark.parametrize("zipped", [True, False])
def test_a_given_folder_comes_first(tmp_path, monkeypatch, zipped):
    monkeypatch.setenv("CHAINRULE_DATA", str(tmp_path / "nothing"))
    check(load(folder=fill(tmp_path / "here", zipped), download=False))
    check(load(folder=str(tmp_path / "here"), download=False))


def test_a_given_folder_that_lacks_files_is_an_error_and_nothing_is_downloaded(tmp_path, cache):
    fill(cache)
    fill(tmp_path / "here")
    (tmp_path / "here" / "t10k-labels-idx1-ubyte.gz").unlink()
    with serve(ZIPPED) as (url, asked):
        with pytest.raises(FileError, match=r"here: expected .* missing: t10k-labels-idx1-ubyte\. Nothing"):
            load(url, folder=tmp_path / "here")
        with pytest.raises(FileError, match="missing: train-images"):
            load(url, folder=tmp_path / "nowhere")
        assert asked == []


@pytest.mark.parametrize("place", ["folder", "environment"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (WRONG, "whose content has the SHA-256"),
        (b"garbage", "expected an IDX file"),
        (ZIPPED[f"{IMAGES}.gz"][:-20], "broken gzip"),
    ],
)
def test_a_corrupt_file_of_the_users_is_an_error_that_names_it(
    tmp_path, monkeypatch, place, content, message
):
    folder = fill(tmp_path / "tiny")
    (folder / f"{IMAGES}.gz").write_bytes(content)
    monkeypatch.setenv("CHAINRULE_DATA", str(tmp_path))
    with serve(ZIPPED) as (url, asked):
        with pytest.raises(FileError, match=message) as raised:
            load(url, folder=folder if place == "folder" else None)
        assert str(folder / f"{IMAGES}.gz") in str(raised.value)
        assert asked == []


def test_the_environment_comes_before_the_cache(tmp_path, monkeypatch, cache):
    fill(tmp_path / "theirs" / "tiny")
    fill(cache)
    for path in cache.iterdir():
        path.write_bytes(b"corrupt")
    monkeypatch.setenv("CHAINRULE_DATA", str(tmp_path / "theirs"))
    check(load(download=False))


def test_the_cache_comes_next_and_is_not_downloaded_again(tmp_path, monkeypatch, cache):
    monkeypatch.setenv("CHAINRULE_DATA", str(tmp_path / "without it"))
    with serve(ZIPPED) as (url, asked):
        check(load(url))
        assert len(asked) == 4
        check(load(url))
        assert len(asked) == 4
    assert everything_under(cache) == sorted(ZIPPED)


def test_a_cache_can_be_passed(tmp_path):
    check(load(cache=fill(tmp_path / "other"), download=False))


def test_a_corrupt_file_in_the_cache_is_downloaded_again(cache):
    fill(cache)
    (cache / f"{IMAGES}.gz").write_bytes(WRONG)
    with pytest.raises(FileError, match="With download=True it would be downloaded again"):
        load(download=False)
    with serve(ZIPPED) as (url, asked):
        check(load(url))
        assert asked == [f"/{IMAGES}.gz"]
    assert (cache / f"{IMAGES}.gz").read_bytes() == ZIPPED[f"{IMAGES}.gz"]


def test_without_download_the_message_says_where_was_looked(tmp_path, monkeypatch, cache):
    monkeypatch.setenv("CHAINRULE_DATA", str(tmp_path / "theirs"))
    with pytest.raises(FileError) as raised:
        load(download=False)
    for part in (str(tmp_path / "theirs" / "tiny"), str(cache), "download=True", "folder=", "CHAINRULE_DATA"):
        assert part in str(raised.value)


# Mirrors


BAD = {
    "403": (status(403), "403"),
    "404": (status(404), "404"),
    "503": (status(503), "503"),
    "wrong content": (instead(WRONG), "SHA-256"),
    "garbage": (instead(b"<html>log in first</html>" * 9), "expected an IDX file"),
    "empty": (instead(b""), "got nothing"),
    "broken off": (broken_off, "IncompleteRead|broken"),
    "stalled": (stalled(2), "timed out"),
    "dripping": (dripping(100, 0.02), "too slow"),
    "flooding": (flooding, "sent more than"),
}


@pytest.mark.parametrize("name", BAD)
def test_the_second_mirror_is_used_when_the_first_fails(name, cache):
    with serve(ZIPPED, BAD[name][0]) as (bad, asked_bad), serve(ZIPPED) as (fine, asked):
        file = source().train_images
        array = fetching.find_file(source(bad, fine), file)
    np.testing.assert_array_equal(array, ARRAYS[IMAGES])
    assert asked_bad == asked == [f"/{IMAGES}.gz"]
    assert everything_under(cache) == [f"{IMAGES}.gz"]


@pytest.mark.parametrize("name", BAD)
def test_nothing_is_left_behind_when_all_mirrors_fail(name, cache):
    started = time.monotonic()
    with serve(ZIPPED, BAD[name][0]) as (bad, _), pytest.raises(FileError) as raised:
        load(bad)
    assert time.monotonic() - started < 3
    assert raised.match(BAD[name][1])
    assert everything_under(cache) == []


def test_the_message_names_every_mirror_its_reason_and_the_remedy(cache):
    bad, wrong = serve(ZIPPED, status(404)), serve(ZIPPED, instead(WRONG))
    with bad as (first, _), wrong as (second, _), pytest.raises(FileError) as raised:
        load(first, second, "http://127.0.0.1:1/nobody")
    lines = str(raised.value).splitlines()
    assert lines[0] == f"could not download {IMAGES} of Tiny:"
    for line, mirror, reason in zip(
        lines[1:4], (first, second, "http://127.0.0.1:1/nobody/"), ("404", "SHA-256", "refused"), strict=True
    ):
        assert line.startswith(f"  {mirror}{IMAGES}.gz: ")
        assert reason in line
    assert "folder=" in lines[4]
    assert "tiny/" in lines[4]
    assert "CHAINRULE_DATA" in lines[4]
    assert all(name in lines[4] for name in ZIPPED)


def test_a_failed_repair_keeps_what_was_in_the_cache(cache):
    fill(cache)
    (cache / f"{IMAGES}.gz").write_bytes(WRONG)
    with serve(ZIPPED, status(503)) as (bad, _), pytest.raises(FileError):
        load(bad)
    assert everything_under(cache) == sorted(ZIPPED)


def test_a_mirror_that_sends_the_decompressed_file_is_fine():
    with serve(ZIPPED, instead(CONTENT[IMAGES])) as (url, _):
        np.testing.assert_array_equal(fetching.find_file(source(url), source().train_images), ARRAYS[IMAGES])


def test_a_cache_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with serve(ZIPPED) as (url, _), pytest.raises(FileError, match=r"cache folder .*file.*folder="):
        load(url, cache=tmp_path / "file" / "below")


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_shown_on_a_terminal_only(monkeypatch, terminal):
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return terminal

    monkeypatch.setattr("sys.stderr", screen := Screen())
    monkeypatch.setenv("TERM", "xterm")
    with serve(ZIPPED, good) as (url, _):
        fetching.find_file(source(url), source().train_images)
    assert (IMAGES in screen.getvalue()) == terminal


# The real ones


def test_the_real_sources_are_described():
    for each in (MNIST, FASHION_MNIST):
        assert len(each.mirrors) >= 2
        assert len({file.sha256 for file in each.files}) == 4
        assert all(len(file.sha256) == 64 for file in each.files)
    assert not {file.sha256 for file in MNIST.files} & {file.sha256 for file in FASHION_MNIST.files}


def test_each_loader_uses_its_own_source(tmp_path, monkeypatch):
    for loader, name in ((load_mnist, "mnist"), (load_fashion_mnist, "fashion-mnist")):
        with pytest.raises(FileError, match=f"cache.{name}; pass download=True"):
            loader(download=False)
        with pytest.raises(FileError, match="missing: train-images"):
            loader(folder=tmp_path)
    monkeypatch.setattr(mnist, "FASHION_MNIST", source())
    check(load_fashion_mnist(folder=fill(tmp_path / "here")))


def test_real_mnist():
    try:
        files = [fetching.find_file(MNIST, file, download=False) for file in MNIST.files]
    except FileError as error:
        pytest.skip(f"MNIST is not on this machine: {error}")
    original = files[0].nbytes
    del files
    tracemalloc.start()
    (x_train, t_train), (x_test, t_test) = load_mnist(download=False)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert x_train.shape == (60000, 784)
    assert x_test.shape == (10000, 784)
    assert x_train.dtype == x_test.dtype == np.float32
    assert (x_train.min(), x_train.max()) == (0, 1)
    assert t_train.dtype == t_test.dtype == np.int64
    assert np.bincount(t_train).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert t_test[:5].tolist() == [7, 2, 1, 0, 4]
    results = sum(array.nbytes for array in (x_train, t_train, x_test, t_test))
    assert peak < results + original + (8 << 20)


def test_real_mnist_from_the_folder_that_the_environment_names(monkeypatch, tmp_path):
    data = os.environ.get("CHAINRULE_DATA")
    if not data or not (Path(data) / "mnist").is_dir():
        pytest.skip("set CHAINRULE_DATA to a folder whose folder mnist/ holds the four files of MNIST")
    unreachable = dataclasses.replace(MNIST, mirrors=("http://127.0.0.1:1/",))
    (x, t), _ = load_images(unreachable, False, False, True, cache=tmp_path)
    assert x.shape == (60000, 1, 28, 28)
    assert x.dtype == np.uint8
    assert t.shape == (60000, 10)
    (same, _), _ = load_mnist(normalize=False, folder=Path(data) / "mnist")
    np.testing.assert_array_equal(x.reshape(60000, 784), same)
