#!/usr/bin/env bash
# Evaluate POPNet on CIHP-OS, k-way, fold 2. CHECKPOINT=... names the checkpoint, by default the run folder's last one.
source "$(dirname "$0")/common.sh"
evaluate cihp pop kway 2 runs/cihp_pop_kway_f2/last.pt "$@"
