"""An exported language model against the eager one, step by step."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from speechrnn.nn.language import LanguageModel, LanguageOptions
from speechrnn.text.tokenizers import CharTokenizer

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from speechrnn.export.language import language_graph  # noqa: E402

TOKENIZER = CharTokenizer.build([], "ABCDEFGHIJKLMNOPQRSTUVWXYZ ")

VARIANTS: dict[str, dict[str, Any]] = {
    "full": {},
    "untied": {"tied": False, "embedding": 6},
    "gru": {"cell": "gru", "layers": 3},
    "rnn_tanh": {"cell": "rnn_tanh", "layers": 1},
    "adaptive": {"softmax": "adaptive", "cutoffs": (5, 12, 20)},
    "adaptive, untied": {"softmax": "adaptive", "cutoffs": (9,), "tied": False, "embedding": 6},
    "mixture": {"softmax": "mixture", "components": 3},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_equals_eager_over_many_steps_at_any_batch(name: str) -> None:
    torch.manual_seed(0)
    model = LanguageModel(len(TOKENIZER), LanguageOptions(**{"units": 10, "embedding": 8, **VARIANTS[name]})).eval()
    with torch.no_grad():
        model.softmax.weight.mul_(20)  # an untrained network hardly prefers anything
        model.softmax.bias.uniform_(-1, 1)
    session = onnxruntime.InferenceSession(
        language_graph(model, TOKENIZER).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    for batch in (1, 7):
        states = model.start(batch)
        given = states.numpy()
        for _ in range(6):
            tokens = torch.randint(len(TOKENIZER), (batch,))
            with torch.inference_mode():
                expected, states = model.score(states, tokens)
            found, given = session.run(None, {"tokens": tokens.numpy(), "states": given})
            assert found == pytest.approx(expected.numpy(), abs=1e-4)
            assert given == pytest.approx(states.numpy(), abs=1e-5)
        assert expected.std() > 0.1


def test_metadata_says_how_to_use_it() -> None:
    model = LanguageModel(len(TOKENIZER), LanguageOptions(units=10, embedding=8)).eval()
    metadata = {entry.key: entry.value for entry in language_graph(model, TOKENIZER).metadata_props}
    assert metadata["kind"] == "language" and json.loads(metadata["alphabet"]) == TOKENIZER.symbols
    assert int(metadata["state_size"]) == model.state_size
