"""Continuous batching: sequences are generated side by side, and where one ends the next waiting one takes its slot."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from speechrnn.generation.detokenizer import Detokenizer
from speechrnn.generation.fixed_batches import FixedBatches, each_on_failure, pad_index, prefill_prompts
from speechrnn.generation.results import Prompt, Result
from speechrnn.generation.sampler import Sampler
from speechrnn.generation.sequence import TokenSequence

PREFILL_PROMPTS = 256  # prompts read together, at least
MAX_PENDING = 4096  # results that may wait for an earlier one, since results come in order


@dataclass
class SequenceGroup:
    """The completions of one prompt while they are generated."""

    prompt: Prompt
    sequences: list[TokenSequence]

    @property
    def finished(self) -> bool:
        """Return whether all completions are finished."""
        return all(sequence.finished for sequence in self.sequences)

    def result(self) -> Result:
        """Return the completions, in their order, or the error of the first that failed."""
        try:
            if error := next((sequence.error for sequence in self.sequences if sequence.error), None):
                return Result.from_error(self.prompt, error)
            completions = tuple(sequence.completion() for sequence in self.sequences)
            return Result(self.prompt.id, self.prompt.text, completions)
        except Exception as error:
            return Result.from_error(self.prompt, error)


class SamplingEngine:
    """An engine that draws tokens, or takes the most probable ones.

    Attributes:
        generated: tokens so far.
    """

    def __init__(self, batches: FixedBatches, detokenizer: Detokenizer, batch_size: int) -> None:
        """Hold a model. `batch_size`: maximum number of sequences at a time; no text depends on it."""
        self.batches = batches
        self.detokenizer = detokenizer
        self.sampler = Sampler(batches, detokenizer.unknown)
        self.states = batches.model.start(batch_size)
        self.free_slots = list(range(batch_size))  # rows of `states`
        self.slots: list[int] = []  # of the active sequences
        self.active: list[TokenSequence] = []
        self.waiting: deque[tuple[TokenSequence, Tensor]] = deque()  # each with its state
        self.pending: deque[SequenceGroup | Result] = deque()  # not returned yet, in order
        self.window = max(batch_size, PREFILL_PROMPTS)
        self.generated = 0

    def run(self, prompts: Iterable[Prompt | Result]) -> Iterator[Result]:
        """Complete prompts, of which only those at work are in memory; results come in the order of the prompts.

        An item that is a result already is returned in its place.
        """
        source = prefill_prompts(self.batches, prompts, self.window)
        while True:
            self._admit(source)
            if self.active:
                self._step()
            elif not self.pending:
                return
            while self.pending and (isinstance(first := self.pending[0], Result) or first.finished):
                self.pending.popleft()
                yield first if isinstance(first, Result) else first.result()

    def stream(self, prompt: Prompt) -> Iterator[str]:
        """Complete one prompt, and yield the text of each token as it is generated."""
        self._admit(prefill_prompts(self.batches, [prompt], 1))
        (sequence,) = self.active
        while self.active:
            shown = len(sequence.texts)
            self._step()
            if sequence.error is not None:
                raise sequence.error
            sequence.detokenize()
            yield "".join(sequence.texts[shown:])
        self.pending.clear()

    def _admit(self, source: Iterator[tuple[Prompt | Result, Tensor | None]]) -> None:
        """Fill the free slots with waiting sequences, and take prompts from the source where none is waiting."""
        while self.free_slots:
            if self.waiting:
                sequence, start = self.waiting.popleft()
                self.slots.append(self.free_slots.pop())
                self.active.append(sequence)
                self.states[self.slots[-1]] = start
                continue
            if len(self.pending) >= max(MAX_PENDING, 2 * self.window):
                return
            item, state = next(source, (None, None))
            if isinstance(item, Prompt) and state is not None:
                count = item.options.num_return_sequences
                sequences = [TokenSequence.start(item, self.detokenizer, number) for number in range(count)]
                self.waiting.extend((sequence, state) for sequence in sequences)
                self.pending.append(SequenceGroup(item, sequences))
            elif isinstance(item, Result):
                self.pending.append(item)
            else:
                return

    def _step(self) -> None:
        """Generate one token of each active sequence."""
        active = self.active
        slots = self.batches.index(self.slots)
        last = self.batches.index([sequence.last for sequence in active])
        outputs = self.states.new_empty(len(active), self.batches.model.recurrent[-1].network.hidden_size)

        def work(first: int, end: int, size: int) -> None:
            rows = slots[first:end]
            output, states = self.batches.model.step(
                self.states[pad_index(rows, size)], pad_index(last[first:end], size)
            )
            self.states[rows] = states[: end - first]
            outputs[first:end] = output[: end - first]

        self.batches.for_each(work, len(active))

        def choose(rows: Sequence[int]) -> list[tuple[int, float]]:
            chosen = outputs if len(rows) == len(active) else outputs[self.batches.index(rows)]
            return list(zip(*self.sampler.choose(chosen, [active[row] for row in rows]), strict=True))

        for sequence, choice in zip(active, each_on_failure(choose, range(len(active))), strict=True):
            try:
                if isinstance(choice, Exception):
                    raise choice
                sequence.add(*choice)
            except Exception as error:
                sequence.error = error
        self.generated += len(active)
        if any(sequence.finished for sequence in active):
            in_slots = list(zip(active, self.slots, strict=True))
            self.free_slots += [slot for sequence, slot in in_slots if sequence.finished]
            self.slots = [slot for sequence, slot in in_slots if not sequence.finished]
            self.active = [sequence for sequence in active if not sequence.finished]
