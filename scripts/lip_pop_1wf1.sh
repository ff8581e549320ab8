#!/usr/bin/env bash
source "$(dirname "$0")/common.sh"
run lip pop 1way 1 "$@"
