"""Fused kernels for PyTorch, as people write them for Triton: right ones, and mutants of them."""
