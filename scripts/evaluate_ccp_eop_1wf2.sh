#!/usr/bin/env bash
# Evaluate EOPNet on CCP-OS, 1-way, fold 2. CHECKPOINT=... names the checkpoint, by default the run folder's last one.
source "$(dirname "$0")/common.sh"
evaluate ccp eop 1way 2 runs/ccp_eop_1way_f2/last.pt "$@"
