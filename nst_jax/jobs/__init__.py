"""What a command does, without a terminal: called by commands, notebooks and experiments."""
