#!/usr/bin/env bash
# Train POPNet's three stages on ATR-OS, k-way, fold 2. Further arguments go to train.py; NGPU=4 uses four GPUs.
source "$(dirname "$0")/common.sh"
train atr pop kway 2 "$@"
