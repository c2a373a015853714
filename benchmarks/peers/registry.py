"""Which peers there are, and in which variants each is timed. Loads none of them."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

from peers.base import Peer


@dataclass(frozen=True)
class Entry:
    """A peer's name in tables, its file, and its variants."""

    label: str
    module: str
    training: tuple[str, ...]
    predicting: tuple[str, ...]
    keeps_losses: tuple[str, ...] = ()
    """The variants that do the whole job, in which the loss of every iteration is kept."""
    fitting: tuple[str, ...] = ()
    """The variants in which a whole fit of a new network is timed."""
    packages: tuple[str, ...] = ()
    """The packages whose versions matter."""
    compiles: tuple[str, ...] = ()
    """The variants that take seconds to compile."""
    caches: bool = False
    """Whether what it compiles can be kept on disk."""


REGISTRY = {
    "ours": Entry(
        "chainrule",
        "ours",
        ("machine", "NumPy"),
        ("predict",),
        ("as it comes",),
        ("as it comes",),
        ("chainrule", "numpy"),
    ),
    "floor": Entry(
        "matrix products alone",
        "floor",
        ("np.matmul", "np.dot"),
        ("np.matmul", "np.dot"),
        packages=("numpy",),
    ),
    "textbook": Entry(
        "textbook in NumPy",
        "textbook",
        ("one forward pass", "as printed"),
        ("predict",),
        ("one forward pass", "as printed"),
        packages=("numpy",),
    ),
    "plain": Entry("plain NumPy in float32", "plain", (), ("predict",), packages=("numpy",)),
    "pytorch": Entry(
        "PyTorch",
        "pytorch",
        ("eager", "compiled step", "compiled gradient"),
        ("eager", "compiled"),
        ("eager", "compiled step", "compiled gradient"),
        ("eager",),
        ("torch",),
        ("compiled", "compiled step", "compiled gradient"),
        caches=True,
    ),
    "jax": Entry(
        "JAX",
        "jaxed",
        ("step", "scan"),
        ("step",),
        ("step", "scan"),
        ("scan",),
        ("jax", "jaxlib"),
        caches=True,
    ),
    "sklearn": Entry(
        "scikit-learn",
        "scikit",
        ("batch by batch", "many a call"),
        ("predict_proba",),
        ("batch by batch",),
        ("fit",),
        ("scikit-learn", "scipy"),
    ),
}


@dataclass(frozen=True)
class Contender:
    """A peer in one variant with one number of threads."""

    peer: str
    variant: str
    threads: int

    @property
    def label(self) -> str:
        """As it stands in tables."""
        return f"{REGISTRY[self.peer].label}, {self.variant}"

    @property
    def name(self) -> str:
        """The label with the number of threads."""
        return f"{self.label}, {self.threads} thread{'s' * (self.threads > 1)}"

    @property
    def environment(self) -> dict[str, str]:
        """What its process needs to be told before it starts: XLA's threads, and our executor."""
        if self.peer == "ours":
            executor = {"CHAINRULE_NATIVE": "off" if self.variant == "NumPy" else "require"}
            alone = self.variant == "predict" and self.threads == 1  # predict has no argument for it
            return executor | ({"OMP_NUM_THREADS": "1"} if alone else {})
        if self.peer == "jax" and self.threads == 1:
            return {"NPROC": "1"}  # of XLA's flags, none left its prediction at one thread
        return {}


def load(peer: str) -> type[Peer]:
    """The peer's class; its library is imported now."""
    found: type[Peer] = importlib.import_module(f"peers.{REGISTRY[peer].module}").PEER
    return found
