"""Claim: texts written by the batch come at least 100 times as fast as from a loop over one stream.

Ours is `TextPredictor`, which draws from the whole distribution. The peer is the loop of word_language_model's
`generate.py`: one stream, one word at a time through nn.LSTM, log_softmax, exp and torch.multinomial, on the same
weights and with the same threads; the log-probabilities of both must agree before anything is timed. The model is that
script's 2 x 200 with a full softmax over 14,564 and over 33,278 words, and the latter with our default for such a
vocabulary, an adaptive softmax, whose clusters are drawn as often as WikiText-2 has their words; the peer computes all
of it for each word, as `log_probs` does. Weights are random: what they say does not matter here, only how often.

`waiting_4096` are that many prompts, whose texts are 1 to 59 words long, at a batch of 256: rows that end are replaced.
`possible_...` is what the whole float32 matrix-product peak of the machine, measured in the same turns, could give a
full softmax at any batch size, and `share_of_peak_...` how much of it is reached. `priming_...` reads 1,000 prompts of
200 words; the peer reads one prompt after the other in one call of nn.LSTM each. The last of these share 180 words.
"""

from __future__ import annotations

import resource
from collections.abc import Callable, Sequence
from functools import partial

import torch
from timing import in_turn, machine, parser, result, share, stop
from torch import Tensor, nn

from speechrnn.generation.options import GenerationOptions
from speechrnn.generation.predictor import TextPredictor
from speechrnn.generation.results import Prompt
from speechrnn.nn.language import LanguageModel, LanguageOptions
from speechrnn.nn.softmax import AdaptiveSoftmax
from speechrnn.text.tokenizers import WordTokenizer

UNITS, LAYERS = 200, 2  # word_language_model's defaults
VOCABULARIES = (14_564, 33_278)
CUTOFFS = (1000, 4000, 10000, 20000)
SHARES = (0.143, 0.084, 0.046, 0.024)  # of WikiText-2's words that lie in each cluster
PROMPTS, LENGTH, SHARED = 1000, 200, 180  # of the priming
PEER_PROMPTS = 50  # of these the peer reads, whose speed does not depend on how many there are
PEAK_SIZE = 2048  # rows and columns of the product that finds the machine's peak
TOLERANCE = 1e-4

Forward = Callable[[Tensor, object], tuple[Tensor, object]]


def make_predictor(vocabulary: int, softmax: str) -> TextPredictor:
    """Ours, with random weights; an adaptive softmax has its clusters' shares."""
    torch.manual_seed(0)
    options = LanguageOptions(layers=LAYERS, units=UNITS, embedding=UNITS, softmax=softmax, cutoffs=CUTOFFS)  # type: ignore[arg-type]
    model = LanguageModel(vocabulary, options)
    if softmax == "adaptive":
        assert isinstance(model.softmax, AdaptiveSoftmax)
        frequent = (1 - sum(SHARES)) / CUTOFFS[0]
        with torch.no_grad():
            model.softmax.clusters.weight.zero_()
            model.softmax.clusters.bias.copy_((torch.tensor(SHARES) / frequent).log())
    symbols = ["<blank>", "<unk>", *(f"w{number}" for number in range(vocabulary - 2))]
    return TextPredictor(model, WordTokenizer(symbols), "cpu")


class Peer(nn.Module):
    """word_language_model's RNNModel, with the weights of ours."""

    def __init__(self, model: LanguageModel) -> None:
        super().__init__()
        self.model = model
        self.drop = nn.Dropout(0.2)
        self.encoder = nn.Embedding.from_pretrained(model.softmax.weight)
        self.rnn = nn.LSTM(UNITS, UNITS, LAYERS)
        for number, layer in enumerate(model.recurrent):
            for name, weight in layer.network.named_parameters():
                getattr(self.rnn, name.replace("_l0", f"_l{number}")).data.copy_(weight.data)
        self.eval()

    def forward(self, tokens: Tensor, hidden: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """(length, 1) -> (length, vocabulary) log-probabilities."""
        output, hidden = self.rnn(self.drop(self.encoder(tokens)), hidden)
        return self.model.log_probs(self.drop(output)).view(-1, self.model.vocabulary), hidden

    def start(self) -> tuple[Tensor, Tensor]:
        """The hidden state before any word."""
        return torch.zeros(LAYERS, 1, UNITS), torch.zeros(LAYERS, 1, UNITS)


@torch.no_grad()
def loop(peer: Peer, words: int) -> None:
    """The loop of word_language_model's generate.py."""
    temperature = 1.0
    hidden = peer.start()
    token = torch.randint(peer.model.vocabulary, (1, 1))
    written = []
    for _ in range(words):
        output, hidden = peer(token, hidden)
        weights = output.squeeze().div(temperature).exp().cpu()
        word = torch.multinomial(weights, 1)[0]
        token.fill_(word)
        written.append(int(word))


@torch.no_grad()
def agree(ours: TextPredictor, peer: Peer) -> float:
    """Largest difference of the two sides' log-probabilities after a few words."""
    tokens = torch.randint(ours.model.vocabulary, (5,))
    output, _ = peer(tokens.unsqueeze(1), peer.start())
    states = ours.model.start(1)
    for token in tokens:
        log_probs, states = ours.model.score(states, token.view(1))
    return float((output[-1] - log_probs[0]).abs().max())


def prompts(ours: TextPredictor, count: int, words: Sequence[int]) -> list[Prompt]:
    """One-word prompts, each to go on for the next of the numbers of words."""
    each = [GenerationOptions(max_new_tokens=number, ignore_eos=True) for number in words]
    return [ours.prompt(f"w{number}", each[number % len(each)], number) for number in range(count)]


def write(ours: TextPredictor, items: list[Prompt], batch_size: int) -> None:
    """Complete all."""
    for _ in ours.complete(items, batch_size):
        pass


def generation(name: str, ours: TextPredictor, words: int, repeats: int) -> list[str]:
    """Both sides at each batch size; returns the result lines."""
    peer = Peer(ours.model)
    worst = agree(ours, peer)
    print(f"{name}: log-probabilities differ by at most {worst:.1e}; batches of {ours.batches.sizes} rows")
    if not worst <= TOLERANCE:
        stop(f"the two sides differ by {worst:.1e}, more than {TOLERANCE:.0e}, so their times cannot be compared.")
    matrices = torch.randn(2, PEAK_SIZE, PEAK_SIZE)
    streams: dict[str, tuple[int, Sequence[int], int]]
    streams = {f"batch_{size}": (size, [words], size) for size in (1, 16, 256)}
    streams["waiting_4096"] = (4096, range(1, 2 * words), 256)
    sides: dict[str, Callable[[], object]] = {"loop": partial(loop, peer, words * 4)}
    tokens = {"loop": words * 4}
    for stream, (count, lengths, batch_size) in streams.items():
        items = prompts(ours, count, lengths)
        tokens[stream] = sum(item.options.max_new_tokens for item in items)
        sides[stream] = partial(write, ours, items, batch_size)
    sides["product"] = lambda: matrices[0] @ matrices[1]
    seconds = in_turn(sides, repeats)
    speeds = {stream: count / seconds[stream] for stream, count in tokens.items()}
    lines = []
    if "full" in name:
        peak = 2 * PEAK_SIZE**3 / seconds["product"]
        work = 2 * UNITS * (LAYERS * 4 * 2 * UNITS + ours.model.vocabulary)  # operations of a word
        lines += [
            result(f"possible_{name}", peak / work, speeds["loop"], unit="tokens/s", more_is_better=True),
            share(f"share_of_peak_{name}_batch_256", speeds["batch_256"] * work / 1e9, peak / 1e9, unit="GFLOP/s"),
        ]
    against = speeds.pop("loop")
    return lines + [
        result(f"{name}_{s}", speed, against, unit="tokens/s", more_is_better=True) for s, speed in speeds.items()
    ]


def priming(ours: TextPredictor, repeats: int) -> list[str]:
    """Both sides over prompts that share nothing, and over prompts with a common beginning."""
    peer = Peer(ours.model)
    different = torch.randint(1, ours.model.vocabulary, (PROMPTS, LENGTH))
    alike = different.clone()
    alike[:, :SHARED] = different[0, :SHARED]

    @torch.no_grad()
    def one_by_one(tokens: Tensor) -> None:
        for text in tokens:
            peer.rnn(peer.encoder(text.unsqueeze(1)), peer.start())

    lines = []
    for name, tokens in (("priming_1000x200", different), ("priming_sharing_180", alike)):
        texts = tokens.tolist()
        sides: dict[str, Callable[[], object]]
        sides = {"ours": partial(ours.batches.prefill, texts), "peer": partial(one_by_one, tokens[:PEER_PROMPTS])}
        seconds = in_turn(sides, repeats, warm_up=False)
        speeds = tokens.numel() / seconds["ours"], PEER_PROMPTS * LENGTH / seconds["peer"]
        lines.append(result(name, *speeds, "tokens/s", more_is_better=True))
    return lines


def memory() -> float:
    """Most memory that this process has had, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print the comparisons."""
    options = parser(__doc__, repeats=5)
    options.add_argument("--words", type=int, help="of each text (30; waiting_4096: on average)")
    given = options.parse_args()
    torch.set_num_threads(given.threads)
    print(f"{machine(given.threads)}, torch {torch.__version__}")
    words, repeats = given.words or (4 if given.quick else 30), 1 if given.quick else given.repeats
    kinds = [("full", VOCABULARIES[1]), ("adaptive", VOCABULARIES[1])]
    lines = []
    for softmax, vocabulary in kinds if given.quick else [("full", VOCABULARIES[0]), *kinds]:
        ours = make_predictor(vocabulary, softmax)
        before = memory()
        lines += generation(f"{softmax}_{vocabulary}", ours, words, repeats=repeats)
        print(f"{softmax}_{vocabulary}: peak memory {memory():.0f} MB, {before:.0f} MB of it before the first text")
    lines += priming(ours, repeats)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
