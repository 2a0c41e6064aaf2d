"""Recognise speech while it comes in.

A microphone, a pipe or a file at its own pace is recognised live: partial words appear while somebody speaks, and
finals when there is a pause. Ctrl-C ends the stream with its last final, and the exit status is 0.
"""

from __future__ import annotations

import sys

import torch
from omegaconf import DictConfig

from speechrnn.audio.errors import AudioError
from speechrnn.audio.live import open_live
from speechrnn.cli.main import FAILED, OK, recipe
from speechrnn.core.config import options_from
from speechrnn.jobs.interruption import Interruption
from speechrnn.jobs.listening import Listening, ListenOptions, make_display
from speechrnn.jobs.live_output import open_outputs
from speechrnn.transcription.streamer import StreamingRecognizer
from speechrnn.transcription.streaming_options import StreamingOptions


@recipe("listen")
def main(config: DictConfig) -> int:
    """Print events, and write transcripts that are whole at any moment."""
    options = options_from(config, ListenOptions)
    torch.set_num_threads(1)  # the calls for one stream are small: more threads only take more processor time
    streaming = options_from(config, StreamingOptions)
    recognizer = StreamingRecognizer.from_options(options.model, streaming)
    source = open_live(
        options.input,
        recognizer.sampling_rate,
        rate=options.rate,
        format=options.format,
        channels=options.channels,
        pace=options.pace,
        packet=options.packet,
        microphone=options.microphone,
    )
    outputs = open_outputs(
        options.outputs, source.name, recognizer.name, decoding=recognizer.decoding, subtitles=options.subtitles
    )
    listening = Listening(
        source,
        recognizer.stream,
        make_display(options.show),
        outputs=outputs,
        when_slow=options.when_slow,
        slow_after=options.slow_after,
    )
    with Interruption(listening.stop):
        try:
            listening.run()
        except AudioError as error:
            print(f"speechrnn: {error}", file=sys.stderr)
            return FAILED
    return OK


if __name__ == "__main__":
    main()
