#!/usr/bin/env bash
# Everything that is to be known of a GPU, in at most ten minutes.
#
#   benchmarks/gpu.sh OUT [--stages torch|onnxruntime] [--minutes M] ...   (--help has the rest)
#
# Findings go to OUT/findings.jsonl as they come, the tables to OUT/report.md at the end of a stage.
# On a machine with a network, install first: `make setup`, and onnxruntime-gpu in place of onnxruntime.
# On one without, wheels in the folder .whl, and onnxruntime's CUDA build as a tar.xz cut into
# .gpu/ort.00, .gpu/ort.01, ..., are unpacked into $SITE where they are there.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

PYTHON=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}
SITE=${SITE:-/tmp/perceiver-graph-site}

if ls .whl/*.whl >/dev/null 2>&1; then
    "$PYTHON" -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade \
        --target "$SITE" .whl/*.whl || exit 1
fi
if ls .gpu/ort.* >/dev/null 2>&1; then
    mkdir -p "$SITE" && cat .gpu/ort.* | tar -xJ -C "$SITE" || exit 1
fi
export PYTHONPATH="$SITE:$PWD${PYTHONPATH:+:$PYTHONPATH}" HF_HUB_OFFLINE=1 ORT_DISABLE_TELEMETRY=1

# onnxruntime looks for CUDA's libraries beside itself; here they may be beside torch.
LIBRARIES=$("$PYTHON" - <<'PYTHON_END'
import importlib.util
from pathlib import Path

spec = importlib.util.find_spec("nvidia")
found = [str(lib) for root in (spec.submodule_search_locations if spec else ()) for lib in Path(root).glob("*/lib")]
print(":".join(sorted(found)))
PYTHON_END
)
export LD_LIBRARY_PATH="$LIBRARIES${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"

exec "$PYTHON" -m benchmarks.gpu "$@"
