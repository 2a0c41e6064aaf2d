"""Claim: beam search as tensors is 5 times as fast as flashlight-text's, and 500 times with an LSTM language model.

Without scorers, the peer is the lexicon-free decoder of flashlight-text with a language model that says nothing; it
takes one utterance at a time, ours takes --batches of them. With an LSTM of 512 units over the same characters, the
peer is torchaudio's `ctc_decoder`, which is flashlight-text's too, with the LSTM behind its CTCDecoderLM, in three
ways: `lstm` runs it whenever it is called, for each label of each hypothesis in each frame; `lstm_documented` only for
prefixes that are new, as torchaudio's tutorial does; `lstm_lazy` only for those from which something goes on. Both
sides add up paths, leave nothing out (no thresholds), and are given random emissions in favour of the blank: 29
symbols, 250 frames (--quick: 6 frames with the LSTM, since the callback takes half a minute for 250).

Times are seconds an utterance. First, both must give the same best scores on confident emissions, where either's beam
holds what matters. On random ones no beam does, and flashlight-text's holds less, since it keeps the paths of a prefix
that end in a blank apart from the others: the mean best score of both is printed, the higher the better.

`memory_beam_100` and `memory_frames_10000` are the peak of a process that decodes 8 utterances with the LSTM in a wider
beam or 40 times as long, against that of beam 10 and 250 frames.

With --model, the emissions of AN4's test files are decoded, too, with the thresholds that decoding has by itself, and
with --language there, that LSTM against our own search with a 6-gram of the training transcripts' characters.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from an4 import ROOT, test_files
from flashlight.lib.text.decoder import CriterionType, LexiconFreeDecoder, LexiconFreeDecoderOptions, ZeroLM
from timing import in_turn, machine, parser, positive, result, stop
from torch import Tensor
from torchaudio.models.decoder import CTCDecoder, CTCDecoderLM, CTCDecoderLMState, ctc_decoder

from speechrnn.core.errors import UserError
from speechrnn.decoding.beam_search import BeamOptions, beam_search
from speechrnn.decoding.scorers.base import LabelScorer, WeightedScorer
from speechrnn.decoding.scorers.neural import NeuralModel
from speechrnn.nn.language import END_OF_LINE, LanguageModel, LanguageOptions
from speechrnn.text.tokenizers import Tokenizer

SYMBOLS, FRAMES = 29, 250
BLANK_BONUS = 3.0  # natural logarithm, beside scores of a standard deviation of 1
WEIGHT = 0.5  # of the language model
TOLERANCE = 1e-3  # of best scores
EXACT: dict[str, Any] = {"blank_threshold": 1.0, "symbol_threshold": 0.0, "beam_threshold": None}

Way = Literal["lstm", "lstm_documented", "lstm_lazy"]
WAYS: tuple[Way, ...] = ("lstm", "lstm_documented", "lstm_lazy")
Emissions = tuple[Tensor, Tensor]  # (batch, frames, symbols) log-probabilities, (batch,) true frames


def random_emissions(batch: int, frames: int) -> Emissions:
    """In favour of the blank, and not sure of anything."""
    scores = torch.randn(batch, frames, SYMBOLS, generator=torch.Generator().manual_seed(0))
    scores[:, :, 0] += BLANK_BONUS
    return scores.log_softmax(2), torch.full((batch,), frames)


def confident_emissions(batch: int, frames: int) -> Emissions:
    """Every other frame says one label or another, the ones between say blank."""
    scores, counts = random_emissions(batch, frames)
    path = torch.randint(1, SYMBOLS, (batch, frames), generator=torch.Generator().manual_seed(1))
    path[:, ::2] = 0
    return (scores + 12.0 * torch.nn.functional.one_hot(path, SYMBOLS)).log_softmax(2), counts


def ours(
    emissions: Emissions, beam_size: int, scorers: Sequence[WeightedScorer] = (), exact: bool = True
) -> list[float]:
    """Our best scores."""
    options = BeamOptions(beam_size=beam_size)
    if exact:
        options = replace(options, **EXACT)
    return [readings[0].score for readings in beam_search(*emissions, scorers, options)]


def flashlight(emissions: Emissions, beam_size: int) -> list[float]:
    """The best scores of flashlight-text's decoder without a language model."""
    symbols = emissions[0].shape[2]
    options = LexiconFreeDecoderOptions(
        beam_size=beam_size,
        beam_size_token=symbols,
        beam_threshold=1e9,
        lm_weight=0.0,
        sil_score=0.0,
        log_add=True,
        criterion_type=CriterionType.CTC,
    )
    decoder = LexiconFreeDecoder(options, ZeroLM(), symbols, 0, [])  # a silence that is none of the symbols
    rows = [row[:count].contiguous() for row, count in zip(emissions[0], emissions[1].tolist(), strict=True)]
    return [float(decoder.decode(row.data_ptr(), *row.shape)[0].score) for row in rows]


class Callback(CTCDecoderLM):
    """The LSTM as torchaudio's decoder asks it: for one state and one label at a time."""

    def __init__(self, model: LanguageModel, way: Way) -> None:
        """`way`: when a state is computed: whenever it is reached, the first time that it is, or when it goes on."""
        super().__init__()
        self.model = model
        self.way = way
        self.known: dict[CTCDecoderLMState, tuple[Tensor, list[float]]] = {}
        self.waiting: dict[CTCDecoderLMState, tuple[CTCDecoderLMState, int]] = {}

    def start(self, start_with_nothing: bool) -> CTCDecoderLMState:
        """The state at a line's beginning."""
        self.known.clear()
        self.waiting.clear()
        state = CTCDecoderLMState()
        self.known[state] = self.read(self.model.start(1), END_OF_LINE)
        return state

    def score(self, state: CTCDecoderLMState, token_index: int) -> tuple[CTCDecoderLMState, float]:
        """The state after a label, and the label's log-probability."""
        after = state.child(token_index)
        value = self.of(state)[1][token_index]
        if self.way == "lstm":
            self.known.pop(after, None)
        if after not in self.known and after not in self.waiting:
            self.waiting[after] = state, token_index
            if self.way != "lstm_lazy":
                self.of(after)
        return after, value

    def finish(self, state: CTCDecoderLMState) -> tuple[CTCDecoderLMState, float]:
        """The same state, and the log-probability that the line ends there."""
        return state, self.of(state)[1][END_OF_LINE]

    def of(self, state: CTCDecoderLMState) -> tuple[Tensor, list[float]]:
        """The LSTM's state, and the log-probabilities of what follows."""
        if state not in self.known:
            before, token = self.waiting.pop(state)
            self.known[state] = self.read(self.known[before][0], token)
        return self.known[state]

    @torch.inference_mode()
    def read(self, state: Tensor, token: int) -> tuple[Tensor, list[float]]:
        """(1, state_size) -> the same after one more label, and the log-probabilities of what follows."""
        log_probs, state = self.model.score(state, torch.tensor([token]))
        return state, log_probs[0].tolist()


def torchaudio_decoder(model: LanguageModel, beam_size: int, way: Way) -> CTCDecoder:
    """torchaudio's decoder with the LSTM."""
    symbols = [*(f"s{number}" for number in range(SYMBOLS)), "silence"]  # the last one comes in no emission
    return ctc_decoder(
        lexicon=None,
        tokens=symbols,
        lm=Callback(model, way),
        beam_size=beam_size,
        beam_size_token=SYMBOLS,
        beam_threshold=1e9,
        lm_weight=WEIGHT,
        log_add=True,
        blank_token=symbols[0],
        sil_token=symbols[-1],
        unk_word=symbols[-1],
    )


def torchaudio_scores(decoder: CTCDecoder, emissions: Emissions) -> list[float]:
    """The best scores of torchaudio's decoder."""
    return [float(found[0].score) for found in decoder(emissions[0], emissions[1].int())]


def agree(name: str, found: Sequence[float], peers: Sequence[float]) -> None:
    """End the script where the two sides' best scores are not the same."""
    worst = max(abs(score - other) for score, other in zip(found, peers, strict=True))
    print(f"{name}: best scores on confident emissions differ by at most {worst:.1e}")
    if not worst <= TOLERANCE:
        stop(f"{name}: the best scores differ by {worst:.1e}, so the times cannot be compared.")


def show(name: str, found: Sequence[float], peers: Sequence[float]) -> None:
    """Print the mean best scores of both sides, of utterances that both have."""
    count = min(len(found), len(peers))
    print(f"{name}: mean best score {sum(found[:count]) / count:.3f}, peer {sum(peers[:count]) / count:.3f}")


def without_scorers(given: argparse.Namespace) -> list[str]:
    """Against flashlight-text."""
    sure = confident_emissions(4, 40)
    agree("without_scorers", ours(sure, 100), flashlight(sure, 200))
    lines = []
    for batch in given.batches:
        for beam_size in given.beams:
            name = f"batch{batch}_beam{beam_size}"
            emissions = random_emissions(batch, FRAMES)
            few = emissions[0][: given.peers], emissions[1][: given.peers]
            show(name, ours(emissions, beam_size), flashlight(few, beam_size))
            sides = {"ours": partial(ours, emissions, beam_size), "peer": partial(flashlight, few, beam_size)}
            seconds = in_turn(sides, given.repeats, warm_up=False)
            lines.append(result(name, seconds["ours"] / batch, seconds["peer"] / len(few[0]), unit="s an utterance"))
    return lines


def with_lstm(given: argparse.Namespace) -> list[str]:
    """Against torchaudio with a callback, at beam 10."""
    model = make_lstm()
    scorers = [WeightedScorer(LabelScorer(NeuralModel(model), torch.arange(SYMBOLS)), WEIGHT, "language")]
    sure = confident_emissions(2, 6)
    emissions = random_emissions(1, given.callback_frames)
    peers: dict[str, Callable[[], list[float]]] = {}
    for way in WAYS:
        decoder = torchaudio_decoder(model, 10, way)
        agree(way, ours(sure, 10, scorers), torchaudio_scores(decoder, sure))
        peers[way] = partial(torchaudio_scores, decoder, emissions)
    sides: dict[str, Callable[[], list[float]]] = {}
    for batch in given.batches:
        emissions = random_emissions(batch, given.callback_frames)
        sides[f"batch{batch}"] = partial(ours, emissions, 10, scorers)
        show(f"lstm_batch{batch}_beam10", sides[f"batch{batch}"](), peers["lstm_lazy"]())
    seconds = in_turn(sides, given.repeats, warm_up=False)
    seconds |= in_turn(peers, 1, warm_up=False)  # once is long enough
    unit = f"s an utterance of {given.callback_frames} frames"
    return [
        result(f"{way}_batch{batch}_beam10", seconds[f"batch{batch}"] / batch, seconds[way], unit=unit)
        for batch in given.batches
        for way in reversed(WAYS)
    ]


def on_an4(given: argparse.Namespace) -> list[str]:
    """Real emissions: against flashlight-text, and an LSTM against our own search with an n-gram."""
    from speechrnn.audio import load_audio
    from speechrnn.data.dataset import pad
    from speechrnn.nn.acoustic import load_acoustic

    model, tokenizer = load_acoustic(given.model)
    lines = []
    for batch in given.batches:
        rate = model.front_end.options.sampling_rate
        padded, lengths = pad([load_audio(file, rate)[0] for file in test_files(given.root)[:batch]])
        with torch.inference_mode():
            emissions = model(padded, lengths)
        for beam_size in given.beams:
            name = f"an4_batch{batch}_beam{beam_size}"
            show(name, ours(emissions, beam_size, exact=False), flashlight(emissions, beam_size))
            sides = {
                "ours": partial(ours, emissions, beam_size, exact=False),
                "peer": partial(flashlight, emissions, beam_size),
            }
            seconds = in_turn(sides, given.repeats, warm_up=False)
            lines.append(result(name, seconds["ours"] / batch, seconds["peer"] / batch, unit="s an utterance"))
        if given.language is not None:
            lines += against_ngram(given, emissions, tokenizer)
    return lines


def against_ngram(given: argparse.Namespace, emissions: Emissions, tokenizer: Tokenizer) -> list[str]:
    """The LSTM of --language against a 6-gram, both in our search; the peer's is the 6-gram's time."""
    from speechrnn.data.corpora.an4 import utterances
    from speechrnn.decoding.fusion import make_language_scorer
    from speechrnn.decoding.ngram.kneser_ney import kneser_ney
    from speechrnn.decoding.ngram.model import NgramModel

    texts = [tokenizer.encode(utterance.text or "") for utterance in utterances(given.root)["train"]]
    ngram = NgramModel(kneser_ney(texts, tokenizer.symbols, 6), tokenizer)
    lstm, _ = make_language_scorer(given.language, tokenizer, None, device="cpu")
    both = {"ours": lstm, "peer": LabelScorer(ngram, torch.arange(len(tokenizer)))}
    batch = len(emissions[0])
    lines = []
    for beam_size in given.beams:
        sides = {
            name: partial(ours, emissions, beam_size, [WeightedScorer(scorer, WEIGHT, name)], exact=False)
            for name, scorer in both.items()
        }
        seconds = in_turn(sides, given.repeats)
        name = f"an4_lstm_by_ngram_batch{batch}_beam{beam_size}"
        lines.append(result(name, seconds["ours"] / batch, seconds["peer"] / batch, unit="s an utterance"))
    return lines


def make_lstm() -> LanguageModel:
    """Untrained, of the size that the claim is about."""
    torch.manual_seed(0)
    return LanguageModel(SYMBOLS, LanguageOptions(layers=1, units=512, embedding=512)).eval()


def peak_memory(beam_size: int, frames: int) -> float:
    """MiB that a process of its own came to, which decodes 8 random utterances with the LSTM."""
    import resource

    scorer = WeightedScorer(LabelScorer(NeuralModel(make_lstm()), torch.arange(SYMBOLS)), WEIGHT, "language")
    ours(random_emissions(8, frames), beam_size, [scorer], exact=False)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def memory(given: argparse.Namespace) -> list[str]:
    """Wider beams and longer utterances against a beam of 10 and 250 frames."""

    def alone(beam_size: int, frames: int) -> float:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
            return process.submit(peak_memory, beam_size, frames).result()

    least = alone(10, FRAMES)
    times = 4 if given.quick else 40
    return [
        result("memory_beam_100", alone(100, FRAMES), least, unit="MiB"),
        result(f"memory_frames_{times * FRAMES}", alone(10, times * FRAMES), least, unit="MiB"),
    ]


def main() -> None:
    """Print the comparison at each batch size and beam."""
    options = parser(__doc__, repeats=5)
    options.add_argument("--batches", type=positive, nargs="+", default=[8, 32])
    options.add_argument("--beams", type=positive, nargs="+", default=[10, 50, 100])
    options.add_argument("--model", type=Path, help="an acoustic model's directory, for AN4's emissions")
    options.add_argument("--language", type=Path, help="a language model's directory, with --model")
    options.add_argument("--root", type=Path, default=ROOT, help="the AN4 corpus")
    given = options.parse_args()
    torch.set_num_threads(given.threads)
    print(f"{machine(given.threads)}, torch {torch.__version__}")
    given.repeats = 2 if given.quick else given.repeats
    given.peers = 2 if given.quick else 8  # utterances of flashlight-text's side
    given.callback_frames = 6 if given.quick else FRAMES
    lines = without_scorers(given) + with_lstm(given) + memory(given)
    if given.model is not None:
        try:
            lines += on_an4(given)
        except UserError as error:
            stop(str(error))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
