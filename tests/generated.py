"""The files made from others: `python -m tests.generated` (`make docs`) writes them all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import requirements_page
import reserve_copy
from project import ROOT

from core import catalogue, rights

if TYPE_CHECKING:
    from pathlib import Path


def generated() -> dict[Path, str]:
    """Each made file and the text that it should have."""
    docs = ROOT / "docs"
    return {
        docs / "requirements.md": requirements_page.page(ROOT),
        docs / "events.md": catalogue.events_page(),
        docs / "reference" / "rights.md": rights.rights_page(),
        reserve_copy.COPY: reserve_copy.made(),
    }


def main() -> None:
    """Write what has changed."""
    for path, text in generated().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"· {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
