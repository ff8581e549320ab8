#!/usr/bin/env bash
# Evaluate EOPNet on CCP-OS, 1-way, fold 1. CHECKPOINT=... names the checkpoint, by default the run folder's last one.
source "$(dirname "$0")/common.sh"
evaluate ccp eop 1way 1 runs/ccp_eop_1way_f1/last.pt "$@"
