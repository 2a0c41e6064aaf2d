"""Claim: the engine that `engine=auto` takes is faster than torch in float32 and writes as good transcripts.

Every engine and precision of this machine transcribes the AN4 test files (or --quick: the first 16) in the same
batches, each call on one thread, --threads at once, as `Transcriber` does. `engine_NAME` is each one's speed, features
included, against torch in float32.

`share_of_products_NAME` is the speed of the network without its features against that of its matrix products alone, of
the same shapes in the same precision and on the same library: convolutions, input layer, the recurrent layers' products
with all frames at once and with one state after the other, and the head. For onnx in int8, which takes one utterance at
a time, the shapes are those of one utterance.

With --model, word and character error rates of greedy decoding are printed for each, and how many transcripts have
other words than torch's in float32. Without, an untrained network of the experiment's shape does the same work.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from an4 import ROOT, save_untrained, test_files
from timing import in_turn, machine, parser, result, share, stop
from torch import Tensor

from speechrnn.audio import load_audio
from speechrnn.core.errors import UserError
from speechrnn.data.batching import group_by_length
from speechrnn.data.dataset import pad
from speechrnn.nn.acoustic import AcousticModel, ConvolutionalSubsampling, load_acoustic
from speechrnn.transcription.runtime import Engine, choose, make_engine, onnx_is_here

CPU = torch.device("cpu")
BASE = "torch float32"  # what the others are compared with
CANDIDATES = (BASE, "torch bfloat16", "onnx float32", "onnx int8")

Batch = tuple[Tensor, Tensor]
Work = Callable[[], object]


@dataclass(frozen=True)
class Product:
    """(rows, inner) @ (inner, columns), so many times one after the other."""

    times: int
    rows: int
    inner: int
    columns: int

    @property
    def operations(self) -> int:
        """Multiplications and additions."""
        return 2 * self.times * self.rows * self.inner * self.columns


def products(model: AcousticModel, rows: int, samples: int) -> list[Product]:
    """All that the network multiplies for so many utterances of so many samples."""
    frames = int(model.frames(torch.tensor(samples)))
    found = []
    if isinstance(model.subsampling, ConvolutionalSubsampling):
        wide = model.front_end.dimensions
        for layer in (model.subsampling.first, model.subsampling.second):
            wide = (wide + 1) // 2
            found.append(Product(1, rows * frames * wide, layer.weight[0].numel(), columns=layer.out_channels))
    found.append(Product(1, rows * frames, model.input.in_features, columns=model.input.out_features))
    units, gates = model.options.units, {"lstm": 4, "gru": 3, "rnn_tanh": 1}[model.options.cell]
    for _ in range(model.options.layers * (2 if model.options.bidirectional else 1)):
        found.append(Product(1, rows * frames, units, columns=gates * units))  # the first layer's input is as wide
        found.append(Product(frames, rows, units, columns=gates * units))
    return [*found, Product(1, rows * frames, units, columns=model.head.out_features)]


def torch_products(found: Sequence[Product], dtype: torch.dtype) -> Work:
    """Return a function that computes the products in torch."""
    sides = {
        product: [
            torch.randn(*shape).to(dtype) for shape in ((product.rows, product.inner), (product.inner, product.columns))
        ]
        for product in set(found)
    }
    results = {product: torch.empty(product.rows, product.columns, dtype=dtype) for product in sides}

    def run() -> None:
        with torch.inference_mode():
            for product in found:
                for _ in range(product.times):
                    torch.mm(*sides[product], out=results[product])

    return run


def onnx_products(found: Sequence[Product], int8: bool) -> Work:
    """Return a function that computes the products in onnxruntime, with its own order of weights."""
    runs = [
        (*onnx_loop(product.rows, product.inner, product.columns, int8=int8), np.array(product.times))
        for product in found
    ]

    def run() -> None:
        for session, inputs, times in runs:
            session.run(None, {"inputs": inputs, "times": times})

    return run


@cache
def onnx_loop(rows: int, inner: int, columns: int, int8: bool) -> tuple[Any, np.ndarray]:
    """A session that multiplies `times` times, and the inputs it does that with."""
    import onnxruntime
    from onnx import helper

    from speechrnn.export.graph import Graph

    generator = np.random.default_rng(0)
    before, after = (np.uint8, np.int32) if int8 else (np.float32, np.float32)
    graph = Graph()
    weight = graph.constant(generator.integers(-127, 127, (inner, columns)).astype(np.int8 if int8 else np.float32))
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(after))
    values = {
        "number": helper.make_tensor_value_info("number", 7, []),  # int64
        **{name: helper.make_tensor_value_info(name, 9, []) for name in ("going", "on")},  # booleans
        **{name: helper.make_tensor_value_info(name, kind, [rows, columns]) for name in ("last", "product")},
    }
    nodes = [
        helper.make_node("Identity", ["going"], ["on"]),
        helper.make_node("MatMulInteger" if int8 else "MatMul", ["inputs", weight], ["product"]),
    ]
    body = helper.make_graph(
        nodes, "step", [values[name] for name in ("number", "going", "last")], [values["on"], values["product"]]
    )
    start = graph.constant(np.zeros((rows, columns), after))
    graph("Loop", "times", "", start, body=body, name="end")
    model = graph.model(
        "products",
        [("inputs", before, [rows, inner]), ("times", np.int64, [])],
        [("end", after, [rows, columns])],
        metadata={},
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session, generator.integers(0, 127, (rows, inner)).astype(before)


def engines(model: AcousticModel) -> dict[str, Engine]:
    """Those that this machine has."""
    made = {}
    for name in CANDIDATES:
        engine, precision = name.split()
        if engine == "onnx" and not onnx_is_here():
            print(f"{name}: onnx or onnxruntime is not installed")
            continue
        try:
            made[name] = make_engine(model, None, engine, device=CPU, precision=precision)  # type: ignore[arg-type]
        except UserError as error:
            print(f"{name}: {error}")
    return made


def measure(model: AcousticModel, batches: list[Batch], threads: int, repeats: int) -> list[str]:
    """Measure speeds and shares; return the result lines."""
    made = engines(model)
    seconds_of_audio = sum(int(lengths.sum()) for _, lengths in batches) / model.front_end.options.sampling_rate
    shapes = {name: [(len(waveforms), waveforms.shape[1]) for waveforms, _ in batches] for name in made}
    if "onnx int8" in made:
        shapes["onnx int8"] = [(1, length) for _, lengths in batches for length in lengths.tolist()]
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:

        def at_once(work: Iterable[Work]) -> None:
            for future in [pool.submit(task) for task in work]:
                future.result()

        def features(waveforms: Tensor, lengths: Tensor) -> None:
            with torch.inference_mode():
                model.front_end(waveforms, lengths)

        sides: dict[str, Work] = {"features": partial(at_once, [partial(features, *batch) for batch in batches])}
        operations = {}
        for name, engine in made.items():
            sides[name] = partial(at_once, [partial(engine, *batch) for batch in batches])
            # Shapes that come again need be built once.
            found = {shape: products(model, *shape) for shape in set(shapes[name])}
            operations[name] = sum(product.operations for shape in shapes[name] for product in found[shape])
            if name.startswith("torch"):
                built = {
                    shape: torch_products(shaped, getattr(torch, name.split()[1])) for shape, shaped in found.items()
                }
            else:
                built = {shape: onnx_products(shaped, name.endswith("int8")) for shape, shaped in found.items()}
            sides[f"products {name}"] = partial(at_once, [built[shape] for shape in shapes[name]])
        seconds = in_turn(sides, repeats)
    print(f"features: {seconds_of_audio / seconds['features']:.0f} times real time")
    lines = []
    for name in made:
        key = name.replace(" ", "_")
        speed = operations[name] / (seconds[name] - seconds["features"]) / 1e9
        alone = operations[name] / seconds[f"products {name}"] / 1e9
        lines.append(share(f"share_of_products_{key}", speed, alone, unit="GFLOP/s"))
    for name in made:
        speeds = (seconds_of_audio / seconds[name], seconds_of_audio / seconds[BASE])
        lines.append(result(f"engine_{name.replace(' ', '_')}", *speeds, "times real time", more_is_better=True))
    return lines


def error_rates(folder: Path, root: Path, batch_seconds: float) -> None:
    """Print the error rates of each engine on the test part."""
    from speechrnn.data.corpora.an4 import utterances
    from speechrnn.decoding.decoder import GreedyDecoder
    from speechrnn.evaluation.metrics import score

    model, tokenizer = load_acoustic(folder)
    references = {utterance.audio: utterance.text for utterance in utterances(root)["test"]}
    files = list(references)
    decoder = GreedyDecoder(tokenizer, model.seconds_per_frame)
    texts: dict[str, list[str]] = {}
    for name, engine in engines(model).items():
        decoded_texts = {}
        for numbers, batch in load_batches(files, model, batch_seconds):
            for number, decoded in zip(numbers, decoder(*engine(*batch)), strict=True):
                decoded_texts[number] = decoded.texts[0]
        texts[name] = [decoded_texts[number] for number in range(len(files))]
        rows = zip(references.values(), texts[name], strict=True)
        rates = score([{"reference": reference, "hypothesis": text} for reference, text in rows])
        others = sum(text != other for text, other in zip(texts[name], texts[BASE], strict=True))
        print(
            f"{name}: WER {rates['wer']:.2%} ({rates['wer_ci95'][0]:.1%} to {rates['wer_ci95'][1]:.1%}), "
            f"CER {rates['cer']:.2%}; other words than {BASE} in {others} of {len(files)}"
        )


def load_batches(
    files: Sequence[Path], model: AcousticModel, batch_seconds: float
) -> list[tuple[tuple[int, ...], Batch]]:
    """Batches of like length, with the numbers of their files."""
    rate = model.front_end.options.sampling_rate
    waveforms = [load_audio(file, rate)[0] for file in files]
    lengths = {number: len(samples) / rate for number, samples in enumerate(waveforms)}
    return [
        (tuple(numbers), pad([waveforms[number] for number in numbers]))
        for numbers in group_by_length(lengths, batch_seconds)
    ]


def main() -> None:
    """Print error rates, shares and speeds."""
    options = parser(__doc__, repeats=7)
    options.add_argument("--root", type=Path, default=ROOT, help="the AN4 corpus")
    options.add_argument("--model", type=Path, help="an acoustic model's directory, trained on AN4")
    options.add_argument("--batch-seconds", type=float, default=60.0)
    given = options.parse_args()
    torch.set_num_threads(1)
    print(f"{machine(given.threads)}, torch {torch.__version__}")
    files = test_files(given.root)
    if given.quick:
        files = files[:16]
    with tempfile.TemporaryDirectory() as folder:
        if given.model is None:
            save_untrained(Path(folder))
        try:
            model, _ = load_acoustic(given.model or Path(folder))
            print(f"engine=auto is {' '.join(choose('auto', 'auto', CPU, cell=model.options.cell))} here")
            if given.model is not None and not given.quick:
                error_rates(given.model, given.root, given.batch_seconds)
            batches = [batch for _, batch in load_batches(files, model, given.batch_seconds)]
            lines = measure(model, batches, given.threads, repeats=2 if given.quick else given.repeats)
        except UserError as error:
            stop(str(error))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
