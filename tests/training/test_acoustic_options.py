"""Options of an acoustic training: the records agree with the config pages, and values out of range are refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from speechrnn.core.config import build
from speechrnn.core.errors import UserError
from speechrnn.training.acoustic_options import AcousticTrainerOptions

PAGE = Path(__file__).parents[2] / "conf" / "trainer" / "acoustic" / "standard.yaml"


def test_the_config_page_has_each_option() -> None:
    page = OmegaConf.to_container(OmegaConf.load(PAGE))
    assert isinstance(page, dict)
    assert {field.name for field in dataclasses.fields(AcousticTrainerOptions)} == set(page)


@pytest.mark.parametrize(("key", "value"), [("batch_seconds", 0), ("label_priors", 1.5), ("workers", -1)])
def test_a_value_out_of_range_is_one_sentence_with_its_key(key: str, value: float) -> None:
    with pytest.raises(UserError, match=rf"trainer\.{key}"):
        build(AcousticTrainerOptions, {key: value}, "trainer")
