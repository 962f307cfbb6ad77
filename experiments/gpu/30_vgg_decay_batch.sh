#!/usr/bin/env bash
# A VGG-16 at full size with weight decay: batch (H6d).
#
#   bash experiments/gpu/30_vgg_decay_batch.sh
#
# new_vgg_decay_batch: 5 members, 0.075 M member-steps: 4 minutes on an H100, 158 hours on two CPU cores
source "$(dirname "$0")/lib.sh"
sweep new_vgg_decay_batch santurkar_vgg --norm=batch --lr=0.1 --quantities= \
  --weight_decay=5e-4 --precision=tf32 --execution=map "$FEW"
