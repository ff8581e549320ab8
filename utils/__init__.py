"""Parts that know nothing of networks or data sets: settings, loops, metrics, checkpoints, pictures."""
