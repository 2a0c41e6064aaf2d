"""Public names that are imported on first use."""

from __future__ import annotations

import pytest

from speechrnn.core.errors import UserError
from speechrnn.core.lazy import lazy_names


def test_a_name_comes_from_its_module_and_an_unknown_one_is_an_attribute_error() -> None:
    get = lazy_names("speechrnn.core", {"errors": ["UserError"]})
    assert get("UserError") is UserError
    with pytest.raises(AttributeError, match=r"'speechrnn\.core' has no attribute 'UserEror'"):
        get("UserEror")
