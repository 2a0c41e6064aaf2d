"""Claim: a model that was trained in the blocks of live streams loses little in them.

Decodes the recordings of a manifest (JSON lines with audio_filepath and text) whole, with the network over whole
recordings and in the blocks of --latencies, and prints the word error rates and the CTC losses per label, which depend
less on chance. A stream is not simulated: `latency.py` has its words, times and processor time.
"""

from __future__ import annotations

from pathlib import Path

import torch
from latency import error_rate
from manifest import read_rows
from timing import line, machine, parser, positive, stop
from torch import Tensor
from torch.nn import functional

from speechrnn.audio import load_audio
from speechrnn.core.errors import UserError
from speechrnn.nn.acoustic import AcousticModel
from speechrnn.nn.recurrent import Blocks
from speechrnn.text.normalisation import NormalisationOptions, normalise
from speechrnn.transcription.runtime import TorchEngine
from speechrnn.transcription.streaming_options import blocks_for
from speechrnn.transcription.transcriber import Transcriber

LATENCIES = (0.2, 0.3, 0.6)  # seconds
ENOUGH = 5  # recordings of a quick run


def network(transcriber: Transcriber) -> AcousticModel:
    """Return the network of a transcriber that was loaded with the engine of torch."""
    assert isinstance(transcriber.engine, TorchEngine)
    return transcriber.engine.model


def measure(
    transcriber: Transcriber, waves: list[Tensor], texts: list[str], blocks: Blocks | None
) -> tuple[float, float]:
    """Return the word error rate in percent and the mean CTC loss of a label; texts that no label spells have none."""
    model, tokenizer = network(transcriber), transcriber.tokenizer
    found, loss, labels = [], 0.0, 0
    for wave, text in zip(waves, texts, strict=True):
        with torch.inference_mode():
            log_probs, frames = model(wave[None], torch.tensor([len(wave)]), blocks=blocks)
        found.append(transcriber.decoder(log_probs, frames)[0].texts[0])
        spelling = normalise(text, tokenizer.normalisation or NormalisationOptions())
        if not tokenizer.count_unknown(spelling):
            target = torch.tensor(tokenizer.encode(spelling))
            loss += float(
                functional.ctc_loss(log_probs[0], target, frames[0], torch.tensor(len(target)), reduction="sum")
            )
            labels += len(target)
    return error_rate(texts, found), loss / max(labels, 1)


def main() -> None:
    """Print both figures over whole recordings and in blocks."""
    options = parser(__doc__, repeats=1)
    options.add_argument("--model", default="english", help="a name or directory (english)")
    options.add_argument("--manifest", type=Path, required=True, help="recordings, as JSON lines")
    options.add_argument("--every", type=positive, default=1, help="take every n-th recording only")
    options.add_argument("--latencies", type=float, nargs="+", default=LATENCIES, help=f"in seconds {LATENCIES}")
    args = options.parse_args()
    torch.set_num_threads(args.threads)
    print(machine(args.threads))
    rows = read_rows(args.manifest, args.every)[: ENOUGH if args.quick else None]
    try:
        transcriber = Transcriber.load(args.model, device="cpu", engine="torch", precision="float32")
        latencies = {latency: blocks_for(latency, network(transcriber)) for latency in args.latencies}
    except UserError as error:
        stop(f"{error} The keys here are --model and --latencies.")
    waves = [torch.as_tensor(load_audio(row["audio_filepath"], transcriber.sampling_rate)[0]) for row in rows]
    texts = [row["text"] for row in rows]
    whole, loss = measure(transcriber, waves, texts, blocks=None)
    print(f"whole recordings: {whole:.2f} % WER, a loss of {loss:.4f} per label, {len(rows)} recordings")
    for latency, blocks in latencies.items():
        rate, loss = measure(transcriber, waves, texts, blocks=blocks)
        print(f"{latency:g} s, {blocks.size} + {blocks.right} frames: a loss of {loss:.4f} per label")
        print(
            line(f"blocks_{1000 * latency:.0f}ms_word_errors", whole / max(rate, 0.01), rate, peer=whole, unit="% WER")
        )


if __name__ == "__main__":
    main()
