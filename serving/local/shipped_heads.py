"""The heads whose adapters are there, over one backbone. Nothing loads before a head is first asked for.

An adapter is a folder below `serving/local/adapters` (or that of the settings) named after what it does, as finetune wrote it.
"""

from functools import cached_property
from pathlib import Path

from serving.config import HeadsConfig
from serving.local.adapter_folder import HEAD_CONFIG, load_adapter
from serving.local.backbone import Backbone, pinned_weights
from serving.local.heads import GroundingHead, SpanReader, TextScreen
from serving.local.reranker import TrainedReranker
from serving.local.token_rows import TokenRows

SHIPPED = Path(__file__).with_name("adapters")


class ShippedHeads:
    """`cache` is the folder for built graphs. A head that has no adapter is None."""

    def __init__(self, config: HeadsConfig, *, cache: Path) -> None:
        self._config, self._cache = config, cache
        self.folder = Path(config.folder) if config.folder else SHIPPED
        self.names = tuple(sorted(path.parent.name for path in self.folder.glob(f"*/{HEAD_CONFIG}")))

    @cached_property
    def backbone(self) -> Backbone:
        """Raises: InvalidInput, NotFound for an adapter that cannot be read."""
        adapters = [load_adapter(self.folder / name) for name in self.names]
        return Backbone(adapters, cache=self._cache, precision=self._config.precision, threads=self._config.threads)

    @cached_property
    def tokens(self) -> TokenRows:
        return TokenRows(pinned_weights().folder)

    @cached_property
    def reader(self) -> SpanReader | None:
        return SpanReader(self.backbone, self.tokens, "reader") if "reader" in self.names else None

    @cached_property
    def reranker(self) -> TrainedReranker | None:
        return TrainedReranker(self.backbone, self.tokens, "reranker") if "reranker" in self.names else None

    @cached_property
    def grounding(self) -> GroundingHead | None:
        return GroundingHead(self.backbone, self.tokens, "grounding") if "grounding" in self.names else None

    @cached_property
    def toxicity(self) -> TextScreen | None:
        return self._screen("toxicity")

    @cached_property
    def injection(self) -> TextScreen | None:
        return self._screen("injection")

    def _screen(self, name: str) -> TextScreen | None:
        return TextScreen(self.backbone, self.tokens, name) if name in self.names else None

    def load(self) -> None:
        """Load what would load with the first text; nothing where there is no adapter."""
        if self.names:
            self.backbone.load()

    def close(self) -> None:
        """End the backbone's threads, if it was ever used."""
        if "backbone" in self.__dict__:
            self.backbone.close()
