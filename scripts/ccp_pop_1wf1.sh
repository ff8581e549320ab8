#!/usr/bin/env bash
source "$(dirname "$0")/common.sh"
run ccp pop 1way 1 "$@"
