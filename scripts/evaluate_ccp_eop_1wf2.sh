#!/usr/bin/env bash
source "$(dirname "$0")/common.sh"
evaluate ccp eop 1way 2 "$@"
