"""A trained model in the layouts that other programs read."""
