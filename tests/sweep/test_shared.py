"""Members of a seed may share their images; each trains as it would alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from normlab.members.chunks import MemberChunks
from normlab.sweep.population import Population
from normlab.train.program import data_arrays, to_device
from tests import tiny

DATA = tiny.dataset()


def population(cell, program, *, share=True, chunk=None, devices=1) -> Population:
    return Population(
        program,
        cell,
        to_device(data_arrays(DATA)),
        execution="vmap",
        member_chunk=chunk or len(cell.members),
        call_steps=4,
        devices=jax.local_devices()[:devices],
        share=share,
    )


def trained(cell, program, **how):
    members = population(cell, program, **how)
    members.start()
    losses = members.train(0, 4)["batch_loss"]
    return losses, members


def test_members_train_as_with_images_of_their_own():
    cell = tiny.cell(tiny.members(lrs=(0.0, 0.1), seeds=(0, 3)), augment="flip_crop")
    program = tiny.program(cell.config, DATA)
    losses, alone = trained(cell, program, share=False)
    assert np.ptp(losses[:, -1]) > 1e-3  # the members differ
    for how in ({"devices": 2}, {"chunk": 2}):
        same, shared = trained(cell, program, **how)
        assert shared._programs.train.block == 2
        np.testing.assert_allclose(same, losses, rtol=1e-5)
        for one, other in zip(
            jax.tree.leaves(shared.state()), jax.tree.leaves(alone.state()), strict=True
        ):
            assert one.shape == other.shape and one.dtype == other.dtype
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_the_kernel_of_a_gpu_sees_the_shared_images():
    """Interpreted: the images have no member axis, and the kernels have one."""
    members = tiny.members(lrs=(0.0, 0.1), seeds=(3,))
    cell = tiny.cell(members, width=4.0)  # 16 channels, which the kernel needs
    kernel = tiny.program(cell.config, DATA, conv="pallas")
    losses, alone = trained(cell, tiny.program(cell.config, DATA), share=False)
    found, shared = trained(cell, kernel)
    assert np.ptp(losses[:, -1]) > 1e-3 and shared._programs.train.block == 2
    np.testing.assert_allclose(found, losses, rtol=1e-5)
    state, arrays = alone.state(), to_device(data_arrays(DATA))
    indices = jnp.zeros((2, 4, 5), jnp.int32)
    inputs = state, indices, jnp.int32(4), arrays
    text = str(jax.make_jaxpr(kernel.call_of_seed)(*inputs))
    assert text.count("pallas_call[") == 3  # XLA drops the gradient of the images


def test_images_are_picked_once_for_a_seed():
    """The gathers of images in the program have no member axis."""
    cell = tiny.cell(tiny.members(lrs=(0.01, 0.1, 0.2), seeds=(1,)))
    program = tiny.program(cell.config, DATA)
    state = jax.eval_shape(
        jax.vmap(program.init),
        jnp.zeros(3, jnp.int32),
        {k: jnp.zeros(3) for k in ("lr", "momentum", "weight_decay")},
    )
    indices = jnp.zeros((3, 4, 5), jnp.int32)
    arrays = to_device(data_arrays(DATA))

    def sizes(call):
        text = str(jax.make_jaxpr(call)(state, indices, jnp.int32(4), arrays))
        return "u8[3,5,6,6,1]" in text, "u8[5,6,6,1]" in text

    assert sizes(jax.vmap(program.call, (0, 0, None, None))) == (True, False)
    assert sizes(program.call_of_seed) == (False, True)


def test_a_stopped_member_leaves_the_others_as_they_are():
    """Blocks get smaller where members of a seed are missing."""
    cell = tiny.cell(tiny.members(lrs=(0.01, 0.1, 0.2, 0.3), seeds=(0, 1)))
    program = tiny.program(cell.config, DATA)
    both = [population(cell, program, share=share) for share in (True, False)]
    blocks, losses = [], []
    for members in both:
        members.start()
        members.train(0, 2)
        members.stop(np.array([1, 2, 4]))
        blocks.append(members._programs.train.block)
        losses.append(members.train(2, 2)["batch_loss"])
    assert blocks == [2, 1]
    np.testing.assert_allclose(*losses, rtol=1e-5)


@pytest.mark.parametrize(
    "seeds, size, parts, block",
    [
        ([0, 0, 0, 1, 1, 1], 6, 1, 3),
        ([0, 0, 0, 1, 1, 1], 6, 2, 3),
        ([0, 0, 0, 0, 1, 1], 6, 1, 2),
        ([0, 0, 0, 1, 1, 1], 4, 1, 1),
        ([0, 0, 0, 0, 0], 2, 1, 2),
        ([0, 1, 2], 3, 1, 1),
        ([0, 0, 0, 0], 4, 4, 1),
    ],
)
def test_blocks_have_one_seed(seeds, size, parts, block):
    chunks = MemberChunks(len(seeds), size)
    assert chunks.alike(np.array(seeds), parts) == block
