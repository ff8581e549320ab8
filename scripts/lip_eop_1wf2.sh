#!/usr/bin/env bash
source "$(dirname "$0")/common.sh"
run lip eop 1way 2 "$@"
