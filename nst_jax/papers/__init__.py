"""One module a paper: its configuration, its presets with sources, the function that runs it."""
