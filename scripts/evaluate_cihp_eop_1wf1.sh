#!/usr/bin/env bash
source "$(dirname "$0")/common.sh"
evaluate cihp eop 1way 1 "$@"
