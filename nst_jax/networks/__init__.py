"""Networks that are trained: one file an architecture, and the layers that they share."""
