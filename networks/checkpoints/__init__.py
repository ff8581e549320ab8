"""Weights files: this project's, released ones, the authors', and pretrained encoders."""
