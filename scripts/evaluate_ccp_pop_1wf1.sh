#!/usr/bin/env bash
source "$(dirname "$0")/common.sh"
evaluate ccp pop 1way 1 "$@"
