"""Parts that know nothing of parsing: options, device, processes, errors, files, pictures, logs."""

import os

__version__ = "2.0.0"  # of the project; checkpoints carry it as "written_by"
# Idle threads of OpenMP sleep instead of spinning: beside another busy program a training step takes a third of the
# time so. It is read when torch is loaded, so every program imports this package first.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
