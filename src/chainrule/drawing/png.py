"""PNG: of an SVG, and of a few pixels inside a page."""

from __future__ import annotations

import base64
import io
import re
from functools import cache
from pathlib import Path

import numpy as np

from chainrule.arrays import Array

ZOOM = 2.0  # pixels for each unit, so that small letters are sharp
ENOUGH_PIXELS = 2e6  # a larger picture has fewer for each unit, down to one: drawing takes 0.2 s a million
MOST_PIXELS, LONGEST_SIDE = 60e6, 30_000


def as_png(svg: str) -> bytes:
    """The picture as PNG. A very large one gets fewer pixels for each unit."""
    import resvg_py

    size = re.search(r'width="(\d+)" height="(\d+)"', svg)
    width, height = (float(size[1]), float(size[2])) if size else (1000.0, 1000.0)
    area, longest = max(width * height, 1), max(width, height, 1)
    sharp = max(1.0, min(ZOOM, (ENOUGH_PIXELS / area) ** 0.5))
    zoom = min(sharp, (MOST_PIXELS / area) ** 0.5, LONGEST_SIDE / longest)
    return bytes(resvg_py.svg_to_bytes(svg_string=svg, zoom=zoom, font_files=_fonts()))


def png_url(pixels: Array, colours: Array | None = None) -> str:
    """Bytes of (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA as a data URL.

    With `colours`, (n, 4) bytes of RGBA, the pixels are numbers of colours: (H, W).
    """
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(pixels))
    options = {}
    if colours is not None:
        image.putpalette(colours[:, :3].tobytes())
        options["transparency"] = colours[:, 3].tobytes()
    file = io.BytesIO()
    image.save(file, format="PNG", optimize=True, **options)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


@cache
def _fonts() -> list[str]:
    """The letters that matplotlib brings: they look the same everywhere, also where no font is installed."""
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return [
        str(folder / name) for name in ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSans-Oblique.ttf")
    ]
