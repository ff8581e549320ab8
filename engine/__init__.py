"""The loops of training and evaluation, and what they report."""
