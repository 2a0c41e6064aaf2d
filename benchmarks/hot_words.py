"""Claim: rare words that a user expects are found more often as hot words than without, at few false alarms.

The hot words are the rare words of the references of the English dev part (of at least four letters, and beyond the
most usual words of the model's dictionary): `expected`. As many rare words that do not occur are `absent`: each of them
in a transcript is a false alarm. For each boost the share of the expected words that is found, the false alarms an
hour, and the word error rates with either list are printed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from english import DATA, Utterance, read
from timing import line, machine, parser, stop

from speechrnn.core.errors import UserError
from speechrnn.decoding.decoder import BeamDecoder
from speechrnn.decoding.fusion import HOT_WORDS
from speechrnn.decoding.scorers.base import WeightedScorer
from speechrnn.decoding.scorers.hot_words import HotWords
from speechrnn.evaluation.metrics import word_errors
from speechrnn.text.phone_tokenizer import PhoneTokenizer
from speechrnn.transcription.transcriber import Transcriber

USUAL = 5000  # words of the dictionary that are not rare
LETTERS = 4  # of a rare word at least
BATCH = 8  # utterances
BOOSTS = (0.0, 3.0, 6.0, 10.0, 14.0)


def choose_words(tokenizer: PhoneTokenizer, utterances: Sequence[Utterance]) -> tuple[list[str], list[str]]:
    """Return the rare words of the references, and as many that do not occur in them, at even distances."""
    spoken = {word for utterance in utterances for word in utterance.text.split()}
    rare = [word for word in list(tokenizer.pronunciations.words)[USUAL:] if len(word) >= LETTERS]
    expected = [word for word in rare if word in spoken]
    absent = [word for word in rare if word not in spoken]
    return expected, absent[:: max(1, len(absent) // max(1, len(expected)))][: len(expected)]


def decode(decoder: BeamDecoder, emissions: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> list[str]:
    """Return the texts of batches of (batch, frames, symbols) log-probabilities with (batch,) frames."""
    return [result.texts[0] for batch in emissions for result in decoder(*batch)]


def found(utterances: Sequence[Utterance], texts: Sequence[str], words: Sequence[str]) -> tuple[int, int]:
    """Return how many of the words in the references are in the texts too, and how many stand in the texts alone."""
    hits = alarms = 0
    for utterance, text in zip(utterances, texts, strict=True):
        spoken, written = utterance.text.split(), text.split()
        for word in words:
            both = min(spoken.count(word), written.count(word))
            hits += both
            alarms += written.count(word) - both
    return hits, alarms


def main() -> None:
    """Print the rates for each boost, and the ratio of the last lines for the default."""
    options = parser(__doc__, repeats=1)
    options.add_argument("--root", type=Path, default=DATA, help="the folder of english")
    options.add_argument("--every", type=int, default=3, help="take every n-th utterance")
    options.add_argument("--boosts", type=float, nargs="+", default=BOOSTS, help="the first one is the peer")
    args = options.parse_args()
    torch.set_num_threads(args.threads)
    print(machine(args.threads))
    utterances = read(args.root, "dev", 40 if args.quick else args.every)
    try:
        transcriber = Transcriber.load("english", device="cpu", precision="float32")
    except UserError as error:
        stop(str(error))
    decoder, tokenizer = transcriber.decoder, transcriber.tokenizer
    if not isinstance(decoder, BeamDecoder) or not isinstance(tokenizer, PhoneTokenizer):
        stop("The model of English is not decoded by the beam search over phones.")
    expected, absent = choose_words(tokenizer, utterances)
    starts = range(0, len(utterances), BATCH)
    emissions = [
        transcriber.compute_emissions([utterance.samples for utterance in utterances[start : start + BATCH]])
        for start in starts
    ]
    hours = sum(len(utterance.samples) for utterance in utterances) / 16000 / 3600
    occurrences = sum(utterance.text.split().count(word) for utterance in utterances for word in expected)
    print(f"{len(utterances)} utterances, {hours:.3f} h; {len(expected)} hot words in {occurrences} places", flush=True)
    shares = []
    for boost in args.boosts:
        rates = []
        for words in (expected, absent) if boost else (expected,):
            hot = WeightedScorer(HotWords(dict.fromkeys(words, 1.0), tokenizer), boost, HOT_WORDS)
            texts = decode(replace(decoder, scorers=[*decoder.scorers, hot]), emissions)
            errors = word_errors([utterance.text for utterance in utterances], texts)
            rate = sum(error.errors for error in errors) / sum(error.reference_length for error in errors)
            hits, alarms = found(utterances, texts, words)
            rates.append((rate, hits, alarms))
        (rate, hits, alarms), (absent_rate, _, absent_alarms) = rates[0], rates[-1]
        shares.append(100 * hits / max(1, occurrences))
        print(
            f"boost {boost:4.1f}: {shares[-1]:5.1f} % found, {alarms / hours:6.1f} wrongly an hour, "
            f"WER {100 * rate:.2f} %; "
            + (f"absent words {absent_alarms / hours:6.1f} an hour, WER {100 * absent_rate:.2f} %" if boost else ""),
            flush=True,
        )
    print(
        line(
            "hot_words", shares[-1] / max(shares[0], 1e-9), shares[-1], peer=shares[0], unit="% of the hot words found"
        )
    )


if __name__ == "__main__":
    main()
