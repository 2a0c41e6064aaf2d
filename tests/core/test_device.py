from __future__ import annotations

import pytest

from speechrnn.core.device import find_device
from speechrnn.core.errors import UserError


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "meta"])
def test_a_device_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(UserError, match=f"device={name}"):
        find_device(name)
