"""Pictures: graphs with what flowed through them."""

from chainrule.drawing.drawing import Drawing, draw

__all__ = ["Drawing", "draw"]
