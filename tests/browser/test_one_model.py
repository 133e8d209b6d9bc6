"""The trained model of the page on engines, on onnxruntime-web: as far off as the page says."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from perceiver_graph.choices import Precision
from tests import one_model
from tests.browser.support import engine
from tests.browser.test_engine import RUNNER, SCRIPT, packed, unpacked

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_it_is_as_far_off_as_the_page_says(precision: Precision, tmp_path: Path) -> None:
    found, node = engine(), shutil.which("node")
    if node is None:
        pytest.skip("there is no node: install the package nodejs")
    folder = tmp_path / "clips"
    folder.mkdir()
    one_model.save(folder / "artifact", precision=precision)
    call = {"inputs": packed(one_model.inputs()), "sizes": {}}
    (folder / "case.json").write_text(json.dumps({"runs": [], "call": call}), encoding="ascii")
    subprocess.run([node, SCRIPT, found, RUNNER, tmp_path], check=True, timeout=300)
    result = json.loads((folder / "result.json").read_text("ascii"))
    assert "error" not in result, result["error"]
    one_model.agrees("onnxruntime-web", precision, unpacked(result["call"]))
