#!/usr/bin/env bash
# E2 and E3 as the report ran them, with new seeds (C1, C2a, C3, R2, R3, B3, B10).
#
#   bash experiments/gpu/11_report_bn_more.sh
#
# new_report_bn_lr: 60 members, 1.2 M member-steps: 3 minutes on an H100, 3 hours on two CPU cores
# new_report_bn_10: 60 members, 6 M member-steps: 3 minutes on an H100, 3 hours on two CPU cores
source "$(dirname "$0")/lib.sh"
sweep new_report_bn_lr report_bn_lr "$NEW"
sweep new_report_bn_10 report_bn --batch_size=10 "$NEW"
