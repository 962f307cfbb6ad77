#!/usr/bin/env bash
# Question: how fast is a training step on a GPU, does auto take the fastest way, and how
# long does PyTorch take?
#
#   bash experiments/gpu/00_speed.sh [FOLDER]
#
# It needs a GPU, jax for it, and for the peers PyTorch; the images are random. FOLDER (by
# default runs/gpu_speed, or $OUT if that is set) gets a .json and a .txt file for every
# row of the table in docs/speed.md#on-a-gpu. It takes at most nine minutes, because every
# row is stopped after its share; a row that is stopped keeps what it has. Compiling takes
# most of the time, so the compiled programs are kept in FOLDER/compiled.
#
# SMALL=1 takes two images a batch, two members and two steps, and ten times as long, to
# try the script on a CPU.
# ROWS="vgg16 vgg16_peers" runs these rows only.
set -u
cd "$(dirname "$0")/../.."
out="${1:-${OUT:-runs/gpu_speed}}"
mkdir -p "$out"
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
export JAX_COMPILATION_CACHE_DIR="$out/compiled"
python="${PYTHON:-python}"
nvidia-smi --query-gpu=name,driver_version --format=csv > "$out/card.txt" 2>&1 || true

small=() small_ways=() small_peers=() patience=1
if [ -n "${SMALL:-}" ]; then
  small=(--batch_size=2 --members=2 --repeats=1 --devices=1)
  small_ways=(--call_steps=2 --seconds=0.01) small_peers=(--steps=2)
  patience=10
fi

asked() { # asked NAME: whether this row is to run
  [ -z "${ROWS:-}" ] || [[ " $ROWS " == *" $1 "* ]]
}

run() { # run NAME SECONDS MODULE FLAGS...
  local name="$1" limit="$2" module="$3"
  shift 3
  asked "$name" || return 0
  echo "== $name"
  timeout -k 5 $((limit * patience)) "$python" -m "$module" "$@" ${small[@]+"${small[@]}"} \
    --out="$out/$name.json" 2>&1 | tee "$out/$name.txt"
}

row() { # row NAME SECONDS FLAGS...: every way of normlab
  local name="$1" limit="$2"
  shift 2
  run "$name" "$limit" normlab.bench.ways "$@" ${small_ways[@]+"${small_ways[@]}"}
}

peers() { # peers NAME SECONDS FLAGS...: normlab as auto runs it, beside PyTorch
  local name="$1" limit="$2"
  shift 2
  run "$name" "$limit" normlab.bench --dataset=random --choose --norm=batch \
    --devices=1 --repeats=3 --tolerance=1e-2 "$@" \
    ${small_peers[@]+"${small_peers[@]}"}
}

asked pallas && {
echo "== pallas against the primitive"
timeout -k 5 $((30 * patience)) "$python" - <<'END' 2>&1 | tee "$out/pallas.txt"
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
}

# The number of members at once is open in the rows of VGG-16 and ResNet-20.
row small_cnn 110 --precision=tf32,float32,bfloat16 --members=64 --member_chunk=64
row vgg16 70 --model=vgg16 --batch_size=128 --members=4 --optimizer=momentum \
  --precision=tf32 --call_steps=20
peers vgg16_peers 50 --model=vgg16 --batch_size=128 --members=4 --optimizer=momentum \
  --precision=tf32 --steps=20 --peers=torch_graph,torch_eager
row resnet20 70 --model=resnet20 --batch_size=128 --members=8 --optimizer=momentum \
  --precision=tf32 --call_steps=20
peers resnet20_peers 50 --model=resnet20 --batch_size=128 --members=8 \
  --optimizer=momentum --precision=tf32 --steps=20 --peers=torch_graph,torch_eager
peers small_cnn_peers 45 --members=64 --precision=tf32 --steps=100 \
  --peers=torch_graph,torch_ensemble,torch_eager
row small_cnn_norms 40 --norm=none,group --precision=tf32 --members=64 \
  --execution=vmap --conv=patches --member_chunk=64
row small_cnn_pallas 35 --precision=tf32 --members=64 --conv=pallas --member_chunk=64
row small_cnn_members 35 --precision=tf32 --members=8,256 --execution=vmap \
  --conv=patches --member_chunk=256
