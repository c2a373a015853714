"""Data to train on: MNIST and its kin, scikit-learn's digits, tables, and the IDX format they come in."""

from chainrule.datasets.digits import load_digits
from chainrule.datasets.idx import read_idx
from chainrule.datasets.mnist import load_fashion_mnist, load_mnist
from chainrule.datasets.tables import Table, load_table

__all__ = ["Table", "load_digits", "load_fashion_mnist", "load_mnist", "load_table", "read_idx"]
