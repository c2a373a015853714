"""Compiles the C files of this folder into the library. hatch_build.py uses it; no wheel contains it.

The compiler is the system's ($CC, cc, gcc, clang: the first that works), else that of the `ziglang` wheel.

Environment variables:
    CHAINRULE_NATIVE_COMPILER   zig: take ziglang, even where the system has a compiler
    CHAINRULE_CFLAGS            more flags for every compilation, such as -fsanitize=address

The build loads this file by its path, so it needs nothing but the standard library.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

# With -std=c11, gcc contracts nothing and clang does: said for both, so that results have the same bits.
FLAGS = (
    "-std=c11",
    "-O3",
    "-g0",
    "-fvisibility=hidden",
    "-fno-math-errno",
    "-ffp-contract=off",
    "-Wno-psabi",
)

# The levels of x86-64 by their single features: zig spells the names of the levels differently from gcc.
V2 = ("-mssse3", "-msse4.1", "-msse4.2", "-mpopcnt", "-mcx16")
V3 = (*V2, "-mavx", "-mavx2", "-mfma", "-mf16c", "-mbmi", "-mbmi2", "-mlzcnt", "-mmovbe")

# Where ziglang has wheels, and what zig calls the platform. Without a target, zig tunes for the building machine.
ZIG_TARGETS = {
    ("Linux", "x86_64"): "x86_64-linux-gnu.2.17",
    ("Linux", "aarch64"): "aarch64-linux-gnu.2.17",
    ("Darwin", "x86_64"): "x86_64-macos",
    ("Darwin", "arm64"): "aarch64-macos",
    ("Windows", "AMD64"): "x86_64-windows-gnu",
}

# Vector types are an extension of gcc and clang: a compiler without them is of no use here.
TRIAL = "typedef float four __attribute__((vector_size(16)));\nfour twice(four x) { return x + x; }\n"

Command = tuple[str, ...]


class BuildError(Exception):
    """The library cannot be built: the reason in one sentence, and what the compiler printed."""

    def __init__(self, reason: str, output: str = "") -> None:
        super().__init__(f"{reason}\n{output}".rstrip())
        self.reason = reason
        self.output = output


@dataclass(frozen=True)
class Target:
    """The platform that the library is for, by the names that Python's `platform` has for it."""

    system: str
    machine: str

    @classmethod
    def here(cls) -> Target:
        return cls(platform.system(), platform.machine())

    @property
    def library(self) -> str:
        return "_machine.dll" if self.system == "Windows" else "_machine.so"

    @property
    def flags(self) -> Command:
        return FLAGS if self.system == "Windows" else (*FLAGS, "-fPIC")

    @property
    def link_flags(self) -> Command:
        return () if self.system == "Windows" else ("-lm",)

    @property
    def variants(self) -> Mapping[str, Command]:
        """The forms of the kernels, among which the machine chooses when it is loaded, and the flags of each."""
        return {"v2": V2, "v3": V3} if self.machine in ("x86_64", "AMD64") else {"base": ()}

    @property
    def zig(self) -> str | None:
        """What zig calls it; None where ziglang has no wheel."""
        name = ZIG_TARGETS.get((self.system, self.machine))
        if name and self.system == "Linux" and platform.libc_ver()[0] != "glibc":
            return name.replace("gnu.2.17", "musl")
        return name


# Compilers ------------------------------------------------------------------------------------------------------


def zig_is_forced() -> bool:
    """Whether CHAINRULE_NATIVE_COMPILER=zig."""
    said = os.environ.get("CHAINRULE_NATIVE_COMPILER", "").strip().lower()
    if said not in ("", "zig"):
        raise ValueError(
            f"CHAINRULE_NATIVE_COMPILER={said}: expected zig; name a compiler of the system by CC"
        )
    return said == "zig"


def zig_is_needed() -> bool:
    """Whether only ziglang will make the library here."""
    return Target.here().zig is not None and (zig_is_forced() or system_compiler()[0] is None)


def chosen_compiler() -> Command:
    """The compiler that makes the library, or BuildError."""
    compiler, reasons = (None, []) if zig_is_forced() else system_compiler()
    if compiler is not None:
        return compiler
    if importlib.util.find_spec("ziglang") is None:
        raise BuildError("; ".join(["no C compiler works here", *reasons, "ziglang is not installed"]))
    return zig_compiler(Target.here())


def system_compiler() -> tuple[Command | None, list[str]]:
    """The first compiler of the system that works, and why those before it don't."""
    reasons: list[str] = []
    for command in filter(None, [words_of("CC"), ("cc",), ("gcc",), ("clang",)]):
        try:
            try_out(command)
            return command, reasons
        except BuildError as error:
            reasons.append(error.reason)
    return None, reasons


def zig_compiler(target: Target) -> Command:
    """zig for the platform."""
    return (sys.executable, "-m", "ziglang", "cc", *(("-target", target.zig) if target.zig else ()))


def try_out(compiler: Command) -> None:
    """Make a library of one line, or BuildError: that a compiler is there doesn't say that it works."""
    target = Target.here()
    with tempfile.TemporaryDirectory(prefix="chainrule-", ignore_cleanup_errors=True) as folder:
        Path(folder, "trial.c").write_text(TRIAL, encoding="utf-8")
        made = "-shared", "trial.c", "-o", target.library
        run([*compiler, *target.flags, *made, *target.link_flags], folder, folder)


def version_of(compiler: Command, scratch: Path) -> str:
    """The first line that the compiler says of its version."""
    return run([*compiler, "--version"], scratch, scratch).partition("\n")[0].strip()


def words_of(variable: str) -> Command:
    """The words of an environment variable, as a shell would split them."""
    return tuple(shlex.split(os.environ.get(variable, ""), posix=os.name == "posix"))


# Compiling ------------------------------------------------------------------------------------------------------


def compile_library(compiler: Command, sources: Path, library: Path, target: Target) -> None:
    """Compile the kernels for each variant and number type, side by side, and link them with the machine."""
    scratch = library.parent
    flags = *target.flags, *words_of("CHAINRULE_CFLAGS")

    def compiled(name: str, source: str, *more: str) -> str:
        made = str(scratch / f"{name}.o")
        run([*compiler, *flags, *more, "-c", source, "-o", made], sources, scratch)
        return made

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        waiting = [pool.submit(compiled, "machine", "machine.c")]
        for variant, features in target.variants.items():
            for bits in (32, 64):
                more = *features, f"-DVARIANT={variant}", f"-DREAL_BITS={bits}"
                waiting.append(pool.submit(compiled, f"kernels_{variant}_{bits}", "kernels.c", *more))
        objects = [each.result() for each in waiting]
    made = "-shared", *objects, "-o", str(library)
    run([*compiler, *flags, *made, *target.link_flags], sources, scratch)


def run(command: list[str], folder: Path | str, scratch: Path | str) -> str:
    """Run a compiler in `folder`; what it prints, or BuildError. zig keeps 50 MB of its own in `scratch`."""
    zig = dict.fromkeys(("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"), str(Path(scratch, "zig")))
    name = "ziglang" if "ziglang" in command else command[0]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**zig, **os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=600,
        )
    except FileNotFoundError:
        raise BuildError(f"{name} was not found") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"{name}: {error}") from None
    if done.returncode:
        raise BuildError(f"{name} failed: {telling_line(done.stdout, done.returncode)}", done.stdout[-4000:])
    return done.stdout


def telling_line(output: str, status: int) -> str:
    """The line of a compiler's output that says most."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines or [f"exit status {status}"])[0][:200]
