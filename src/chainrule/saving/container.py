"""Named arrays and named texts in one file, in the safetensors format, with a checksum of each.

The format is 8 bytes, the length of a JSON header; the header, with the dtype, shape and place of each array; the
arrays. It is written and read here, and not by the package safetensors, so that large arrays are not copied and
sizes are checked before memory is taken. A test holds both directions against the package.
"""

from __future__ import annotations

import json
import math
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from chainrule.arrays import Array
from chainrule.errors import ArgumentError, FileError

CHECKSUMS = "checksums"
#: Bytes that a header may have; the Python objects read from one take up to thirty times as many.
MOST_HEADER = 2**25
DTYPES = {
    "BOOL": "?",
    **{f"{kind.upper()}{8 * size}": f"<{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)},
    **{f"F{8 * size}": f"<f{size}" for size in (2, 4, 8)},
}
_NAMES = {np.dtype(dtype): name for name, dtype in DTYPES.items()}


def pieces_of(tensors: Mapping[str, Array], metadata: Mapping[str, str]) -> list[bytes | memoryview]:
    """The content of a file, to be written one piece after another. Contiguous arrays are viewed, not copied.

    The metadata gain the key "checksums".
    Raises: ArgumentError for a dtype that the format lacks, and for a header that is too long.
    """
    arrays = {name: _little_endian(name, value) for name, value in tensors.items()}
    ordered = sorted(
        arrays.items(), key=lambda item: -item[1].itemsize
    )  # so that each begins at a multiple of its size
    buffers = [array.reshape(-1).view(np.uint8).data for _, array in ordered]
    sums = {
        "metadata": {name: _checksum(text) for name, text in metadata.items()},
        "tensors": {
            name: _checksum_of(arrays[name], buffer)
            for (name, _), buffer in zip(ordered, buffers, strict=True)
        },
    }
    header: dict[str, Any] = {"__metadata__": {**metadata, CHECKSUMS: json.dumps(sums)}}
    start = 0
    for name, array in ordered:
        end = start + array.nbytes
        header[name] = {"dtype": _NAMES[array.dtype], "shape": array.shape, "data_offsets": [start, end]}
        start = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > MOST_HEADER:
        raise ArgumentError(
            f"names, architecture and metadata take {len(text):,} bytes in the file, which holds {MOST_HEADER:,}; "
            f"keep less in net.metadata"
        )
    return [len(text).to_bytes(8, "little") + text, *buffers]


def read_container(path: str | os.PathLike[str]) -> tuple[dict[str, str], dict[str, Array]]:
    """The metadata and the arrays of a file, which are views into one buffer of the file's size.

    Raises: FileError for a file that is missing, cut off, not of this format, or not what its checksums say. Files
    without checksums, as of other programs, are read.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise FileError(
                f"there is no model file {path}"
                if not path.exists()
                else f"{path} is not a file; of a run folder, name the model in it: {path / 'model.safetensors'}"
            )
        metadata, tensors = _read(path)
    except FileError:
        raise
    except (OSError, MemoryError) as error:
        raise FileError(f"could not read {path}: {error or 'it is too large for the memory'}") from error
    except Exception as error:  # what damaged content makes this raise is open-ended
        raise FileError(
            f"{path} is not a readable model file: {str(error)[:300] or repr(error)}; was it cut off, or is it "
            f"another kind?"
        ) from error
    if CHECKSUMS in metadata:
        _check(path, metadata, tensors)
    return metadata, tensors


def _read(path: Path) -> tuple[dict[str, str], dict[str, Array]]:
    """Read a file. Only its header is read before the places of all arrays are known to be right."""
    with open(path, "rb") as file:
        header, metadata = _header(file)
        left = os.fstat(file.fileno()).st_size - file.tell()
        end = 0
        for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
            end = _end_of(name, entry, end)
        if end != left:
            raise ValueError(f"its arrays have {end:,} bytes, and {left:,} follow the header")
        content = np.empty(end, np.uint8)
        if file.readinto(content.data) != end:
            raise ValueError("it became shorter while it was read")
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        view = content[begin:end].view(DTYPES[entry["dtype"]]).reshape(entry["shape"])
        tensors[name] = view if view.flags.aligned else view.copy()
    return metadata, tensors


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of a file alone. Raises OSError for one that is missing, ValueError for what is none."""
    with open(path, "rb") as file:
        return _header(file)[1]


def _header(file: BinaryIO) -> tuple[dict[str, Any], dict[str, str]]:
    """What the arrays of a file are, by their names, and its metadata."""
    size = os.fstat(file.fileno()).st_size - 8
    length = int.from_bytes(file.read(8), "little")
    if length > min(size, MOST_HEADER):
        raise ValueError(f"its header would have {length:,} bytes, and {max(size, 0):,} follow")
    header = json.loads(file.read(length), object_pairs_hook=_without_doubles)
    metadata = header.pop("__metadata__", {})
    if not all(isinstance(each, str) for each in metadata.values()):
        raise ValueError("its metadata are not texts")
    return header, metadata


def _end_of(name: str, entry: Mapping[str, Any], begin: int) -> int:
    """Where an array ends that must begin there. Raises ValueError where its sizes say something else."""
    sizes, (start, end) = entry["shape"], entry["data_offsets"]
    if not all(type(number) is int and number >= 0 for number in (*sizes, start, end)):
        raise ValueError(f"sizes and places of {name!r} are not whole numbers")
    if start != begin or end - start != math.prod(sizes) * np.dtype(DTYPES[entry["dtype"]]).itemsize:
        raise ValueError(f"{name!r} does not stand where its sizes say")
    return int(end)


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in its header")
    return found


def _check(path: Path, metadata: Mapping[str, str], tensors: Mapping[str, Array]) -> None:
    """Raise FileError unless texts and arrays are those that were saved."""
    try:
        sums = json.loads(metadata[CHECKSUMS])
        texts, arrays = dict(sums["metadata"]), dict(sums["tensors"])
    except Exception as error:  # as above
        raise FileError(f"{path} is damaged: its checksums cannot be read ({error!r}); use a copy") from error
    if odd := sorted((arrays.keys() ^ tensors.keys()) | (texts.keys() - metadata.keys())):
        raise FileError(
            f"{path} is damaged: {odd[0][:80]!r} is not both in the file and among its checksums; use a copy"
        )
    found = {name: _checksum(metadata[name]) for name in texts}
    found_arrays = {
        name: _checksum_of(each, each.reshape(-1).view(np.uint8).data) for name, each in tensors.items()
    }
    for wanted, came in ((texts, found), (arrays, found_arrays)):
        for name, checksum in came.items():
            if checksum != wanted[name]:
                raise FileError(
                    f"{path} is damaged: the content of {name[:80]!r} is not what was saved (its checksum is "
                    f"{checksum}, not {str(wanted[name])[:8]}); use a copy"
                )


def _checksum(text: str) -> str:
    return f"{zlib.crc32(text.encode('utf-8', 'surrogatepass')):08x}"


def _checksum_of(array: Array, content: memoryview) -> str:
    """Of the content of an array, begun with its dtype and shape: "F32 [4, 3]"."""
    about = f"{_NAMES[array.dtype]} {list(array.shape)}"
    return f"{zlib.crc32(content, zlib.crc32(about.encode())):08x}"


def _little_endian(name: str, value: Array) -> Array:
    array = np.asarray(value, value.dtype.newbyteorder("<"), order="C")
    if array.dtype not in _NAMES:
        raise ArgumentError(f"{name} is {value.dtype}, which a safetensors file cannot hold; make it float64")
    return array
