"""Trainings of the networks that ship, and the asset behind the normalized VGG-16."""
