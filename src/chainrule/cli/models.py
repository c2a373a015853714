"""The model that a command is given: a model file, or the run folder that holds one."""

from __future__ import annotations

from pathlib import Path

from chainrule.drawing.report.folder import MODEL
from chainrule.errors import FileError
from chainrule.network import Network
from chainrule.saving import load

SHOWN = 3


def load_model(path: Path, *, allow_nan: bool = False) -> Network:
    """The model in a file or in a run folder. Raises FileError where there is none, as `load` does."""
    return load(_model_file(path), allow_nan=allow_nan)


def _model_file(path: Path) -> Path:
    if not path.is_dir():
        return path
    if (path / MODEL).exists():
        return path / MODEL
    here = sorted(path.glob("*.safetensors"))
    runs = sorted(each.parent for each in path.glob(f"*/{MODEL}"))
    remedy = "name a run folder, as chainrule train makes them, or a model file"
    if found := here or runs:
        what = "a model file" if here else "a run folder"
        remedy = f"name {what} in it: " + ", ".join(map(str, found[:SHOWN]))
        remedy += f", ... ({len(found)} in all)" if len(found) > SHOWN else ""
    raise FileError(f"{path} is a folder without {MODEL}; {remedy}")
