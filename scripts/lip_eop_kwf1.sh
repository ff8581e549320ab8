#!/usr/bin/env bash
source "$(dirname "$0")/common.sh"
run lip eop kway 1 "$@"
