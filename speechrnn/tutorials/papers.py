"""The papers behind the lessons."""

from __future__ import annotations

PAPERS = {
    "jordan": (
        "Jordan 1986: Serial order: a parallel distributed processing approach. "
        "A network whose own output is among its next inputs."
    ),
    "elman": (
        "Elman 1990: Finding structure in time. Cognitive Science 14. "
        "The hidden layer is fed back: the plain recurrent network."
    ),
    "bengio": (
        "Bengio, Simard & Frasconi 1994: Learning long-term dependencies with gradient descent is difficult. IEEE "
        "Transactions on Neural Networks 5. To keep something safe and to learn by gradients stand against each other."
    ),
    "hochreiter": (
        "Hochreiter & Schmidhuber 1997: Long short-term memory. Neural Computation 9. "
        "A memory that is added to instead of squashed, so that gradients pass; input and output gates."
    ),
    "gers": "Gers, Schmidhuber & Cummins 2000: Learning to forget. Neural Computation 12. The forget gate.",
    "pascanu": (
        "Pascanu, Mikolov & Bengio 2013: On the difficulty of training recurrent neural networks. ICML. "
        "Why gradients vanish and explode, and clipping by their norm."
    ),
    "cho": (
        "Cho et al. 2014: Learning phrase representations using RNN encoder-decoder. EMNLP. "
        "The GRU: two gates, and no separate memory."
    ),
    "saxe": (
        "Saxe, McClelland & Ganguli 2014: Exact solutions to the nonlinear dynamics of learning in deep linear "
        "networks. ICLR. Orthogonal matrices as a start."
    ),
    "jozefowicz": (
        "Jozefowicz, Zaremba & Sutskever 2015: An empirical exploration of recurrent network architectures. ICML. "
        "Start with the forget gate open."
    ),
    "karpathy": (
        "Karpathy, Johnson & Fei-Fei 2015: Visualizing and understanding recurrent networks. "
        "Cells that track quotes and the length of a line."
    ),
}
