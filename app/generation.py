"""How retrieved text is shown to a model: numbered and fenced by a delimiter that its authors could not know (spotlighting).

Hines et al., Defending Against Indirect Prompt Injection Attacks With Spotlighting (2024), section 3.1.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from data.records import Hit


@dataclass(frozen=True)
class Fenced:
    fence: str
    text: str


def fenced(hits: Sequence[Hit], fence: str = "") -> Fenced:
    """The sources, numbered from 1 in the order of `hits`. A given `fence` makes equal texts of equal sources, to compare them."""
    fence = fence or f"SOURCE-{secrets.token_hex(4)}"
    return Fenced(fence, "\n\n".join(_source(n, hit, fence) for n, hit in enumerate(hits, 1)))


def _source(n: int, hit: Hit, fence: str) -> str:
    where = " > ".join((hit.sources[0].title, *hit.chunk.heading_path))
    text = hit.chunk.text.replace(fence, "")
    return f"<<{fence} {n}\n({where})\n{text}\n{fence} {n}>>"
