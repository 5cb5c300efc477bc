"""Style losses beside each other on one photograph."""
