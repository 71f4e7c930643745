"""The code in docs/how-to/write-an-agent.md runs as it stands there."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "write-an-agent.md"


def test_the_page_is_a_module_whose_own_test_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(blocks) == 4
    (tmp_path / "written_in_the_docs.py").write_text("\n".join(blocks), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    module = __import__("written_in_the_docs")
    monkeypatch.delitem(sys.modules, "written_in_the_docs", raising=False)
    monkeypatch.setitem(sys.modules, "written_in_the_docs", module)
    module.test_supplier_adds_its_markup()
