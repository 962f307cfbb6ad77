"""The memory that one training step moves on an H100, found without a GPU.

    python experiments/gpu/bytes.py --model=small_cnn --norm=batch --members=64

XLA compiles the step for an H100 on any machine with the extra `cuda`. The script
prints the operations of the compiled step that read and write most, and the time that
all would take at the card's bandwidth. Steps of this project are limited by it: where
this was compared with a profile, XLA's own loops ran at 2.5 to 3.1 TB/s. Without a GPU
nothing is autotuned, so products are left to cuBLAS. A slice counts as if all of its
input was read.
"""

import argparse
import math
import re
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.experimental import topologies

from normlab.bench.images import SHAPED_LIKE, random_images
from normlab.bench.ways.timed import make_cell
from normlab.errors import UserError
from normlab.members.over import OverMembers
from normlab.models import SHARING, backend
from normlab.run_options import RunOptions
from normlab.settings.devices import CONV_FORMS
from normlab.sweep.cell_plan import Planner
from normlab.train.optimizers import values_of
from normlab.train.program import data_arrays
from normlab.train.way import Way

_KIND = "NVIDIA H100 80GB HBM3"
# What the driver says of the card, and the rate of large copies that was measured.
_H100 = f"""
gpu_device_info {{
  threads_per_block_limit: 1024 threads_per_warp: 32 shared_memory_per_block: 49152
  shared_memory_per_core: 233472 threads_per_core_limit: 2048 core_count: 132
  fpus_per_core: 128 block_dim_limit_x: 2147483647 block_dim_limit_y: 65535
  block_dim_limit_z: 65535 memory_bandwidth: 3352320000000 l2_cache_size: 52428800
  clock_rate_ghz: 1.98 device_memory_size: 84929347584
  shared_memory_per_block_optin: 232448 cuda_compute_capability {{ major: 9 }}
  registers_per_core_limit: 65536 registers_per_block_limit: 65536
}}
platform_name: "CUDA"
dnn_version_info {{ major: 9 minor: 10 }}
runtime_version {{ major: 13 minor: 0 patch: 0 }}
device_description_str: "{_KIND}"
"""
_BANDWIDTH = 2.6e12
_OPTIONS = {"xla_gpu_autotune_level": 0, "xla_gpu_enable_triton_gemm": False}
_CALL_STEPS = 100
_SIZES = {
    **dict.fromkeys(("pred", "u8", "s8"), 1),
    **dict.fromkeys(("bf16", "f16", "u16", "s16"), 2),
    **dict.fromkeys(("f32", "u32", "s32"), 4),
    **dict.fromkeys(("f64", "u64", "s64"), 8),
}
_FREE = {"get-tuple-element", "tuple", "bitcast", "parameter", "constant", "while"}


def compiled_text(args: argparse.Namespace) -> str:
    """The compiled program of `_CALL_STEPS` steps of all members of one seed."""
    cell = make_cell(
        args.model, args.norm, args.batch_size, args.members, args.precision,
        args.optimizer,
    )  # fmt: skip
    dataset, way = random_images(), Way(args.execution, args.conv)
    options = RunOptions(
        execution=args.execution, compilation_cache="none", call_steps=_CALL_STEPS
    )
    planner = Planner((cell,), [cell], {SHAPED_LIKE: dataset}, options)
    plan = planner.plan(cell, way)
    backend.is_cpu = lambda: False  # although this process has no GPU
    program = plan.program
    seeds = jnp.array([member.seed for member in cell.members], jnp.int32)
    values = values_of(cell.members, cell.hyperparameters)
    inputs = (
        jax.eval_shape(jax.vmap(program.init), seeds, values),
        jax.ShapeDtypeStruct((args.members, _CALL_STEPS, args.batch_size), jnp.int32),
        jax.ShapeDtypeStruct((), jnp.int32),
        {
            k: jax.ShapeDtypeStruct(x.shape, x.dtype)
            for k, x in data_arrays(dataset).items()
        },
    )

    if args.execution == "vmap" and args.conv in SHARING:
        function = program.call_of_seed
    else:
        mapped = (True, True, False, False)
        function = OverMembers(program.call, mapped, args.execution).batched()
    topology = topologies.get_topology_desc(
        "h100", platform="cuda", target_config=_H100, topology="1x1x1"
    )
    there = jax.sharding.SingleDeviceSharding(topology.devices[0])
    inputs = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=there), inputs
    )
    device = jax.sharding.AbstractDevice(
        device_kind=_KIND, num_cores=132, platform="gpu"
    )
    mesh = jax.sharding.AbstractMesh((1,), ("x",), abstract_device=device)
    jax.clear_caches()
    with jax.sharding.use_abstract_mesh(mesh):
        traced = jax.jit(function, donate_argnums=0).trace(*inputs)
        lowered = traced.lower(lowering_platforms=("cuda",))
        return lowered.compile(_OPTIONS).as_text() or ""


def bytes_of(shape: str) -> int:
    """The bytes of all arrays in a shape as HLO writes it.

    Raises:
      KeyError: a dtype is not in `_SIZES`.
    """
    total = 0
    for dtype, dims in re.findall(r"(\w+)\[([\d,]*)\]", shape):
        count = math.prod(int(dim) for dim in dims.split(",") if dim)
        total += count * _SIZES[dtype]
    return total


def operations(text: str) -> list[tuple[int, str, str]]:
    """(bytes read and written, name, origin) of each operation of the step.

    The step is the body of that loop which has most fusions. The largest come first.
    """
    bodies: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if start := re.match(r"^(?:ENTRY )?%?([\w.\-]+) \(.*\) -> .* \{$", line):
            lines = bodies.setdefault(start.group(1), [])
        elif line.startswith("}"):
            lines = []
        elif " = " in line:
            lines.append(line.strip())
    steps = set(re.findall(r"while\(.*?body=%?([\w.\-]+)", text))

    def fusions(name: str) -> int:
        found = [line for line in bodies[name] if " fusion(" in line]
        return sum("dynamic_update_index" not in line for line in found)

    sizes: dict[str, int] = {}
    result = []
    for line in bodies[max(steps, key=fusions)]:
        parts = re.match(
            r"(?:ROOT )?%?([\w.\-]+) = (\(.*?\)|\S+) ([\w\-]+)\((.*)", line
        )
        if not parts:
            continue
        name, shape, kind, rest = parts.groups()
        sizes[name] = bytes_of(shape)
        if kind in _FREE:
            continue
        read = re.findall(r"%([\w.\-]+)", rest.split("), ")[0])
        origin = re.search(r'op_name="([^"]*)"', line)
        moved = sizes[name] + sum(sizes.get(one, 0) for one in read)
        result.append((moved, name, origin.group(1)[-70:] if origin else ""))
    return sorted(result, reverse=True)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--execution", default="vmap", choices=("vmap", "map"))
    parser.add_argument("--conv", default="pallas", choices=CONV_FORMS)
    for name, value in [
        ("model", "small_cnn"),
        ("norm", "batch"),
        ("batch_size", 50),
        ("members", 64),
        ("precision", "tf32"),
        ("optimizer", "adam"),
        ("most", 20),
    ]:
        parser.add_argument(f"--{name}", default=value, type=type(value))
    args = parser.parse_args(argv)
    jax.config.update("jax_platforms", "cpu")
    try:
        text = compiled_text(args)
    except UserError as error:
        parser.error(str(error))
    except NotImplementedError:
        parser.error("this needs jax for NVIDIA GPUs: pip install 'normlab[cuda]'")
    found = operations(text)
    total = sum(moved for moved, *_ in found)
    print(
        f"{len(found)} operations move {total / 1e6:.0f} MB, which take "
        f"{1e3 * total / _BANDWIDTH:.2f} ms at {_BANDWIDTH / 1e12} TB/s; those of most:"
    )
    for moved, name, origin in found[: args.most]:
        print(f"{moved / 1e6:9.1f} MB  {name:<34} {origin}")


if __name__ == "__main__":
    main()
