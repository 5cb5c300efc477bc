"""The papers in PyTorch, for comparison alone."""
