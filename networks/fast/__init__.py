"""What makes the same numbers quicker, and nothing else."""
