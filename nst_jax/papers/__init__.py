"""One module a paper: its configuration, its presets with sources, and the function that runs it."""
