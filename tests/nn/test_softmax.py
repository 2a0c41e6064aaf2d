from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from speechrnn.nn import softmax
from speechrnn.nn.softmax import FullSoftmax


@pytest.mark.parametrize("vocabulary", [90, 96, 97])  # blocks that do and do not fill up
def test_blocks_give_the_cross_entropy_and_its_gradients(vocabulary: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(softmax, "LARGE", 80)
    monkeypatch.setattr(softmax, "BLOCK", 32)
    torch.manual_seed(0)
    full = FullSoftmax(nn.Parameter(torch.randn(vocabulary, 7)), 7)
    nn.init.normal_(full.bias)
    outputs = (3 * torch.randn(11, 7)).requires_grad_()
    targets = torch.randint(vocabulary, (11,))
    targets[:2] = torch.tensor([0, vocabulary - 1])
    weights = torch.randn(11)
    weights[3] = 0.0  # a place without a target
    parts = (outputs, full.weight, full.bias)

    found = full.target_log_probs(outputs, targets)
    expected = -F.cross_entropy(F.linear(outputs, full.weight, full.bias), targets, reduction="none")
    torch.testing.assert_close(found, expected)
    assert type(found.grad_fn).__name__ == "BlockedLogProbsBackward"
    of_found = torch.autograd.grad((found * weights).sum(), parts)
    of_expected = torch.autograd.grad((expected * weights).sum(), parts)
    for own, other in zip(of_found, of_expected, strict=True):
        torch.testing.assert_close(own, other, atol=1e-5, rtol=1e-5)


def test_a_small_vocabulary_needs_no_blocks() -> None:
    full = FullSoftmax(nn.Parameter(torch.randn(9, 4)), 4)
    found = full.target_log_probs(torch.randn(3, 4), torch.tensor([0, 1, 2]))
    assert type(found.grad_fn).__name__ != "BlockedLogProbsBackward"
