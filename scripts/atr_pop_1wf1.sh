#!/usr/bin/env bash
source "$(dirname "$0")/common.sh"
run atr pop 1way 1 "$@"
