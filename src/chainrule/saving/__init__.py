"""Files: models in safetensors."""

from chainrule.saving.model import load, save

__all__ = ["load", "save"]
