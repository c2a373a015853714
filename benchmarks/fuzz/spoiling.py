"""What spoils a valid file: small changes, each drawn from a seeded generator."""

from __future__ import annotations

import gzip
import io
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, TypeVar

from fuzz.text_files import Rng, one

Spoiler: TypeAlias = Callable[[bytes, Rng], bytes]
Folder: TypeAlias = dict[str, bytes]
"""The files of a folder, by their path in it."""
Content = TypeVar("Content", bytes, Folder)

TOKENS = (
    *(b",", b";", b"\t", b"|", b" ", b'"', b"'", b"\0", b"\n", b"\r", b"\r\n", b"\\", b"#", b"\xef\xbb\xbf"),
    *(b"\xff\xfe", b"\xfe\xff", b"\xff", b"\xc3", b"\x1a", b"1" * 400, b"9" * 20, b"1e999", b"-inf", b"nan"),
    *(
        b"0x",
        b"1_0",
        b"$",
        b"%",
        b"(",
        b")",
        b"1,234",
        b"1.2.3",
        b"12/13/14",
        b"sep=;\n",
        b'"' * 1001,
        b"," * 1001,
    ),
    *(
        b"x" * 200_000,
        b"1" * 200_000,
        "\u202e\u0085\u2028".encode(),
        b"\xed\xa0\x80",
        b"2023-99-99",
        b"=1+1",
        b"\n" * 999,
    ),
)
CHANGES = (0, *[1] * 11, *[2] * 4, 3, 3, 4, 4)
EXTREME = (
    0,
    1,
    2,
    0x7F,
    0xFF,
    0x7FFF,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    0x7FFFFFFFFFFFFFFF,
    2**64 - 1,
)
DESCRS = (
    b"<f8",
    b"|O",
    b"<U1",
    b"<U9999999",
    b"|S99999",
    b"|V8",
    b"|b1",
    b"<M8[s]",
    b"<c16",
    b">i2",
    b"<f16",
    b"<f3",
)
SIZES = (
    b"0",
    b"1",
    b"-1",
    b"True",
    b"99999999999",
    b"1099511627776",
    b"1" * 400,
    b"2.0",
    b"None",
    b"(1,)",
    b"100001",
)


def spoiled(content: Content, spoilers: Sequence[Callable[[Content, Rng], Content]], rng: Rng) -> Content:
    """The content with no, one or a few of these changes."""
    for _ in range(one(rng, CHANGES)):
        content = one(rng, spoilers)(content, rng)
    return content


def in_folder(by_ending: Mapping[str, Sequence[Spoiler]]) -> Callable[[Folder, Rng], Folder]:
    """What spoils one file of a folder, by the ending of its name; now and then the file is missing."""

    def change(folder: Folder, rng: Rng) -> Folder:
        names = [name for name in folder if name.endswith(tuple(by_ending))]
        if not names:
            return folder
        name = one(rng, names)
        if rng.random() < 0.02:
            return {other: content for other, content in folder.items() if other != name}
        spoilers = next(spoilers for ending, spoilers in by_ending.items() if name.endswith(ending))
        return {**folder, name: one(rng, spoilers)(folder[name], rng)}

    return change


def flip(content: bytes, rng: Rng) -> bytes:
    """One bit is another, or in a few places."""
    changed = bytearray(content)
    for _ in range(rng.integers(1, 5) if changed else 0):
        changed[rng.integers(len(changed))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def cut(content: bytes, rng: Rng) -> bytes:
    """The end is missing, or the start."""
    place = _place(content, rng)
    return content[:place] if rng.random() < 0.8 else content[place:]


def double(content: bytes, rng: Rng) -> bytes:
    """A part is there twice, or a hundred times where it is short."""
    start, end = sorted((_place(content, rng), _place(content, rng)))
    times = 100 if end - start < 100 and rng.random() < 0.3 else 1
    return content[:end] + content[start:end] * times + content[end:]


def remove(content: bytes, rng: Rng) -> bytes:
    """A part is missing."""
    start = _place(content, rng)
    return content[:start] + content[start + int(rng.integers(1, 20)) :]


def swap(content: bytes, rng: Rng) -> bytes:
    """Two parts have changed places."""
    a, b, c = sorted(_place(content, rng) for _ in range(3))
    return content[:a] + content[b:c] + content[a:b] + content[c:]


def insert(content: bytes, rng: Rng) -> bytes:
    """Something that means something to readers of text stands where it should not."""
    places = int(rng.integers(1, 4))
    for _ in range(places):
        place = _place(content, rng)
        content = content[:place] + one(rng, TOKENS) + content[place:]
    return content


def extreme(content: bytes, rng: Rng) -> bytes:
    """A binary number is an extreme one."""
    size, code = one(rng, ((1, "B"), (2, "H"), (4, "I"), (8, "Q")))
    number = one(rng, EXTREME) & ((1 << 8 * size) - 1)
    place = _place(content, rng)
    packed = struct.pack(one(rng, "<>") + code, number)
    return content[:place] + packed + content[place + size :]


def swap_lines(content: bytes, rng: Rng) -> bytes:
    """The header, or a line, stands in another place."""
    lines = content.split(b"\n")
    a, b = 0 if rng.random() < 0.5 else rng.integers(len(lines)), rng.integers(len(lines))
    lines[a], lines[b] = lines[b], lines[a]
    return b"\n".join(lines)


def change_cell(content: bytes, rng: Rng) -> bytes:
    """A cell of a line holds something else."""
    separator = max((b",", b";", b"\t", b"|"), key=content.count)
    lines = content.split(b"\n")
    line = rng.integers(len(lines))
    cells = lines[line].split(separator)
    cells[rng.integers(len(cells))] = one(rng, TOKENS)
    lines[line] = separator.join(cells)
    return b"\n".join(lines)


def change_descr(content: bytes, rng: Rng) -> bytes:
    """The header of an array names another dtype."""
    return re.sub(rb"'descr': '[^']*'", b"'descr': '" + one(rng, DESCRS) + b"'", content, count=1)


def change_shape(content: bytes, rng: Rng) -> bytes:
    """The header of an array names another shape; its length is mostly kept."""
    sizes = [one(rng, SIZES) for _ in range(rng.integers(0, 4))]
    shape = b"'shape': (" + b"".join(size + b", " for size in sizes) + b"), }"
    found = re.search(rb"'shape': \([^)]*\), \} *", content)
    if found is None:
        return content
    padded = shape.ljust(len(found[0])) if rng.random() < 0.9 else shape
    return content[: found.start()] + padded + content[found.end() :]


def change_directory(content: bytes, rng: Rng) -> bytes:
    """A number in one of the headers of an archive is an extreme one."""
    headers = [found.start() for found in re.finditer(rb"PK(\x01\x02|\x03\x04|\x05\x06)", content)]
    if not headers:
        return content
    place = one(rng, headers) + int(rng.integers(4, 46))
    return content[:place] + struct.pack("<I", one(rng, EXTREME) & 0xFFFFFFFF) + content[place + 4 :]


def unzipped(spoilers: Sequence[Spoiler]) -> Spoiler:
    """What spoils the content of a gzip file, whose checksum is right again then."""

    def change(content: bytes, rng: Rng) -> bytes:
        try:
            plain = gzip.decompress(content)
        except (OSError, EOFError, zlib.error):
            return content
        return gzip.compress(spoiled(plain, spoilers, rng), 1, mtime=0)

    return change


def member(spoilers: Sequence[Spoiler]) -> Spoiler:
    """The same of one file in an archive."""

    def change(content: bytes, rng: Rng) -> bytes:
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                files = [(info, archive.read(info)) for info in archive.infolist()]
        except Exception:  # an archive that is spoilt already
            return content
        chosen, written = rng.integers(max(len(files), 1)), io.BytesIO()
        with zipfile.ZipFile(written, "w") as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of two files with one name
            for k, (info, data) in enumerate(files):
                changed = spoiled(data, spoilers, rng) if k == chosen else data
                archive.writestr(info.filename, changed, info.compress_type)
        return written.getvalue()

    return change


def _place(content: bytes, rng: Rng) -> int:
    """A place in the content; every other one is near its start, where headers are."""
    size = len(content) if rng.random() < 0.5 else min(len(content), 200)
    return int(rng.integers(size + 1))


ANYTHING: tuple[Spoiler, ...] = (flip, cut, double, remove, swap, insert, extreme)
TEXT: tuple[Spoiler, ...] = (insert, swap_lines, change_cell, change_cell)
ARRAYS: tuple[Spoiler, ...] = (change_descr, change_shape)
