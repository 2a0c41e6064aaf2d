"""Initial weights of a language model's training: those of a trained one, for fine-tuning."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import torch

from speechrnn.core.plural import count
from speechrnn.nn.language import LanguageModel, LanguageOptions, load_language
from speechrnn.text.symbols import BLANK, UNKNOWN
from speechrnn.text.tokenizers import Tokenizer
from speechrnn.training.initialisation import adopt_options, shared_symbols

logger = logging.getLogger("speechrnn")
# Keys of `language` that change the training and no weight: they are the new training's.
FREE = frozenset({"embedding_dropout", "input_dropout", "dropout", "output_dropout", "weight_drop"})
ROWS = frozenset({"softmax.weight", "softmax.bias", "vectors"})  # a row a token


@dataclass(frozen=True)
class InitialLanguage:
    """A trained language model whose weights a training begins with.

    >>> initial = InitialLanguage.load("english")  # doctest: +SKIP
    >>> options = initial.architecture(LanguageOptions())  # doctest: +SKIP

    Attributes:
        name: as the user gave it.
        model: the model.
        tokenizer: its vocabulary.
    """

    name: str
    model: LanguageModel
    tokenizer: Tokenizer

    @classmethod
    def load(cls, name: str | Path) -> InitialLanguage:
        """Load a model by name or directory.

        Raises:
            UserError: see `load_language`.
        """
        return cls(str(name), *load_language(name))

    def architecture(self, wanted: LanguageOptions) -> LanguageOptions:
        """Return the model's architecture with the dropouts of `wanted`.

        Raises:
            UserError: a key of the architecture is set to another value than the model's.
        """
        return adopt_options(
            self.name, "language", self.model.options, wanted=wanted, default=LanguageOptions(), free=FREE
        )

    @torch.no_grad()
    def copy_into(self, model: LanguageModel, tokenizer: Tokenizer) -> None:
        """Copy the weights into a model of the same architecture.

        Of another vocabulary, the vectors of tokens that both have, in whatever case, are copied; the others begin at
        random.

        Args:
            model: the untrained model.
            tokenizer: its vocabulary.
        """
        pairs = shared_symbols(tokenizer, self.tokenizer, (BLANK, UNKNOWN))
        to, of = (torch.tensor(rows, dtype=torch.long) for rows in zip(*pairs, strict=True))
        target = model.state_dict()
        for key, tensor in self.model.state_dict().items():
            if key in ROWS:
                target[key][to] = tensor[of]
            elif key in target and target[key].shape == tensor.shape:
                target[key].copy_(tensor)  # the clusters of an adaptive softmax depend on the vocabulary
        if tokenizer.to_json() == self.tokenizer.to_json():
            logger.info("Weights are those of %s.", self.name)
        else:
            logger.info(
                "Weights are those of %s, but the vocabulary is another: %s of %d begin at random.",
                self.name,
                count(len(tokenizer) - len(pairs), "token"),
                len(tokenizer),
            )
