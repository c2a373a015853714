"""Blocks of a fixed size, the last one partial or padded, as kernels work through an axis."""

# mypy: ignore-errors

import torch

TILE = 8


def tiles(length):
    """Slices of 8; the last one may be shorter."""
    return [slice(start, min(start + TILE, length)) for start in range(0, length, TILE)]


def padded(rows):
    """The last axis filled up with zeros to a power of two, as a block is loaded."""
    block = 1 << (rows.shape[-1] - 1).bit_length()
    return torch.nn.functional.pad(rows, (0, block - rows.shape[-1]))


def inside(block, length):
    """Which columns of a block are no padding."""
    return torch.arange(block.shape[-1], device=block.device) < length


def later(rows, columns, by=0):
    """True where a column's position is later than its row's, by more than so many."""
    row = torch.arange(rows.start, rows.stop)[:, None]
    return torch.arange(columns.start, columns.stop) > row + by
