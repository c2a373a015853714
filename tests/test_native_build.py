"""The C library: how the build makes it, what it does where it cannot, and how chainrule finds it."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

import chainrule as cr
from chainrule import native
from chainrule.native import build, record
from chainrule.native.build import Target

ROOT = Path(__file__).parents[1]
MACHINE = """
#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif
int kernels_one(void);
EXPORT int chainrule_two(void) { return kernels_one() + 1; }
"""
KERNELS = """
#if REAL_BITS == 32 && (defined __AVX2__ || !defined __x86_64__)
int kernels_one(void) { return 1; }
#endif
"""
VARIABLES = ("CHAINRULE_NATIVE", "CHAINRULE_NATIVE_COMPILER", "CHAINRULE_CFLAGS", "CC")

posix = pytest.mark.skipif(os.name != "posix", reason="the compilers of the test are shell scripts")


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Without the variables that a test run may set, and with nothing remembered from test to test."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    forget()
    yield
    forget()


def forget() -> None:
    """As in a new process. What was loaded stays loaded."""
    native._library.cache_clear()
    native._load.cache_clear()


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where builds put their scratch folders."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on the PATH; and there is no ziglang."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setitem(sys.modules, "ziglang", None)
    return folder


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with a package that holds nothing but a small library, quick to compile."""
    root = tmp_path / "checkout"
    folder = root / "src" / "chainrule" / "native"
    folder.mkdir(parents=True)
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, root)
    for name in ("__init__.py", "build.py", "record.py"):
        shutil.copy(ROOT / "src" / "chainrule" / "native" / name, folder)
    (root / "src" / "chainrule" / "__init__.py").touch()
    (folder / "kernels.c").write_text(KERNELS)
    (folder / "machine.c").write_text(MACHINE)
    return root


def compiler(path: Path, commands: str) -> Path:
    """A compiler that does what the shell's commands say."""
    path.write_text(f"#!/bin/sh\n{commands}\n")
    path.chmod(0o755)
    return path


def wheel_of(root: Path, version: str = "standard") -> Path:
    """The wheel that hatchling builds, by our hook."""
    return Path(next(WheelBuilder(str(root)).build(directory=str(root / "dist"), versions=[version])))


def content_of(wheel: Path) -> tuple[set[str], dict[str, Any]]:
    """The names in the wheel's folder of the library, and the record."""
    with zipfile.ZipFile(wheel) as file:
        names = {Path(name).name for name in file.namelist() if "/native/" in name}
        return names, json.loads(file.read(f"chainrule/native/{record.RECORD}"))


def edited(folder: Path) -> None:
    with (folder / "machine.c").open("a") as file:
        file.write("// changed\n")


# Which compiler --------------------------------------------------------------------------------------------------


@posix
def test_the_first_compiler_that_works_is_taken(bin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler(bin_folder / "gcc", "echo 'note: this is old'; echo 'gcc: error: no room'; exit 1")
    compiler(bin_folder / "clang", "exit 0")
    reasons = ["cc was not found", "gcc failed: gcc: error: no room"]
    assert build.system_compiler() == (("clang",), reasons)
    own = compiler(bin_folder / "own compiler", "exit 0")
    monkeypatch.setenv("CC", f"'{own}' -m64")
    assert build.chosen_compiler() == (str(own), "-m64")
    monkeypatch.setenv("CC", "missing")
    assert build.chosen_compiler() == ("clang",)


@posix
def test_ziglang_is_asked_for_only_where_it_is_needed(
    checkout: Path, bin_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked_for() -> bool:
        return any("ziglang" in each for each in WheelBuilder(str(checkout)).config.dependencies)

    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert asked_for()
    monkeypatch.setattr("platform.machine", lambda: "sparc64")
    assert not asked_for(), "it has no wheel there, so that pip would fail"
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    compiler(bin_folder / "cc", "exit 0")
    assert not asked_for()
    monkeypatch.setenv("CHAINRULE_NATIVE_COMPILER", "zig")
    assert asked_for()
    monkeypatch.setenv("CHAINRULE_NATIVE", "off")
    assert not asked_for()


def test_what_is_not_known_is_an_error(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAINRULE_NATIVE_COMPILER", "tcc")
    with pytest.raises(ValueError, match="=tcc: expected zig; name a compiler of the system by CC"):
        wheel_of(checkout)
    monkeypatch.setenv("CHAINRULE_NATIVE", "of")
    with pytest.raises(ValueError, match="=of: expected auto, off or require"):
        wheel_of(checkout)
    with pytest.raises(cr.errors.ArgumentError, match="=of: expected auto, off or require"):
        native.library()


@pytest.mark.parametrize(
    ("system", "machine", "libc", "library", "variants", "zig"),
    [
        ("Linux", "x86_64", "glibc", "_machine.so", ["v2", "v3"], "x86_64-linux-gnu.2.17"),
        ("Linux", "aarch64", "", "_machine.so", ["base"], "aarch64-linux-musl"),
        ("Linux", "riscv64", "glibc", "_machine.so", ["base"], None),
        ("Darwin", "arm64", "", "_machine.so", ["base"], "aarch64-macos"),
        ("Windows", "AMD64", "", "_machine.dll", ["v2", "v3"], "x86_64-windows-gnu"),
    ],
)
def test_platforms(
    system: str,
    machine: str,
    libc: str,
    library: str,
    variants: list[str],
    zig: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("platform.libc_ver", lambda: (libc, ""))
    target = Target(system, machine)
    assert (target.library, list(target.variants), target.zig) == (library, variants, zig)
    assert ("-fPIC" in target.flags) == ("-lm" in target.link_flags) == (system != "Windows")
    assert build.zig_compiler(target)[1:] == ("-m", "ziglang", "cc", *(("-target", zig) if zig else ()))


@posix
def test_every_variant_is_compiled_for_both_number_types(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    fake = compiler(tmp_path / "fake", f'echo "$@ in $ZIG_GLOBAL_CACHE_DIR" >> {log}')
    monkeypatch.setenv("CHAINRULE_CFLAGS", "-O1 -g")
    build.compile_library((str(fake),), tmp_path, tmp_path / "made.so", Target("Linux", "x86_64"))
    *compiled, linked = log.read_text().splitlines()
    assert all(" -ffp-contract=off -Wno-psabi -fPIC -O1 -g " in line for line in [*compiled, linked])
    assert all(line.endswith(f" in {tmp_path / 'zig'}") for line in compiled)
    assert sum("-c machine.c" in line for line in compiled) == 1
    for variant, avx in (("v2", False), ("v3", True)):
        for bits in (32, 64):
            (line,) = (
                each for each in compiled if f"-DVARIANT={variant} -DREAL_BITS={bits} -c kernels.c" in each
            )
            assert ("-mavx2" in line) == avx
    assert len(compiled) == linked.count(".o ") == 5
    assert f" -o {tmp_path / 'made.so'} -lm " in linked


# What is built ---------------------------------------------------------------------------------------------------


def test_a_wheel_with_the_library(checkout: Path, scratch: Path) -> None:
    folder = checkout / "src" / "chainrule" / "native"
    (folder / "_machine.so").write_text("left by an editable install")
    wheel = wheel_of(checkout)
    assert wheel.name.startswith("chainrule-")
    assert "-py3-none-" in wheel.name
    assert not wheel.name.endswith("-any.whl")
    names, kept = content_of(wheel)
    assert names == {"__init__.py", "record.py", "_build.json", kept["library"]}
    assert kept["sources"] == record.digest(folder)
    assert kept["version"]
    with zipfile.ZipFile(wheel) as file:
        assert len(file.read(f"chainrule/native/{kept['library']}")) > 1000
    assert not list(scratch.iterdir())


def off(tmp_path: Path) -> dict[str, str]:
    return {"CHAINRULE_NATIVE": "off"}


def missing(tmp_path: Path) -> dict[str, str]:
    return {"PATH": str(tmp_path)}


def failing(tmp_path: Path) -> dict[str, str]:
    """A compiler that takes the trial, and not the sources."""
    commands = 'case "$*" in *kernels*) echo "kernels.c:7: error: no such thing"; exit 1;; esac'
    return {"CC": str(compiler(tmp_path / "failing", commands))}


@posix
@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (off, "CHAINRULE_NATIVE=off was set when chainrule was installed"),
        (
            missing,
            "no C compiler works here; cc was not found; gcc was not found; clang was not found; ziglang",
        ),
        (failing, "failing failed: kernels.c:7: error: no such thing"),
    ],
)
def test_without_the_library_the_wheel_is_pure_and_says_why(
    prepare: Callable[[Path], dict[str, str]],
    reason: str,
    checkout: Path,
    scratch: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "ziglang", None)
    for name, value in prepare(tmp_path).items():
        monkeypatch.setenv(name, value)
    wheel = wheel_of(checkout)
    assert wheel.name.endswith("-py3-none-any.whl")
    names, kept = content_of(wheel)
    assert names == {"__init__.py", "record.py", "_build.json"}
    assert kept["library"] is None
    assert reason in kept["reason"]
    assert ("no such thing" in kept["output"]) == (prepare is failing)
    assert reason in capsys.readouterr().err
    if prepare is not off:
        monkeypatch.setenv("CHAINRULE_NATIVE", "require")
        with pytest.raises(Exception, match=reason):
            wheel_of(checkout)
    assert not list(scratch.iterdir())


def names_in(folder: Path) -> set[str]:
    """The files of a folder, without the one where Python may keep bytecode."""
    return {path.name for path in folder.iterdir()} - {"__pycache__"}


@posix
def test_an_editable_install_puts_the_library_beside_the_sources(
    checkout: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = checkout / "src" / "chainrule" / "native"
    before = names_in(folder)
    wheel = wheel_of(checkout, "editable")
    assert wheel.name.endswith("-py3-none-any.whl")
    kept = record.read(folder)
    assert names_in(folder) - before == {record.RECORD, kept["library"]}
    monkeypatch.setattr(native, "FOLDER", folder)
    library = native.library()
    assert library is not None
    assert library.chainrule_two() == 2
    monkeypatch.setenv("CHAINRULE_NATIVE", "off")
    wheel_of(checkout, "editable")
    assert names_in(folder) - before == {record.RECORD}
    assert not list(scratch.iterdir())


def test_the_source_archive_holds_what_a_build_needs(checkout: Path) -> None:
    wheel_of(checkout, "editable")
    sdist = next(SdistBuilder(str(checkout)).build(directory=str(checkout / "dist"), versions=["standard"]))
    with tarfile.open(sdist) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
    folder = "src/chainrule/native"
    assert {"hatch_build.py", "pyproject.toml", f"{folder}/machine.c", f"{folder}/build.py"} <= names
    assert not {name for name in names if "_machine" in name or "_build.json" in name}


# What chainrule finds --------------------------------------------------------------------------------------------


@pytest.fixture
def installed(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a library that chainrule takes for its own."""
    wheel_of(checkout, "editable")
    folder = checkout / "src" / "chainrule" / "native"
    monkeypatch.setattr(native, "FOLDER", folder)
    return folder


def damaged(folder: Path) -> None:
    (folder / record.read(folder)["library"]).write_text("not a library")


def unrecorded(folder: Path) -> None:
    (folder / record.RECORD).write_text("{")


def unbuilt(folder: Path) -> None:
    record.write(folder, {"library": None, "reason": "cc was not found"})


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (edited, "the library is stale: the C sources have changed after it was built"),
        (damaged, "the library could not be loaded: "),
        (unrecorded, "_build.json is missing or damaged"),
        (unbuilt, "the library was not built: cc was not found"),
    ],
)
def test_without_a_library_the_log_says_why_once(
    harm: Callable[[Path], None],
    reason: str,
    installed: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    harm(installed)
    assert native.library() is native.library() is None
    (told,) = caplog.records
    assert (told.name, told.levelno) == ("chainrule", logging.WARNING)
    assert reason in told.getMessage()
    assert f"To build it: pip install -e {installed.parents[2]}" in told.getMessage()
    assert reason in (native.why_not() or "")
    forget()
    monkeypatch.setenv("CHAINRULE_NATIVE", "require")
    with pytest.raises(native.NativeLibraryError, match=f"{reason}.*To build it: pip install -e"):
        native.library()
    forget()
    monkeypatch.setenv("CHAINRULE_NATIVE", "off")
    assert native.library() is None
    assert native.why_not() == "CHAINRULE_NATIVE=off is set"
    assert len(caplog.records) == 1, "what was asked for needs no telling"


def test_the_library_of_a_wheel_has_no_sources_to_be_held_against(
    installed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("machine.c", "kernels.c", "build.py"):
        (installed / name).unlink()
    (installed.parents[2] / "hatch_build.py").unlink()
    assert native.library() is native.library()
    assert native.library() is not None
    assert native.why_not() is None
    assert caplog.records == []
    assert native.remedy() == "pip install --force-reinstall --no-deps --no-cache-dir chainrule"


def fresh(code: str, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A new interpreter's output."""
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES} | variables
    line = [sys.executable, *options, "-c", code]
    return subprocess.run(line, env=environment, capture_output=True, text=True, check=True, timeout=60)


def test_the_import_loads_no_library() -> None:
    code = "import chainrule; from chainrule import native; print(native._load.cache_info().currsize)"
    assert fresh(code).stdout == "0\n"


def test_by_default_the_message_is_seen_and_is_no_warning(tmp_path: Path) -> None:
    code = (
        "import pathlib; from chainrule import native;"
        f"native.FOLDER = pathlib.Path({str(tmp_path)!r}); native.library(); native.library()"
    )
    told = fresh(code, "-W", "error").stderr
    assert told.startswith(
        "Programs run on NumPy, slower than on the C library, since the library was not built"
    )
    assert told.count("\n") == 1


def test_show_versions_says_how_programs_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def shown() -> dict[str, str]:
        cr.show_versions()
        lines = capsys.readouterr().out.splitlines()
        assert len({len(line) - len(line[10:]) for line in lines}) == 1
        return {line[:10].strip(): line[10:] for line in lines}

    monkeypatch.setenv("CHAINRULE_NATIVE", "require")
    found = shown()
    assert list(found)[:5] == ["chainrule", "Python", "NumPy", "platform", "executor"]
    assert found["chainrule"] == cr.__version__
    assert found["executor"] == "machine"
    assert found["variant"] in ("v2", "v3", "base")
    assert found["BLAS"]
    assert int(found["threads"]) >= 1
    monkeypatch.setenv("CHAINRULE_NATIVE", "off")
    found = shown()
    assert found["executor"] == "NumPy: CHAINRULE_NATIVE=off is set"
    assert "variant" not in found
    monkeypatch.setattr(native, "FOLDER", tmp_path)
    monkeypatch.setenv("CHAINRULE_NATIVE", "require")
    forget()
    assert shown()["executor"].startswith("none: CHAINRULE_NATIVE=require expects the C library to run")


def test_the_command_line_shows_the_same() -> None:
    line = [sys.executable, "-m", "chainrule", "--version"]
    shown = subprocess.run(line, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    assert shown[0] == f"chainrule {cr.__version__}"
    assert {"Python", "NumPy", "executor", "BLAS", "threads"} <= {line.split()[0] for line in shown}


# All of it -------------------------------------------------------------------------------------------------------

TRAINING = """
import numpy as np
import chainrule as cr
from chainrule import native

x = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
labels = (x[:, 0] > 0).astype(int)
net = cr.Network(cr.Affine(8), cr.ReLU(), cr.Affine(2), input_shape=3, loss=cr.SoftmaxCrossEntropy(), seed=0)
net.fit(x, labels, iterations=100, batch_size=16, optimizer=cr.SGD(0.5))
print(native.FOLDER)
print(native.library() is not None)
print(net.accuracy(x, labels))
"""


@posix
def test_a_wheel_trains_where_there_is_no_compiler(tmp_path: Path) -> None:
    root, empty = tmp_path / "copy", tmp_path / "empty"
    shutil.copytree(ROOT / "src", root / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, root)
    ours = (*VARIABLES, "PYTHONPATH")
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    line = [
        *pip,
        "wheel",
        "--no-build-isolation",
        "--no-deps",
        "--no-index",
        "--wheel-dir",
        str(tmp_path),
        str(root),
    ]
    quickly = {"CHAINRULE_NATIVE": "require", "CHAINRULE_CFLAGS": "-O0"}  # it is the compiling that is
    subprocess.run(line, env=environment | quickly, check=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    assert "-py3-none-" in wheel.name

    empty.mkdir()
    environment |= {"PATH": str(empty), "CHAINRULE_NATIVE": "require"}
    venv.create(tmp_path / "venv", symlinks=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    line = [*pip, "--python", python, "install", "--no-deps", "--no-index", "--no-compile", str(wheel)]
    subprocess.run(line, env=environment, check=True, timeout=60)
    (site,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    (site / "of_the_tests.pth").write_text(sysconfig.get_path("purelib"))
    line = [python, "-W", "error", "-c", TRAINING]
    done = subprocess.run(
        line, env=environment, cwd=empty, capture_output=True, text=True, check=True, timeout=120
    )
    folder, found, accuracy = done.stdout.split()
    assert Path(folder) == site / "chainrule" / "native"
    assert found == "True"
    assert float(accuracy) > 0.9
