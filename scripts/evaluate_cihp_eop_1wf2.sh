#!/usr/bin/env bash
# Evaluate EOPNet on CIHP-OS, 1-way, fold 2. CHECKPOINT=... names the checkpoint, by default the authors' file.
source "$(dirname "$0")/common.sh"
evaluate cihp eop 1way 2 data/pretrained_model/cihp_1wf2.pth "$@"
