#!/usr/bin/env bash
# Initialisation of group norm, and E8 to E10, with new seeds (B1, C8 to C10).
#
#   bash experiments/gpu/15_postmortem_more.sh
#
# new_postmortem_init: 240 members, 1.2 M member-steps: 5 minutes on an H100, 3 hours on two CPU cores
# new_report_histograms: 60 members, 0.12 M member-steps: 56 s on an H100, 18 minutes on two CPU cores
# new_proper_histograms: 60 members, 0.12 M member-steps: 56 s on an H100, 18 minutes on two CPU cores
source "$(dirname "$0")/lib.sh"
sweep new_postmortem_init postmortem_init --eval_every=250 "$NEW"
sweep new_report_histograms report_histograms "$NEW"
sweep new_proper_histograms proper_histograms "$NEW"
