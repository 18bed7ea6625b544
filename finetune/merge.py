"""python -m finetune.merge ADAPTER OUT [--base PATH]: writes the base with the adapter folded in, unquantised.

Refuses a base that is quantised: folding into rounded weights changes what the adapter says.
"""

import argparse
import json
import sys
from pathlib import Path

from data.errors import AssayError, NotFound, UsageError
from finetune.decoder_recipes import DecoderBase


def merge(adapter: Path, out: Path, base: str | None = None) -> Path:
    """Merge and save with the adapter's tokenizer. Raises: NotFound, InvalidInput for a quantised base."""
    from transformers import AutoTokenizer

    from finetune.decoder_model import merged, with_adapter

    config = adapter / "adapter_config.json"
    if not config.exists():
        raise NotFound(
            f"{adapter} holds no adapter_config.json.", next_step="Name the folder that finetune.train wrote."
        )
    path = base or json.loads(config.read_text("utf-8"))["base_model_name_or_path"]
    model = merged(with_adapter(DecoderBase(path=path), adapter, bf16=False))
    model.save_pretrained(out)
    AutoTokenizer.from_pretrained(adapter).save_pretrained(out)
    return out


def main() -> int:
    parser = argparse.ArgumentParser(prog="finetune.merge", description=__doc__)
    parser.add_argument("adapter", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--base", help="another copy of the base than the one the adapter names")
    given = parser.parse_args()
    try:
        print(merge(given.adapter, given.out, given.base))
    except AssayError as error:
        print(f"finetune: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 4
    return 0


if __name__ == "__main__":
    sys.exit(main())
