"""Claim: word and character error rates take no longer than jiwer's, and are the same to the last digit.

2,620 utterances of 20 words (the size of LibriSpeech's test-clean) of an invented vocabulary; every tenth word of a
hypothesis is another word, missing, or followed by one that does not belong there. The peer is jiwer
(`process_words`, `process_characters`), which also counts with rapidfuzz. Both run on one core; --threads changes
nothing here.
"""

from __future__ import annotations

import random
import string

from timing import in_turn, machine, parser, result, stop

UTTERANCES, WORDS = 2620, 20
VOCABULARY = 5000
WRONG = 0.1  # share of the reference's words


def texts(utterances: int) -> tuple[list[str], list[str]]:
    """Make references and hypotheses; the same ones each time."""
    generator = random.Random(0)
    letters = string.ascii_lowercase
    vocabulary = ["".join(generator.choices(letters, k=generator.randint(2, 9))) for _ in range(VOCABULARY)]
    references, hypotheses = [], []
    for _ in range(utterances):
        words = generator.choices(vocabulary, k=WORDS)
        recognised = []
        for word in words:
            if generator.random() >= WRONG:
                recognised.append(word)
            else:
                recognised += generator.choice(([], [generator.choice(vocabulary)], [word, word[:2]]))
        references.append(" ".join(words))
        hypotheses.append(" ".join(recognised))
    return references, hypotheses


def main() -> None:
    """See the module."""
    given = parser(__doc__, 5).parse_args()
    import jiwer

    from speechrnn.evaluation.metrics import Errors, character_errors, word_errors

    utterances, repeats = (UTTERANCES // 10, 3) if given.quick else (UTTERANCES, given.repeats)
    references, hypotheses = texts(utterances)
    rates = (
        (sum(word_errors(references, hypotheses), Errors()).rate, jiwer.wer(references, hypotheses)),
        (sum(character_errors(references, hypotheses), Errors()).rate, jiwer.cer(references, hypotheses)),
    )
    if any(ours != peer for ours, peer in rates):
        stop(f"the rates differ and cannot be compared: {rates}.")
    print(machine(1))
    print(f"{utterances} utterances of {WORDS} words, WER {rates[0][0]:.4%}, CER {rates[1][0]:.4%}")
    words = in_turn(
        {
            "ours": lambda: word_errors(references, hypotheses),
            "peer": lambda: jiwer.process_words(references, hypotheses),
        },
        repeats,
    )
    characters = in_turn(
        {
            "ours": lambda: character_errors(references, hypotheses),
            "peer": lambda: jiwer.process_characters(references, hypotheses),
        },
        repeats,
    )
    print(result("word_errors", 1000 * words["ours"], 1000 * words["peer"], unit="ms"))
    print(result("character_errors", 1000 * characters["ours"], 1000 * characters["peer"], unit="ms"))


if __name__ == "__main__":
    main()
