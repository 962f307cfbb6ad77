#!/usr/bin/env bash
# Question: how fast is a training step on a GPU, and does auto take the fastest way?
#
#   bash experiments/gpu/00_speed.sh [FOLDER]
#
# It needs a GPU, jax for it, and nothing else: the images are random. FOLDER (by default
# runs/gpu_speed, or $OUT if that is set) gets a .json and a .txt file for every row of the
# table in docs/speed.md#on-a-gpu. It takes at most nine minutes, because every row is
# stopped after its share; a row that is stopped keeps what it has. Compiling takes most
# of the time, so the compiled programs are kept in FOLDER/compiled.
set -u
cd "$(dirname "$0")/../.."
out="${1:-${OUT:-runs/gpu_speed}}"
mkdir -p "$out"
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
export JAX_COMPILATION_CACHE_DIR="$out/compiled"
python="${PYTHON:-python}"
nvidia-smi --query-gpu=name,driver_version --format=csv > "$out/card.txt" 2>&1 || true

row() { # row NAME SECONDS FLAGS...
  local name="$1" limit="$2"
  shift 2
  echo "== $name"
  timeout -k 5 "$limit" "$python" -m normlab.bench.ways "$@" \
    --out="$out/$name.json" 2>&1 | tee "$out/$name.txt"
}

echo "== pallas against the primitive"
timeout -k 5 40 "$python" - <<'END' 2>&1 | tee "$out/pallas.txt"
import jax, numpy as np
from normlab.models import CONVS
numbers = {"dimension_numbers": ("NHWC", "HWIO", "NHWC")}
for size, inputs, outputs in [(16, 16, 32), (8, 64, 64), (4, 256, 512)]:
    random = np.random.default_rng(0)
    x = random.normal(size=(2, 50, size, size, inputs)).astype("f")
    w = random.normal(size=(2, 3, 3, inputs, outputs)).astype("f")
    found = {}
    for form in ("pallas", "lax"):
        def both(x, w, conv=CONVS[form]):
            y, back = jax.vjp(lambda x, w: conv(x, w, (1, 1), "SAME", **numbers), x, w)
            return y, *back(y)
        with jax.default_matmul_precision("highest"):
            found[form] = jax.jit(jax.vmap(both))(x, w)
    gaps = [float(abs(a - b).max() / abs(b).max()) for a, b in zip(*found.values())]
    print(size, inputs, outputs, "output, input and kernel gradients differ by", gaps)
END

row small_cnn 130 --precision=tf32,float32,bfloat16 --members=64
row small_cnn_pallas 50 --precision=tf32 --members=64 --conv=pallas
row small_cnn_norms 60 --norm=none,group --precision=tf32 --members=64 --execution=vmap
row vgg16 100 --model=vgg16 --batch_size=128 --members=4 --optimizer=momentum \
  --precision=tf32 --call_steps=20
row resnet20 100 --model=resnet20 --batch_size=128 --members=8 --optimizer=momentum \
  --precision=tf32 --call_steps=20
row small_cnn_members 55 --precision=tf32 --members=8,256 --execution=vmap
