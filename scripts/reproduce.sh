#!/usr/bin/env bash
# The published tables beside what the authors' checkpoints give here: bash scripts/reproduce.sh [atr] [lip] [cihp]
source "$(dirname "$0")/common.sh"
exec "$PYTHON" -m tools.reproduce "$@"
