"""Decoders over streams: the words of a segment while its log-probabilities come in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from torch import Tensor

from speechrnn.core.errors import UserError
from speechrnn.decoding.alignment import align_words
from speechrnn.decoding.decoder import NO_EVIDENCE, BeamDecoder, Decoder, GreedyDecoder, with_confidences
from speechrnn.decoding.hypothesis import ConfidenceFeatures, DecodingResult, Word
from speechrnn.decoding.streaming_search import SearchState, StreamingSearch
from speechrnn.text.phone_tokenizer import PhoneTokenizer
from speechrnn.text.tokenizers import Tokenizer


@dataclass(eq=False)
class DecodingState:
    """Hold what was read of a segment.

    Attributes:
        blocks: log-probabilities (frames, symbols), one tensor a block.
        search: state of the beam search; None: decoded greedily.
    """

    blocks: list[Tensor] = field(default_factory=list)
    search: SearchState | None = None

    @property
    def log_probs(self) -> Tensor:
        """Return all of the segment's log-probabilities, (frames, symbols)."""
        if len(self.blocks) > 1:
            self.blocks = [torch.cat(self.blocks)]
        return self.blocks[0]


class StreamingDecoder(Protocol):
    """Decode segments of any number of streams, block by block."""

    @property
    def name(self) -> str:
        """Return the name that transcripts give for the decoding."""

    def start(self, hot_words: Sequence[str] = ()) -> DecodingState:
        """Begin a segment, in which some words are expected besides those of the options."""

    def advance(self, states: Sequence[DecodingState], log_probs: Sequence[Tensor]) -> None:
        """Read the next (frames, symbols) log-probabilities of some segments."""

    def partial(self, state: DecodingState) -> tuple[tuple[Word, ...], int]:
        """Return the words so far, and how many of them, from the first, no later frame changes.

        A last word of which there are only some phones is left out.
        """

    def preview(self, state: DecodingState, log_probs: Tensor) -> tuple[tuple[Word, ...], int]:
        """Return what `partial` would after (frames, symbols) more log-probabilities; the segment stays as it is."""

    def finish(self, state: DecodingState) -> DecodingResult:
        """End a segment: return what the decoder of recordings finds in all of its frames."""


class StreamingGreedyDecoder:
    """Decode streams by each frame's most probable symbol: words that have ended stay as they are.

    Raises:
        UserError: hot words, which greedy decoding does not use.
    """

    def __init__(self, decoder: GreedyDecoder) -> None:
        self._decoder = decoder
        self.name = decoder.name

    def start(self, hot_words: Sequence[str] = ()) -> DecodingState:
        """See `StreamingDecoder`."""
        if hot_words:
            raise UserError("hot_words are not used by decoding=greedy; choose decoding=beam.")
        return DecodingState()

    def advance(self, states: Sequence[DecodingState], log_probs: Sequence[Tensor]) -> None:
        """See `StreamingDecoder`."""
        for state, block in zip(states, log_probs, strict=True):
            if len(block):
                state.blocks.append(block)

    def partial(self, state: DecodingState) -> tuple[tuple[Word, ...], int]:
        """See `StreamingDecoder`."""
        if not state.blocks:
            return (), 0
        result = self.finish(state)
        tokenizer, tokens = self._decoder.tokenizer, result.hypotheses[0].tokens
        return without_part(result.words, tokenizer, tokens), closed_words(tokenizer, tokens)

    def preview(self, state: DecodingState, log_probs: Tensor) -> tuple[tuple[Word, ...], int]:
        """See `StreamingDecoder`."""
        return self.partial(DecodingState([*state.blocks, log_probs]))

    def finish(self, state: DecodingState) -> DecodingResult:
        """See `StreamingDecoder`."""
        (result,) = self._decoder(state.log_probs.unsqueeze(0), torch.tensor([len(state.log_probs)]))
        return result


class StreamingBeamDecoder:
    """Decode streams by beam search: words are stable when all hypotheses of the beam share them."""

    def __init__(self, decoder: BeamDecoder, device: torch.device) -> None:
        """
        Args:
            decoder: of recordings; nothing else may use its scorers.
            device: of the log-probabilities.
        """
        self._decoder = decoder
        self._search = StreamingSearch(decoder.tokenizer, decoder.scorers, decoder.search_options, device=device)
        self.name = decoder.name

    def start(self, hot_words: Sequence[str] = ()) -> DecodingState:
        """See `StreamingDecoder`."""
        return DecodingState(search=self._search.start(hot_words))

    def advance(self, states: Sequence[DecodingState], log_probs: Sequence[Tensor]) -> None:
        """See `StreamingDecoder`."""
        searches = [state.search for state in states if state.search is not None]
        self._search.advance(searches, log_probs)
        for state, block in zip(states, log_probs, strict=True):
            if len(block):
                state.blocks.append(block.cpu())

    def partial(self, state: DecodingState) -> tuple[tuple[Word, ...], int]:
        """See `StreamingDecoder`; the confidence of a word that may still change is too low rather than too high."""
        assert state.search is not None
        return self._words(state, *self._search.best(state.search))

    def preview(self, state: DecodingState, log_probs: Tensor) -> tuple[tuple[Word, ...], int]:
        """See `StreamingDecoder`."""
        assert state.search is not None
        ahead = DecodingState([*state.blocks, log_probs.cpu()])
        return self._words(ahead, *self._search.preview(state.search, log_probs))

    def _words(self, state: DecodingState, tokens: tuple[int, ...], stable: int) -> tuple[tuple[Word, ...], int]:
        """Return the words of labels, and how many of them stable labels spell."""
        decoder = self._decoder
        if not tokens:
            return (), 0
        words = align_words(state.log_probs, tokens, decoder.tokenizer, seconds_per_frame=decoder.seconds_per_frame)
        texts = decoder.words(tokens, ended=False)
        words = tuple(replace(word, word=text) for word, text in zip(words, texts, strict=True))
        closed = min(len(words), closed_words(decoder.tokenizer, tokens[:stable]))
        # All hypotheses share the stable words, those of the whole segment too: that is their posterior.
        posteriors = [1.0] * closed + [NO_EVIDENCE] * (len(words) - closed)
        pairs = zip(posteriors, words, strict=True)
        features = [ConfidenceFeatures(posterior, word.confidence) for posterior, word in pairs]
        words = with_confidences(words, features, decoder.calibration)
        return without_part(words, decoder.tokenizer, tokens), decoder.sure_words(tokens, closed)

    def finish(self, state: DecodingState) -> DecodingResult:
        """See `StreamingDecoder`."""
        assert state.search is not None
        found = self._search.finish(state.search)
        log_probs = state.log_probs
        (result,) = self._decoder.results([found], log_probs.unsqueeze(0), torch.tensor([len(log_probs)]))
        return result


def make_streaming_decoder(decoder: Decoder, device: torch.device) -> StreamingDecoder:
    """Make the decoder of streams that finds what a decoder of recordings finds.

    >>> from speechrnn.text.tokenizers import CharTokenizer
    >>> greedy = GreedyDecoder(CharTokenizer.build(["AB"]), seconds_per_frame=0.02)
    >>> make_streaming_decoder(greedy, torch.device("cpu")).name
    'greedy'

    Args:
        decoder: greedy or by beam search; see `StreamingBeamDecoder`.
        device: of the log-probabilities.

    Raises:
        UserError: another kind of decoder.
    """
    if isinstance(decoder, GreedyDecoder):
        return StreamingGreedyDecoder(decoder)
    if isinstance(decoder, BeamDecoder):
        return StreamingBeamDecoder(decoder, device)
    raise UserError(f"The decoder {decoder.name} cannot be used live; choose decoding=greedy or decoding=beam.")


def closed_words(tokenizer: Tokenizer, tokens: Sequence[int]) -> int:
    """Count the words of a label sequence that no further label can change.

    >>> from speechrnn.text.tokenizers import CharTokenizer
    >>> tokenizer = CharTokenizer.build(["A B"])
    >>> closed_words(tokenizer, tokenizer.encode("AB BA")), closed_words(tokenizer, tokenizer.encode("AB BA "))
    (1, 2)
    """
    if not tokens:
        return 0
    words = len(tokenizer.decode(tokens).split())
    ended = tokenizer.kind == "word" or not tokenizer.decode([tokens[-1]]).strip()
    return words if ended else max(0, words - 1)


def without_part(words: tuple[Word, ...], tokenizer: Tokenizer, tokens: Sequence[int]) -> tuple[Word, ...]:
    """Leave out the last word where its phones spell no word yet; a part of a word in letters can be read."""
    if isinstance(tokenizer, PhoneTokenizer) and tokenizer.ends_in_part(tokens):
        return words[:-1]
    return words
