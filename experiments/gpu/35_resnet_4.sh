#!/usr/bin/env bash
# A ResNet-20 on all images, batch size 4, rates chosen on validation images (W5). It
# stops in time: start it until it says that all is done before.
#
#   bash experiments/gpu/35_resnet_4.sh
#
# new_resnet_4_batch_0.0125: 5 members, 0.562 M member-steps: 4 minutes on an H100, 6 hours on two CPU cores
# new_resnet_4_group_0.0125: 5 members, 0.562 M member-steps: 4 minutes on an H100, 6 hours on two CPU cores
# new_resnet_4_batch_0.00625: 5 members, 0.562 M member-steps: 4 minutes on an H100, 6 hours on two CPU cores
# new_resnet_4_group_0.00625: 5 members, 0.562 M member-steps: 4 minutes on an H100, 6 hours on two CPU cores
# new_resnet_4_batch_0.025: 5 members, 0.562 M member-steps: 4 minutes on an H100, 6 hours on two CPU cores
# new_resnet_4_group_0.025: 5 members, 0.562 M member-steps: 4 minutes on an H100, 6 hours on two CPU cores
source "$(dirname "$0")/lib.sh"
for rate in 0.0125 0.00625 0.025; do
  for norm in batch group; do
    sweep new_resnet_4_${norm}_$rate resnet --norm=$norm --batch_size=4 --lr=$rate \
      --precision=tf32 "$FEW"
  done
done
