"""Results as claims that can be run: a figure made smaller, and whether its finding comes out."""
