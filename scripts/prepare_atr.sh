#!/usr/bin/env bash
# Prepare ATR-OS from the unpacked ATR download: bash scripts/prepare_atr.sh SOURCE [--data-root DIR] [--copy]
SOURCE=${1:?SOURCE is missing: the folder of the unpacked ATR download}
source "$(dirname "$0")/common.sh"
exec "$PYTHON" -m dataloaders.prepare atr --source "$(from_caller "$SOURCE")" "${@:2}"
