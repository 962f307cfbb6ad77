#!/usr/bin/env bash
# A VGG-16 at full size at the learning rate of 0.1, with measurements: batch
# (SF1, SF3, SF4, SF4g, H1 to H3, W7).
#
#   bash experiments/gpu/21_vgg_batch.sh
#
# new_vgg_batch: 5 members, 0.075 M member-steps: 4 minutes on an H100, 164 hours on two CPU cores
source "$(dirname "$0")/lib.sh"
sweep new_vgg_batch santurkar_vgg --norm=batch --lr=0.1 \
  --quantities=loss_range,gradient_predictiveness,effective_smoothness,gradient_norm,internal_covariate_shift \
  --weight_decay=0 --precision=tf32 --execution=map "$FEW"
