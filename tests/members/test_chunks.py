"""Chunks of members of equal size, whose padding is seen by nobody."""

import numpy as np
import pytest

from normlab.members.chunks import MemberChunks, take


@pytest.mark.parametrize("count", [1, 2, 5, 6])
@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_what_was_taken_apart_is_joined(count, size):
    tree = {"a": np.arange(count), "b": np.arange(3.0 * count).reshape(count, 3)}
    chunks = MemberChunks(count, size)
    parts = [take(tree, places) for places in chunks]
    assert len(parts) == len(chunks) == -(-count // size)
    assert {len(part["a"]) for part in parts} == {size}
    assert parts[-1]["a"][-1] == count - 1
    joined = chunks.join(parts)
    np.testing.assert_array_equal(joined["a"], tree["a"])
    np.testing.assert_array_equal(joined["b"], tree["b"])
