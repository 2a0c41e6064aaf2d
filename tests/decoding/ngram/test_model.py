"""N-gram models as tensors: against what can be followed by hand, plain backing off, and KenLM."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from helpers.arpa import SMALL
from hypothesis import given, settings
from hypothesis import strategies as st

from speechrnn.core.errors import UserError
from speechrnn.decoding.ngram import model as ngram
from speechrnn.decoding.ngram.arpa import LN_10, Ngrams, write_arpa
from speechrnn.decoding.ngram.kneser_ney import kneser_ney
from speechrnn.decoding.ngram.model import NgramModel, read_ngram
from speechrnn.decoding.scorers.language_model import LanguageModelProtocol
from speechrnn.text.tokenizers import CharTokenizer, Tokenizer, WordTokenizer

TOKENIZER = CharTokenizer.build([], "ba ")  # blank 0, b 1, a 2, space 3


@pytest.fixture
def small(tmp_path: Path) -> Path:
    (tmp_path / "small.arpa").write_text(SMALL)
    return tmp_path / "small.arpa"


@pytest.fixture(params=["table", "looked up"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """All states worked out beforehand, and each when it is asked for."""
    if request.param != "table":
        monkeypatch.setattr(ngram, "DENSE", 0)


def after(model: LanguageModelProtocol, tokens: list[int]) -> torch.Tensor:
    """(1,) the state after these tokens of a line."""
    states = torch.tensor([model.begin()])
    for token in tokens:
        states = model.extend(states, torch.tensor([token]))
    return states


def of_line(model: LanguageModelProtocol, tokens: list[int]) -> list[float]:
    """Log-probabilities of the tokens of a line and of its end."""
    return [model.log_probs(after(model, tokens[:place]))[0, token].item() for place, token in enumerate([*tokens, 0])]


def backed_off(ngrams: Ngrams, tokens: list[int]) -> list[float]:
    """The same by the definition of backing off, n-gram by n-gram."""
    tables = [
        {tuple(row): (p, b) for row, p, b in zip(w.tolist(), p.tolist(), b.tolist(), strict=True)}
        for w, p, b in zip(ngrams.words, ngrams.log_probs, ngrams.backoffs, strict=True)
    ]

    def score(context: tuple[int, ...], token: int) -> float:
        whole = (*context, token)
        if whole in tables[len(context)]:
            return tables[len(context)][whole][0]
        return tables[len(context) - 1].get(context, (0.0, 0.0))[1] + score(context[1:], token)

    line = [len(ngrams.names), *tokens, 0]
    return [score(tuple(line[max(0, end - ngrams.order + 1) : end]), line[end]) for end in range(1, len(line))]


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    ("text", "scores"),
    [
        ("ab", [-0.1, -0.05, -0.15]),  # <s> a, <s> a b, a b </s>
        ("b", [-0.3 - 0.7, -0.2]),  # <s> backs off; b </s>
        ("ba", [-1.0, -0.1 - 0.5, -0.2 - 0.6]),
        ("aa", [-0.1, -0.4 - 0.2 - 0.5, -0.2 - 0.6]),  # of <s> a, and of a
        ("ab ", [-0.1, -0.05, -0.25 - 0.3, -0.05 - 0.6]),  # a b backs off to b <space>
        ("", [-0.3 - 0.6]),
    ],
)
def test_scores_that_can_be_followed_by_hand(small: Path, text: str, scores: list[float]) -> None:
    model = read_ngram(small, TOKENIZER)
    assert of_line(model, TOKENIZER.encode(text)) == pytest.approx([score * LN_10 for score in scores], abs=1e-5)


def test_without_a_tokenizer_the_tokens_are_the_file_s_words(small: Path) -> None:
    model = read_ngram(small)
    assert model.words == ["<blank>", "<unk>", "a", "b", " "]
    assert model.vocabulary == 5
    assert of_line(model, [2, 1, 4]) == pytest.approx(
        [score * LN_10 for score in (-0.1, -0.4 - 0.2 - 1.5, -0.9, -0.05 - 0.6)], abs=1e-5
    )


@pytest.mark.usefixtures("way")
def test_what_the_model_does_not_know_is_unknown_to_it(small: Path) -> None:
    """With the tokenizer's own `<unk>` and without, in contexts too."""
    text = SMALL.replace("ngram 2=4", "ngram 2=5").replace("-0.2\tb </s>", "-0.2\tb </s>\n-0.35\t<unk> a\n")
    small.write_text(text)
    for unknown in (False, True):
        tokenizer = CharTokenizer.build([], "bdac ", unknown=unknown)
        model = read_ngram(small, tokenizer)
        assert model.missing == ["d", "c"]
        tokens = tokenizer.encode("adca")
        if unknown:
            tokens[2] = 1
        scores = [-0.1, -0.4 - 0.2 - 1.5, -1.5, -0.35, -0.2 - 0.6]
        assert of_line(model, tokens) == pytest.approx([score * LN_10 for score in scores], abs=1e-5)
        assert model.log_probs(after(model, [])).shape == (1, len(tokenizer))


@pytest.mark.usefixtures("way")
def test_words_that_are_no_tokens_are_left_out(small: Path) -> None:
    tokenizer = CharTokenizer.build([], "b ")
    model = read_ngram(small, tokenizer)
    full = read_ngram(small, TOKENIZER)
    for text in ("b b", "", "bb "):
        assert of_line(model, tokenizer.encode(text)) == pytest.approx(of_line(full, TOKENIZER.encode(text)))


@pytest.mark.usefixtures("way")
def test_the_end_of_a_line_is_the_begin_of_the_next(small: Path) -> None:
    model = read_ngram(small, TOKENIZER)
    assert model.extend(after(model, [2, 1]), torch.tensor([0])).tolist() == [model.begin()]


def random_lines(seed: int, symbols: int, lines: int = 30, longest: int = 8) -> list[list[int]]:
    draw = random.Random(seed)
    # The square makes some symbols frequent and others rare.
    return [
        [1 + int(draw.random() ** 2 * (symbols - 1)) for _ in range(draw.randrange(longest + 1))] for _ in range(lines)
    ]


@settings(max_examples=15)
@given(seed=st.integers(0, 10**6), order=st.integers(1, 5))
def test_equals_plain_backing_off_and_does_not_depend_on_the_batch(seed: int, order: int) -> None:
    words = WordTokenizer.build(["a b c d e f"])
    ngrams = kneser_ney(random_lines(seed, len(words), lines=15), words.symbols, order)
    fast = NgramModel(ngrams)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ngram, "DENSE", 0)
        slow = NgramModel(ngrams)
    lines = random_lines(seed + 1, len(words), lines=6)
    for line in lines:
        expected = backed_off(ngrams, line)
        assert of_line(slow, line) == pytest.approx(expected, abs=1e-4)
        assert of_line(fast, line) == pytest.approx(expected, abs=1e-4)
    states = torch.cat([after(slow, line) for line in lines])
    together = slow.log_probs(states)
    assert torch.equal(together, torch.cat([slow.log_probs(state[None]) for state in states]))
    assert torch.equal(together, fast.log_probs(states))
    tokens = torch.arange(slow.vocabulary)
    for state, row in zip(states, together, strict=True):
        assert torch.equal(slow.log_prob(state.expand_as(tokens), tokens), row)


def kenlm_scores(path: Path, names: list[str], line: list[int]) -> list[float]:
    decoder = pytest.importorskip("flashlight.lib.text.decoder.kenlm", reason="no wheel of flashlight-text here")
    from flashlight.lib.text.dictionary import Dictionary

    dictionary = Dictionary()
    for name in names:
        dictionary.add_entry(name)
    model = decoder.KenLM(str(path), dictionary)
    state, scores = model.start(False), []
    for token in line:
        state, score = model.score(state, token)
        scores.append(score * LN_10)
    return [*scores, model.finish(state)[1] * LN_10]


@pytest.mark.parametrize(("kind", "order"), [("word", 3), ("word", 2), ("char", 4)])
def test_equals_kenlm_on_the_same_file(tmp_path: Path, kind: str, order: int) -> None:
    texts = ["go to one", "go to b", "go b", "b one to", "to go", "one one b to go"]
    tokenizer: Tokenizer = WordTokenizer.build(texts) if kind == "word" else CharTokenizer.build(texts)
    ngrams = kneser_ney(map(tokenizer.encode, texts), tokenizer.symbols, order)
    path = tmp_path / "model.arpa"
    write_arpa(path, ngrams)
    model = read_ngram(path, tokenizer)
    for line in random_lines(7, len(tokenizer), lines=20):  # KenLM reads no model of order 1
        assert of_line(model, line) == pytest.approx(kenlm_scores(path, ngrams.names, line), abs=1e-4)


def test_equals_kenlm_on_unknown_words(small: Path) -> None:
    tokenizer = CharTokenizer.build([], "bca ")
    model = read_ngram(small, tokenizer)
    for line in random_lines(3, len(tokenizer), lines=20):
        expected = kenlm_scores(small, ["</s>", "b", "c", "a", "<space>"], line)
        assert of_line(model, line) == pytest.approx(expected, abs=1e-4)


def test_n_grams_without_their_beginnings_and_doubles_are_refused(small: Path) -> None:
    small.write_text(SMALL.replace("-0.05\t<s> a b", "-0.05\t<s> b a"))
    with pytest.raises(UserError, match="holds '<s> b a' without the shorter n-gram"):
        read_ngram(small, TOKENIZER)
    small.write_text(SMALL.replace("-0.2\tb </s>", "-0.2\tb <space>"))
    with pytest.raises(UserError, match="holds the 2-gram 'b <space>' twice"):
        read_ngram(small, TOKENIZER)


def test_unreachable_n_grams_are_left_out(small: Path) -> None:
    """SRILM's models may hold them."""
    small.write_text(
        SMALL.replace("ngram 2=4", "ngram 2=6").replace("-0.2\tb </s>", "-0.2\tb </s>\n-1 </s> a\n-2 a <s>")
    )
    assert of_line(read_ngram(small, TOKENIZER), [2, 1]) == pytest.approx([-0.1 * LN_10, -0.05 * LN_10, -0.15 * LN_10])


@pytest.mark.gpu
def test_the_same_on_a_gpu() -> None:
    words = WordTokenizer.build(["a b c d e f"])
    ngrams = kneser_ney(random_lines(1, len(words)), words.symbols, 3)
    for dense in (0, 2**24):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ngram, "DENSE", dense)
            here, there = NgramModel(ngrams), NgramModel(ngrams, device="cuda")
        states, tokens = torch.tensor([here.begin()] * 5), torch.tensor([1, 2, 3, 4, 0])
        for _ in range(4):
            follows = there.extend(states.cuda(), tokens.cuda()).cpu()
            states = here.extend(states, tokens)
            assert torch.equal(follows, states)
            assert torch.equal(there.log_probs(states.cuda()).cpu(), here.log_probs(states))
