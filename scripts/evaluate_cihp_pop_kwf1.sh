#!/usr/bin/env bash
# Evaluate POPNet on CIHP-OS, k-way, fold 1. CHECKPOINT=... names the checkpoint, by default the run folder's last one.
source "$(dirname "$0")/common.sh"
evaluate cihp pop kway 1 runs/cihp_pop_kway_f1/last.pt "$@"
