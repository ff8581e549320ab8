#!/usr/bin/env bash
# Train POPNet's three stages on ATR-OS, 1-way, fold 1. Further arguments go to train.py; NGPU=4 uses four GPUs.
source "$(dirname "$0")/common.sh"
train atr pop 1way 1 "$@"
