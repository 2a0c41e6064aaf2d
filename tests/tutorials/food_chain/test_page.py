"""Tests of the page of the food chain, drawn from given networks."""

from __future__ import annotations

from pathlib import Path

import torch
from helpers.html_page import Page
from helpers.pages import page_run

from speechrnn.tutorials.food_chain.model import (
    FeedbackNetwork,
    FoodChainOptions,
    LastWordNetwork,
    TrainedNetwork,
    Words,
)
from speechrnn.tutorials.food_chain.page import write_food_chain
from speechrnn.tutorials.setting import repeatable

PROMPTS = ("Sharks feed", "feed on", "Small")


def test_completions_stand_beside_what_was_expected(tmp_path: Path) -> None:
    words = Words(fold_case=True)
    size = len(words.tokenizer)
    written = {prompt: f"{prompt} & <b>nothing</b>." for prompt in PROMPTS}
    with repeatable(1):
        networks = [
            TrainedNetwork(model, [0.1, 0.9], written, probabilities=torch.full((5, 5), 0.2), hidden=torch.zeros(5, 4))
            for model in (FeedbackNetwork(size, 4, "rnn_tanh"), LastWordNetwork(size, 4))
        ]
    options = FoodChainOptions(
        cell="rnn_tanh", units=4, steps=2, learning_rate=0.1, fold_case=True, prompts=PROMPTS, seed=1
    )
    page = Page(write_food_chain(page_run(tmp_path), options, words, *networks))
    assert "Sharks feed on tuna fishes." in page.text("td")  # expected; "feed on" begins no sentence
    assert "Small & <b>nothing</b>." in page.text() and not page.all("b")
    assert [picture["aria-label"] for picture in page.all("svg")] and "Recurrent Neural Networks" in page.text()
    assert "(beginning)" in page.text() and page.text().count("(end)") >= 1
