"""What the devices of this process are."""

from types import SimpleNamespace

import jax
import pytest

from normlab.members.platform import platform_here


@pytest.mark.parametrize(
    "platform, capability, expected",
    [
        ("cpu", None, "cpu"),
        ("gpu", "9.0", "gpu"),
        ("gpu", "7.5", "gpu without Triton"),
        ("gpu", "gfx90a", "gpu without Triton"),
        ("gpu", None, "gpu without Triton"),
    ],
)
def test_old_gpus_have_no_triton(platform, capability, expected, monkeypatch):
    known = {} if capability is None else {"compute_capability": capability}
    device = SimpleNamespace(platform=platform, **known)
    monkeypatch.setattr(jax, "local_devices", lambda: [device])
    assert platform_here() == expected
