"""The acoustic network on onnxruntime."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from speechrnn.export.acoustic import network_graph
from speechrnn.export.graph import require
from speechrnn.nn.acoustic import AcousticModel

ERRORS = 3  # onnxruntime's level of messages that tell of them


class OnnxEngine:
    """An `Engine` on onnxruntime, on the processor: torch computes the features, onnxruntime the rest.

    In int8, weights have a step for each output. Inputs and states are rounded as they come, with one step for all that
    comes at once; so that what is heard in an utterance does not depend on its neighbours in a batch, each goes through
    the network alone. It is faster than float32 in batches all the same.
    Besides the features, a call takes one thread.
    """

    def __init__(self, model: AcousticModel, int8: bool = False) -> None:
        """
        Raises:
            UserError: onnx or onnxruntime is not installed.
        """
        require("onnxruntime")
        import onnxruntime

        self.name = "onnx int8" if int8 else "onnx float32"
        self.alone = int8
        self.front_end = model.front_end.eval().cpu()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = ERRORS
        graph = network_graph(model, int8).SerializeToString()
        self.session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    @torch.inference_mode()
    def __call__(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """See `Engine`."""
        waveforms, lengths = waveforms.cpu(), lengths.cpu()
        if not self.alone:
            return self.run(waveforms, lengths)
        rows = enumerate(zip(waveforms, lengths.tolist(), strict=True))
        parts = [self.run(row[None, :length], lengths[number : number + 1]) for number, (row, length) in rows]
        log_probs = pad_sequence([values[0] for values, _ in parts], batch_first=True)
        return log_probs, torch.cat([frames for _, frames in parts])

    def run(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """All of them at once."""
        features, frames = self.front_end(waveforms, lengths)
        found = self.session.run(None, {"features": features.numpy(), "lengths": frames.numpy()})
        return torch.from_numpy(found[0]), torch.from_numpy(found[1])
