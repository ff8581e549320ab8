"""`python -m dataloaders.prepare NAME`: from a source to the layout that the loaders read."""
