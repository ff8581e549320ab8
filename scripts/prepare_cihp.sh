#!/usr/bin/env bash
# Prepare CIHP-OS from the unpacked CIHP download: bash scripts/prepare_cihp.sh SOURCE [--data-root DIR] [--copy]
SOURCE=${1:?SOURCE is missing: the folder of the unpacked CIHP download}
source "$(dirname "$0")/common.sh"
exec "$PYTHON" -m dataloaders.prepare cihp --source "$(from_caller "$SOURCE")" "${@:2}"
