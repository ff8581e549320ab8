"""The networks, as plain torch modules: they read no files and know no data set."""
