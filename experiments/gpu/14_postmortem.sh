#!/usr/bin/env bash
# One factor at a time, with new seeds (B6, B10a to B10c, H5, F2).
#
#   bash experiments/gpu/14_postmortem.sh
#
# new_postmortem_dense: 100 members, 0.5 M member-steps: 2 minutes on an H100, 82 minutes on two CPU cores
# new_postmortem_scale: 80 members, 0.4 M member-steps: 2 minutes on an H100, 89 minutes on two CPU cores
# new_postmortem_weights: 80 members, 0.4 M member-steps: 99 s on an H100, 66 minutes on two CPU cores
# new_postmortem_width: 80 members, 0.24 M member-steps: 2 minutes on an H100, 99 minutes on two CPU cores
source "$(dirname "$0")/lib.sh"
sweep new_postmortem_dense postmortem_dense --eval_every=250 "$NEW"
sweep new_postmortem_scale postmortem_scale --eval_every=250 "$NEW"
sweep new_postmortem_weights postmortem_weights --eval_every=250 "$NEW"
sweep new_postmortem_width postmortem_width --eval_every=250 "$NEW"
