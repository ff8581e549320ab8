#!/usr/bin/env bash
# Evaluate POPNet on CCP-OS, 1-way, fold 1. CHECKPOINT=... names the checkpoint, by default the run folder's last one.
source "$(dirname "$0")/common.sh"
evaluate ccp pop 1way 1 runs/ccp_pop_1way_f1/last.pt "$@"
