"""Templates: what they make of texts, and that all of them, with the files of the pages, come with the package."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from hatchling.builders.wheel import WheelBuilder
from jinja2 import UndefinedError
from PIL import Image

import chainrule
from chainrule.drawing import page
from chainrule.drawing.png import png_url

SOURCE = Path(chainrule.__file__).parent
TEMPLATES = {
    f"{room}/{path.name}"
    for room in ("drawing", "reports")
    for path in (SOURCE / room / "templates").iterdir()
}


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What a template with this text shows of the values."""

    def render(template: str, **values: object) -> str:
        monkeypatch.setattr(page, "_shipped", lambda name, folder: template)
        page._environment.cache_clear()
        try:
            return page.render("reports/of_a_test.html", **values)
        finally:
            page._environment.cache_clear()

    return render


def test_texts_are_escaped_whatever_they_hold(shown: Callable[..., str]) -> None:
    text = "<b title='x'>\"&amp;\x00\ud800\uffff"
    assert shown("{{ each }}", each=text) == "&lt;b title=&#x27;x&#x27;&gt;&quot;&amp;amp;\ufffd\ufffd\ufffd"
    assert shown("{{ each }}", each=text) == page.text(text)
    assert shown("{% macro m(a) %}<i>{{ a }}</i>{% endmacro %}{{ m('<') }}") == "<i>&lt;</i>"
    assert shown("{{ each }}", each=page.as_html("<hr>")) == "<hr>"


def test_a_value_that_is_not_given_is_an_error(shown: Callable[..., str]) -> None:
    with pytest.raises(UndefinedError, match="lead"):
        shown("{{ lead }}")


def test_every_template_is_used() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py"))
    templates = [page._shipped(name, "templates") for name in TEMPLATES]
    named = set(re.findall(r'"((?:drawing|reports)/\w+\.html)"', "\n".join([code, *templates])))
    of_sections = re.findall(r'Section\(\s*"\w+",\s*"[^"]+",\s*"(\w+)"', code)
    assert named | {f"reports/{name}.html" for name in of_sections} == TEMPLATES
    assert all('"safe"' not in each and "| safe" not in each for each in templates)


def test_the_wheel_holds_templates_styles_and_scripts() -> None:
    root = SOURCE.parents[1]
    builder = WheelBuilder(str(root))
    held = {file.distribution_path for file in builder.recurse_included_files()}
    wanted = {
        f"chainrule/{path.relative_to(SOURCE).as_posix()}"
        for folder in ("templates", "assets")
        for room in ("drawing", "reports")
        for path in (SOURCE / room / folder).rglob("*")
        if path.is_file()
    }
    assert len(wanted) > 40
    assert wanted <= held
    assert resources.files("chainrule").joinpath("reports/assets/vendor/uPlot.LICENSE").is_file()


@pytest.mark.parametrize("shape", [(3, 5), (3, 5, 3), (3, 5, 4)])
def test_pictures_are_the_pixels(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    np.testing.assert_array_equal(np.array(read(png_url(pixels))), pixels)


def test_pictures_of_numbered_colours() -> None:
    random = np.random.default_rng(0)
    colours = random.integers(0, 256, (33, 4)).astype(np.uint8)
    numbers = random.integers(0, 33, (4, 6)).astype(np.uint8)
    np.testing.assert_array_equal(np.array(read(png_url(numbers, colours)).convert("RGBA")), colours[numbers])


def read(url: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))
