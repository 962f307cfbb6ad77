#!/usr/bin/env bash
# Learning rates, chosen on validation images, and batch sizes on all images, with
# new seeds (C2b, C2c, H4, C3s).
#
#   bash experiments/gpu/16_rates_and_sizes.sh
#
# new_postmortem_lr: 360 members, 0.972 M member-steps: 3 minutes on an H100, 4 hours on two CPU cores
# new_postmortem_batch_size: 160 members, 3.75 M member-steps: 3 minutes on an H100, 46 minutes on two CPU cores
source "$(dirname "$0")/lib.sh"
sweep new_postmortem_lr postmortem_lr --validation=5000 --eval_every=150 "$NEW"
sweep new_postmortem_batch_size postmortem_batch_size --train_size=0 --norm=none,batch \
  --batch_size=2,4,8,16 --lr=1e-3 --eval_statistics=running "$NEW"
