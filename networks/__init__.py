"""The networks, as plain torch modules: they know no data set, and files only in `checkpoints`."""
