#!/usr/bin/env bash
source "$(dirname "$0")/common.sh"
run cihp pop 1way 1 "$@"
