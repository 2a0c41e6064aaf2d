"""The acoustic model on onnxruntime."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from speechrnn.export.acoustic import network_graph
from speechrnn.export.graph import require_packages
from speechrnn.nn.acoustic import AcousticModel

ERRORS = 3  # onnxruntime's log level


class OnnxEngine:
    """Run the acoustic model on a CPU with onnxruntime; torch computes the features.

    In int8, weights have a scale for each output. Inputs and states are rounded at run time with one scale for a whole
    call, so each utterance is a call of its own: its emissions must not depend on its batch. That is still faster than
    float32 in batches. A call uses one thread, besides those of the features.
    """

    def __init__(self, model: AcousticModel, int8: bool = False) -> None:
        """Build a session.

        Args:
            model: the model.
            int8: compute in dynamic int8.

        Raises:
            UserError: onnx or onnxruntime is not installed.
        """
        require_packages("onnxruntime")
        import onnxruntime

        self.name = "onnx int8" if int8 else "onnx float32"
        self.single = int8  # whether each utterance is a call of its own
        self.front_end = model.front_end.eval().cpu()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = ERRORS
        graph = network_graph(model, int8).SerializeToString()
        self.session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    @torch.inference_mode()
    def __call__(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Compute emissions: (batch, samples), (batch,) -> (batch, frames, symbols) log-probabilities, (batch,)."""
        waveforms, lengths = waveforms.cpu(), lengths.cpu()
        if not self.single:
            return self._run_batch(waveforms, lengths)
        rows = enumerate(zip(waveforms, lengths.tolist(), strict=True))
        parts = [self._run_batch(row[None, :length], lengths[number : number + 1]) for number, (row, length) in rows]
        log_probs = pad_sequence([values[0] for values, _ in parts], batch_first=True)
        return log_probs, torch.cat([frames for _, frames in parts])

    def _run_batch(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the emissions of a batch in one call."""
        features, frames = self.front_end(waveforms, lengths)
        found = self.session.run(None, {"features": features.numpy(), "lengths": frames.numpy()})
        return torch.from_numpy(found[0]), torch.from_numpy(found[1])
