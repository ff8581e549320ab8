#!/usr/bin/env bash
# Set everything up in .venv and run the tests. Arguments go to pytest: `bash scripts/test.sh -m "not slow"`.
source "$(dirname "$0")/common.sh"
set_up requirements-dev.txt
exec "$PYTHON" -m pytest -n 2 --dist loadfile "$@"
