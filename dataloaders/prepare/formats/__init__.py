"""The forms in which users keep labels, one module each: what marks the form, and how it is read."""
