"""The model that a command is given: a model file, or the run folder that holds one."""

from __future__ import annotations

from pathlib import Path

from chainrule.errors import FileError, warn
from chainrule.network import Network
from chainrule.saving.run_parts import model_in, read_model
from chainrule.saving.runs import MODEL

SHOWN = 3


def load_model(path: Path, *, allow_nan: bool = False) -> Network:
    """The model in a file or in a run folder; of a run that has not ended, that of its checkpoint, with a warning.

    Raises: FileError where there is none, as `load` does.
    """
    file = _model_file(path)
    network, _, unfinished = read_model(file, allow_nan=allow_nan)
    if unfinished:
        warn(f"{file} is {unfinished}")
    return network


def _model_file(path: Path) -> Path:
    if not path.is_dir():
        return path
    if (found := model_in(path)) is not None:
        return found
    here = sorted(path.glob("*.safetensors"))
    runs = sorted(each.parent for each in path.glob(f"*/{MODEL}"))
    remedy = "name a run folder, as chainrule train makes them, or a model file"
    if there := here or runs:
        what = "a model file" if here else "a run folder"
        remedy = f"name {what} in it: " + ", ".join(map(str, there[:SHOWN]))
        remedy += f", ... ({len(there)} in all)" if len(there) > SHOWN else ""
    raise FileError(f"{path} is a folder without {MODEL}; {remedy}")
