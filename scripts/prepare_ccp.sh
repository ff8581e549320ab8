#!/usr/bin/env bash
# Prepare CCP-OS from a clone of github.com/bearpaw/clothing-co-parsing: bash scripts/prepare_ccp.sh SOURCE [--data-root DIR] [--copy] [--size N]
SOURCE=${1:?SOURCE is missing: the folder of a clone of github.com/bearpaw/clothing-co-parsing}
source "$(dirname "$0")/common.sh"
exec "$PYTHON" -m dataloaders.prepare ccp --source "$(from_caller "$SOURCE")" "${@:2}"
