"""Parts that need neither networks nor data sets: options, device, processes, errors, files, pictures, logs."""

import os

__version__ = "2.0.0"  # of the project; checkpoints carry it as "written_by"

# Idle threads of OpenMP spin for seconds, and where another program keeps a core busy, that stops a step of training:
# it took 25 s in place of 0.25 s. They wait shortly here, then sleep. torch must not be imported before this is set.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
