"""How fast chainrule trains and predicts, beside its peers: `PYTHONPATH=benchmarks python -m speed`."""
