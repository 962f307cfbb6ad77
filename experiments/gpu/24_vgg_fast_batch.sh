#!/usr/bin/env bash
# A VGG-16 at full size at the learning rate of 0.5: batch (SF1).
#
#   bash experiments/gpu/24_vgg_fast_batch.sh
#
# new_vgg_fast_batch: 5 members, 0.075 M member-steps: 4 minutes on an H100, 158 hours on two CPU cores
source "$(dirname "$0")/lib.sh"
sweep new_vgg_fast_batch santurkar_vgg --norm=batch --lr=0.5 --quantities= \
  --weight_decay=0 --precision=tf32 --execution=map "$FEW"
