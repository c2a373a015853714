"""The build hook: makes the C library when chainrule is installed or a wheel is built.

Where the library cannot be made, the build succeeds without it, and programs run on NumPy. pip shows nothing of a
build that succeeds, so the reason goes into a record beside the package, from where chainrule.native tells it.

CHAINRULE_NATIVE=off builds no library; CHAINRULE_NATIVE=require fails where it cannot be built. build.py names the
variables that choose compiler and flags.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NATIVE = Path(__file__).parent / "src" / "chainrule" / "native"


def load(name: str) -> ModuleType:
    """A module of NATIVE by its path: `import chainrule` would need NumPy, which a build does not have."""
    spec = importlib.util.spec_from_file_location(f"chainrule_native_{name}", NATIVE / f"{name}.py")
    if spec is None or spec.loader is None:
        raise ImportError(f"could not load {NATIVE / name}.py")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if TYPE_CHECKING:
    from chainrule.native import build, record
else:
    build, record = load("build"), load("record")


class CustomBuildHook(BuildHookInterface[Any]):
    """What hatchling calls: `dependencies` before the build, `initialize` at its start, `finalize` at its end."""

    def dependencies(self) -> list[str]:
        """ziglang, where the library is wanted and no compiler of the system works."""
        return ["ziglang>=0.13"] if record.wanted() != "off" and build.zig_is_needed() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make the library and its record, and put them into the wheel; beside the sources, if it is editable."""
        self.scratch = tempfile.TemporaryDirectory(prefix="chainrule-", ignore_cleanup_errors=True)
        try:
            made = self.make(Path(self.scratch.name))
            if version == "editable":
                put_beside_sources(made)
            else:
                put_into_wheel(made, build_data)
        except BaseException:
            self.scratch.cleanup()
            raise

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the scratch folder, which had to last until the wheel was written."""
        self.scratch.cleanup()

    def make(self, scratch: Path) -> list[Path]:
        """The library and its record, or only the record, of why there is no library."""
        try:
            library, about = make_library(scratch)
        except build.BuildError as error:
            if record.wanted() == "require":
                raise
            self.app.display_warning(f"The C library was not built, so programs will run on NumPy: {error}")
            return [record.write(scratch, {"library": None, "reason": error.reason, "output": error.output})]
        return [library, record.write(scratch, about)]


def make_library(scratch: Path) -> tuple[Path, dict[str, Any]]:
    """The library, in the scratch folder, and its record. Raises BuildError."""
    if record.wanted() == "off":
        raise build.BuildError("CHAINRULE_NATIVE=off was set when chainrule was installed")
    target, compiler, sources = build.Target.here(), build.chosen_compiler(), record.digest(NATIVE)
    library = scratch / target.library
    build.compile_library(compiler, NATIVE, library, target)
    about = {
        "library": library.name,
        "sources": sources,
        "compiler": shlex.join(compiler).replace(sys.executable, "python"),
        "version": build.version_of(compiler, scratch),
        "flags": shlex.join(build.words_of("CHAINRULE_CFLAGS")),
    }
    return library, about


def put_into_wheel(made: list[Path], build_data: dict[str, Any]) -> None:
    """Have the files packed. With the library, the wheel is for any Python 3, and for one platform."""
    for path in made:
        build_data["force_include"][str(path)] = f"chainrule/native/{path.name}"
    if len(made) > 1:
        build_data |= {"pure_python": False, "tag": f"py3-none-{platform_tag()}"}


def put_beside_sources(made: list[Path]) -> None:
    """Put the files in place of older ones. A program that is running keeps what it has loaded."""
    for old in (NATIVE / record.RECORD, *NATIVE.glob("_machine.*")):
        old.unlink(missing_ok=True)
    for path in made:
        part = NATIVE / f"{path.name}.part"
        shutil.copyfile(path, part)
        os.replace(part, NATIVE / path.name)


def platform_tag() -> str:
    """This machine's own platform: a manylinux tag would promise that what it compiles runs on older systems."""
    from packaging.tags import sys_tags

    platforms = (tag.platform for tag in sys_tags())
    return next(each for each in platforms if not each.startswith(("manylinux", "musllinux")))


def build_here() -> None:
    """Make the library beside the sources, as an editable install does: `python hatch_build.py`, after a change."""
    with tempfile.TemporaryDirectory(prefix="chainrule-") as folder:
        library, about = make_library(Path(folder))
        put_beside_sources([library, record.write(Path(folder), about)])


if __name__ == "__main__":
    build_here()
