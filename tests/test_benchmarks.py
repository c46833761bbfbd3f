"""A benchmark that cannot measure says why and ends, whichever of its processes has failed."""

import os
import subprocess
import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parent.parent


def test_features_ends_where_its_processes_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "missing").mkdir()
    for name in ("pyarrow", "datasets"):
        (tmp_path / "missing" / f"{name}.py").write_text("raise ImportError('not here')")
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "pictures" / "a.png")
    options = ["--images", str(tmp_path / "pictures"), "--pictures", "1", "--rounds", "1"]
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "features.py"), "efficientnet_lite0", *options],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(
                [str(tmp_path / "missing"), os.environ.get("PYTHONPATH", "")]
            ),
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert "left out: " in done.stdout, done.stderr
    assert done.returncode == 0
