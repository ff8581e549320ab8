"""Errors of the user's input, told in one line."""

import errno
import io
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

NO_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "cannot allocate memory",
    "unable to allocate",
    "insufficient memory",  # OpenCV
)
LAUNCHER_TELLS = "ONE_SHOT_LAUNCHER_TELLS"  # environment variable: the launcher prints its processes' mistakes


class UserError(Exception):
    """Bad input: the message is one line that names the file, what is wrong and the remedy."""

    def __init__(self, message: str) -> None:
        # A loader process hands its error over with the traceback in the message; the user is told the line alone.
        lines = message.rpartition("UserError: ")[2].splitlines()
        super().__init__(" ".join(line.strip() for line in lines).strip())


def run_cli(main: Callable[[], int | None]) -> None:
    """Run `main` and exit with its status; a `UserError` becomes one line on stderr and exit status 2.

    So does a file or folder that may not be entered, or whose name the system refuses, and memory that runs out. Where
    a pipe is closed (`| head -1`) the program ends quietly with 141, as others do. What the terminal cannot print is
    escaped. Programming errors keep their traceback.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        status = main()
        sys.stdout.flush()
    except UserError as error:
        status = _tell(str(error))
    except PermissionError as error:
        status = _tell(_denied(error))
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        status = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is printed on the way out
        status = 141
    except Exception as error:
        message = _of_the_system(error)
        if message is None:
            raise
        status = _tell(message)
    sys.exit(status or 0)


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back within; it then comes as `KeyboardInterrupt` at the end."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error of Python's or torch's says that memory has run out."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(words in text for words in NO_MEMORY)


def _of_the_system(error: Exception) -> str | None:
    """The line for memory that has run out, and for a file name that the system refuses; None for other errors."""
    if out_of_memory(error):
        return "memory has run out; choose smaller photos (--max-size, --crop-size, --test-size) or a smaller batch"
    if "DataLoader worker" in str(error):
        return "a loading process was killed, mostly for want of memory; choose fewer --workers or a smaller --cache-mb"
    if "process pool was terminated" in str(error):
        return "a worker process was killed, mostly for want of memory; use smaller photos, or fewer cores (taskset)"
    if isinstance(error, OSError) and error.errno in (errno.ENAMETOOLONG, errno.ENOSPC, errno.EINVAL):
        return f"{error.filename or 'a file'}: {(error.strerror or str(error)).lower()}; name another place"
    return None


def _denied(error: PermissionError) -> str:
    """The line for a file that may not be touched; from a loader process, the name stands in the message alone."""
    quoted = re.findall(r"Permission denied: '(.*)'", str(error))
    name = error.filename or (quoted[-1] if quoted else "a file")
    return f"{name}: permission denied; change its mode or its folder's, or name another place"


def _tell(message: str) -> int:
    """Print the line; of several processes the first alone does, or `utils.launch` where that started them.

    All leave it in the file that torchrun names, in the form of torch's `record`.
    """
    if os.environ.get("RANK", "0") == "0" and LAUNCHER_TELLS not in os.environ:
        print(f"error: {message}", file=sys.stderr)
    record = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if record:
        details = {"message": message, "extraInfo": {"timestamp": str(int(time.time())), "py_callstack": ""}}
        with open(record, "w", encoding="utf-8") as file:
            json.dump({"message": details}, file)
    return 2
