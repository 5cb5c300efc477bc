"""The pictures that experiments need: where each can be had, and which of them a folder has."""
