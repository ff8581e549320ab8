"""torchrun with this project's exit statuses: `python -m utils.launch --nproc_per_node 4 train.py ...`

torchrun ends with status 1 and a traceback of its own when one of its processes fails, also under torch's `record`.
Here a process's status is handed on, and a mistake of the user's is told in one line, whichever process met it first.
"""

import logging
import os
import sys
from collections.abc import Sequence

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import parse_args, run

from .errors import LAUNCHER_TELLS

SECONDS_TO_STOP = "110"  # that the processes have after a signal: a step, its checkpoint and no more


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program in several processes; returns the status of the first that failed, or 0."""
    options = parse_args(arguments)
    if options.nproc_per_node.isdigit():  # torchrun's own default is one thread each
        threads = max((os.cpu_count() or 1) // int(options.nproc_per_node), 1)
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # the processes tell what is wrong
    os.environ[LAUNCHER_TELLS] = "1"
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", SECONDS_TO_STOP)
    try:
        run(options)
    except ChildFailedError as failed:
        first = failed.get_first_failure()[1]
        message = first.error_file_data["message"]  # a dict where the process left one, see utils/errors.py
        if first.exitcode == 2 and isinstance(message, dict):
            print(f"error: {message['message']}", file=sys.stderr)
        return first.exitcode if first.exitcode > 0 else 128 - first.exitcode
    except SignalException as stopped:  # torchrun has passed the signal on, and waited for the processes
        return 128 + int(stopped.sigval)
    finally:
        del os.environ[LAUNCHER_TELLS]
    return 0


if __name__ == "__main__":
    sys.exit(main())
