#!/usr/bin/env bash
# Prepare LIP-OS from the unpacked LIP download: bash scripts/prepare_lip.sh SOURCE [--data-root DIR] [--copy]
SOURCE=${1:?SOURCE is missing: the folder of the unpacked LIP download}
source "$(dirname "$0")/common.sh"
exec "$PYTHON" -m dataloaders.prepare lip --source "$(from_caller "$SOURCE")" "${@:2}"
