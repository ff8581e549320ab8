#!/usr/bin/env bash
source "$(dirname "$0")/common.sh"
evaluate lip eop kway 2 "$@"
