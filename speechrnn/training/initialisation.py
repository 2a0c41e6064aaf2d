"""Initial weights of a training: those of a trained acoustic model, for fine-tuning."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import nn

from speechrnn.audio.features import FeatureOptions
from speechrnn.core.errors import UserError
from speechrnn.core.plural import count
from speechrnn.nn.acoustic import AcousticModel, AcousticOptions, load_acoustic
from speechrnn.nn.language import LanguageOptions
from speechrnn.text.phone_tokenizer import PhoneTokenizer
from speechrnn.text.symbols import BLANK
from speechrnn.text.tokenizers import Tokenizer, TokenizerOptions, build_tokenizer
from speechrnn.training.fabric import TrainerOptions

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

logger = logging.getLogger("speechrnn")
OptionsT = TypeVar("OptionsT", FeatureOptions, AcousticOptions, LanguageOptions)
MOST_UNPRONOUNCED = 0.5  # share of the texts with a word that a model of phones cannot write
# Keys of `acoustic` that change the training and no weight: they are the new training's.
FREE = frozenset({"input_dropout", "dropout", "intermediate_layer", "streaming", "latency"})


@dataclass(frozen=True)
class InitialModel:
    """A trained acoustic model whose weights a training begins with.

    >>> initial = InitialModel.load("english")  # doctest: +SKIP
    >>> options = initial.features(FeatureOptions())  # doctest: +SKIP

    Attributes:
        name: as the user gave it.
        model: the model.
        tokenizer: its alphabet.
    """

    name: str
    model: AcousticModel
    tokenizer: Tokenizer

    @classmethod
    def load(cls, name: str | Path) -> InitialModel:
        """Load a model by name or directory.

        Raises:
            UserError: see `load_acoustic`.
        """
        return cls(str(name), *load_acoustic(name))

    def features(self, wanted: FeatureOptions) -> FeatureOptions:
        """Return the model's features; `wanted` may differ from them only where it has its default.

        Raises:
            UserError: a key is set to another value than the model's.
        """
        return adopt_options(
            self.name,
            "features",
            self.model.front_end.options,
            wanted=wanted,
            default=FeatureOptions(),
            free=frozenset(),
        )

    def architecture(self, wanted: AcousticOptions) -> AcousticOptions:
        """Return the model's architecture with the free keys of `wanted`: see `adopt_architecture`."""
        return adopt_architecture(self.name, self.model.options, wanted)

    def choose_tokenizer(self, options: TokenizerOptions, texts: Sequence[str]) -> Tokenizer:
        """Return the model's alphabet if it can write all texts, and otherwise one of the options, built for them.

        Options of another kind than the model's and the default are followed in any case, and so are a dictionary and
        an alphabet that is written out.

        Phones remain phones if they can write half of the texts, since a dictionary lacks some names of any corpus.

        Args:
            options: of the alphabet to build; phones without a dictionary have the model's.
            texts: (normalised) transcripts of the training part.

        Raises:
            UserError: see `build_tokenizer`.
        """
        chosen = options.pronunciations is not None or options.alphabet is not None
        if chosen or options.kind not in (TokenizerOptions().kind, self.tokenizer.kind):
            return build_tokenizer(options, texts)
        unknown = [text for text in texts if self.tokenizer.count_unknown(text)]
        if not isinstance(self.tokenizer, PhoneTokenizer):
            return build_tokenizer(options, texts) if unknown else self.tokenizer
        if options.kind == "phone" or len(unknown) <= MOST_UNPRONOUNCED * len(texts):
            return self.tokenizer.in_case_of(texts)
        words = sorted({word for text in unknown for word in self.tokenizer.count_unknown(text)})
        logger.warning(
            "%d of %d transcripts have words without a pronunciation in the model %s (%s), so its phones are given up "
            "for the labels of tokenizer=%s; tokenizer=phone keeps them, and leaves those utterances out.",
            len(unknown),
            len(texts),
            self.name,
            ", ".join(words[:5]) + (", ..." if len(words) > 5 else ""),
            options.kind,
        )
        return build_tokenizer(options, texts)

    @torch.no_grad()
    def copy_into(self, model: AcousticModel, tokenizer: Tokenizer) -> None:
        """Copy the weights into a model of the same architecture.

        Of another alphabet, the rows of the head of symbols that both have are copied; the others begin at random. A
        one-directional model takes the forward direction of a bidirectional one.

        Args:
            model: the untrained model, of `architecture`.
            tokenizer: its alphabet.
        """
        source, target = self.model.state_dict(), model.state_dict()
        for key, tensor in source.items():
            if key in target and not key.startswith(("head.", "intermediate_head.")):
                target[key].copy_(tensor)
        if self.model.options.bidirectional and not model.options.bidirectional:
            logger.info("Of %s only the forward direction is kept: the new model is one-directional.", self.name)
        if (tokenizer.kind, tokenizer.symbols) == (self.tokenizer.kind, self.tokenizer.symbols):
            shared = len(tokenizer)
            copy_rows(model.head, self.model.head, range(shared), of=range(shared))
            logger.info("Weights are those of %s.", self.name)
        else:
            rows = shared_symbols(tokenizer, self.tokenizer, (BLANK, " "))
            copy_rows(model.head, self.model.head, *zip(*rows, strict=True))
            logger.info(
                "Weights are those of %s, but the alphabet is another: %s of %d in the head of the model are new.",
                self.name,
                count(len(tokenizer) - len(rows), "symbol"),
                len(tokenizer),
            )
        middle, trained = model.intermediate_head, self.model.intermediate_head
        if middle is not None and trained is not None and middle.out_features == trained.out_features:
            copy_rows(middle, trained, range(middle.out_features), of=range(middle.out_features))


def shared_symbols(tokenizer: Tokenizer, trained: Tokenizer, common: Sequence[str]) -> list[tuple[int, int]]:
    """Return the places of symbols that two tokenizers share, in the new one and in that of a trained model.

    A symbol that the trained one has in another case only begins as that: the model is the same for texts in capitals.

    >>> from speechrnn.text.tokenizers import CharTokenizer
    >>> shared_symbols(CharTokenizer.build(["BC"]), CharTokenizer.build(["ab"]), ["<blank>"])
    [(0, 0), (1, 2)]

    Args:
        tokenizer: the new one.
        trained: that of the model.
        common: symbols that mean the same in tokenizers of different kinds. (The letter B is not the phone B.)
    """
    if tokenizer.kind != trained.kind:
        places = {symbol: trained.symbols.index(symbol) for symbol in common if symbol in trained.symbols}
    else:
        places = {symbol: place for place, symbol in enumerate(trained.symbols)}
    folded: dict[str, int] = {}
    for symbol, place in places.items():  # of words that differ in case the most frequent, which comes first
        folded.setdefault(symbol.lower(), place)
    found = [places.get(symbol, folded.get(symbol.lower())) for symbol in tokenizer.symbols]
    return [(new, old) for new, old in enumerate(found) if old is not None]


def copy_rows(target: nn.Linear, source: nn.Linear, to: Iterable[int], of: Iterable[int]) -> None:
    """Copy rows of weight and bias: row `of[i]` of the source becomes row `to[i]` of the target."""
    places, rows = torch.tensor(list(to)), torch.tensor(list(of))
    target.weight[places] = source.weight[rows]
    target.bias[places] = source.bias[rows]


def weights_digest(model: nn.Module) -> str:
    """Return the SHA-256 of a model's weights.

    >>> len(weights_digest(nn.Linear(2, 2)))
    64
    """
    digest = hashlib.sha256()
    for key, tensor in sorted(model.state_dict().items()):
        digest.update(key.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def adopt_options(
    name: str,
    group: str,
    trained: OptionsT,
    wanted: OptionsT,
    default: OptionsT,
    free: frozenset[str],
    given: Collection[str] = (),
) -> OptionsT:
    """Return the options of a trained model, with the `free` keys of the wanted ones.

    Args:
        name: the model, for messages.
        group: of the keys, for messages.
        trained: the model's options.
        wanted: of the new training.
        default: its values count as not set.
        free: keys that may differ.
        given: keys that are set even where they have the default's value.

    Raises:
        UserError: another key is set to a value that is not the model's.
    """
    values = {}
    for key in (field.name for field in fields(wanted)):
        value, mine = getattr(trained, key), getattr(wanted, key)
        if key in free:
            values[key] = mine
        elif mine != value and (key in given or mine != getattr(default, key)):
            raise UserError(
                f"{group}.{key} is {mine}, but the model {name} of init_from= has {value}; leave {group}.{key} out."
            )
    return replace(trained, **values)


def adopt_architecture(
    name: str, trained: AcousticOptions, wanted: AcousticOptions, given: Collection[str] = ()
) -> AcousticOptions:
    """Return the architecture of a trained acoustic model, with dropout, intermediate loss and blocks of `wanted`.

    `bidirectional=False` is another architecture, but it can begin with the forward direction of a bidirectional model,
    since the outputs of the two directions are summed.

    >>> adopt_architecture("english", AcousticOptions(layers=4), wanted=AcousticOptions(bidirectional=False)).layers
    4

    Args:
        name, trained, wanted, given: see `adopt_options`.

    Raises:
        UserError: a key of the architecture is set to another value than the model's.
    """
    if trained.bidirectional and not wanted.bidirectional:
        trained = replace(trained, bidirectional=False)
    return adopt_options(name, "acoustic", trained, wanted=wanted, default=AcousticOptions(), free=FREE, given=given)


def frozen_parameters(
    options: TrainerOptions, below: Sequence[nn.Module], layers: Sequence[nn.Module]
) -> list[nn.Parameter]:
    """Return the parameters of the lower layers, which the first steps of a fine-tuning leave as they are.

    >>> len(frozen_parameters(TrainerOptions(frozen_layers=1, frozen_steps=9), [], [nn.Linear(2, 2), nn.Linear(2, 2)]))
    2

    Args:
        options: with the number of layers.
        below: what is below the lowest layer, and frozen with it.
        layers: the recurrent layers, the lowest one first.

    Raises:
        UserError: there are fewer layers, or only one of the two keys is set.
    """
    if options.frozen_layers > len(layers):
        raise UserError(
            f"trainer.frozen_layers={options.frozen_layers} is more than the model has: {count(len(layers), 'layer')}."
        )
    if bool(options.frozen_layers) != bool(options.frozen_steps):
        raise UserError(
            f"trainer.frozen_layers={options.frozen_layers} and trainer.frozen_steps={options.frozen_steps} have an "
            "effect together only: set both, or neither."
        )
    if not options.frozen_layers:
        return []
    return [parameter for part in (*below, *layers[: options.frozen_layers]) for parameter in part.parameters()]
