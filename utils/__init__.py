"""Parts that know nothing of parsing: options, device, processes, errors, files, pictures, logs."""

__version__ = "2.0.0"  # of the project; checkpoints carry it as "written_by"
