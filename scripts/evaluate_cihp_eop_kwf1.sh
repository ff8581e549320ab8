#!/usr/bin/env bash
# Evaluate EOPNet on CIHP-OS, k-way, fold 1. CHECKPOINT=... names the checkpoint, by default the authors' file.
source "$(dirname "$0")/common.sh"
evaluate cihp eop kway 1 data/pretrained_model/cihp_kwf1.pth "$@"
