"""The papers behind the tutorials."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Paper:
    """A paper, where to find it, and what it says."""

    authors: str
    title: str
    link: str
    remark: str


PAPERS = {
    "jordan": Paper(
        "Jordan 1986",
        "Serial order: a parallel distributed processing approach",
        "https://doi.org/10.1016/S0166-4115(97)80111-2",
        remark="The output of the network is one of its next inputs.",
    ),
    "elman": Paper(
        "Elman 1990",
        "Finding structure in time",
        "https://doi.org/10.1207/s15516709cog1402_1",
        remark="The hidden layer is fed back: the plain recurrent network.",
    ),
    "bengio": Paper(
        "Bengio, Simard & Frasconi 1994",
        "Learning long-term dependencies with gradient descent is difficult",
        "https://doi.org/10.1109/72.279181",
        remark="Why a network that stores information safely has gradients that vanish.",
    ),
    "hochreiter": Paper(
        "Hochreiter & Schmidhuber 1997",
        "Long short-term memory",
        "https://doi.org/10.1162/neco.1997.9.8.1735",
        remark="A memory that is changed by addition, so that gradients pass; input and output gates.",
    ),
    "gers": Paper(
        "Gers, Schmidhuber & Cummins 2000",
        "Learning to forget",
        "https://doi.org/10.1162/089976600300015015",
        remark="The forget gate.",
    ),
    "pascanu": Paper(
        "Pascanu, Mikolov & Bengio 2013",
        "On the difficulty of training recurrent neural networks",
        "https://arxiv.org/abs/1211.5063",
        remark="Why gradients vanish and explode, and clipping of their norm.",
    ),
    "cho": Paper(
        "Cho et al. 2014",
        "Learning phrase representations using RNN encoder-decoder",
        "https://arxiv.org/abs/1406.1078",
        remark="The GRU: two gates and no separate memory.",
    ),
    "saxe": Paper(
        "Saxe, McClelland & Ganguli 2014",
        "Exact solutions to the nonlinear dynamics of learning in deep linear networks",
        "https://arxiv.org/abs/1312.6120",
        remark="Orthogonal matrices as initial weights.",
    ),
    "jozefowicz": Paper(
        "Jozefowicz, Zaremba & Sutskever 2015",
        "An empirical exploration of recurrent network architectures",
        "https://proceedings.mlr.press/v37/jozefowicz15.html",
        remark="Start with an open forget gate.",
    ),
    "karpathy": Paper(
        "Karpathy, Johnson & Fei-Fei 2015",
        "Visualizing and understanding recurrent networks",
        "https://arxiv.org/abs/1506.02078",
        remark="Cells that follow quotes and the length of a line.",
    ),
}
