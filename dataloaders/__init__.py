"""Data sets, their preparation and checks, and the episodes drawn from them."""
