"""Decoding apart survives crashes, interrupts and forks, prints nothing and goes on."""

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from openmmb.errors import ImageError
from openmmb.vision.decoder_process import DecoderProcess
from openmmb.vision.decoders import DECODERS, Decoders
from openmmb.vision.decoding import Budget
from openmmb.vision.formats import TIFF
from openmmb.vision.image import load_image
from tests.vision.pictures import encoded, gradient

DATA = encoded(gradient(), "TIFF", compression="tiff_lzw")
BUDGET = Budget(pixels=10**6, memory=2**26, seconds=10)
posix = pytest.mark.skipif(os.name == "nt", reason="signals and fork are POSIX's")


def test_a_process_is_kept_for_the_next_picture() -> None:
    decoders = Decoders()
    for _ in range(3):
        assert decoders.decode(DATA, TIFF, BUDGET).tobytes() == gradient().tobytes()
    with pytest.raises(ImageError, match="damaged TIFF"):
        decoders.decode(DATA[:100], TIFF, BUDGET)
    process = decoders.take()
    assert decoders.decode(DATA, TIFF, BUDGET).size == (24, 16)  # in another one
    assert process.decode(DATA, BUDGET).size == (24, 16)
    process.close()
    decoders.close()


@posix
def test_a_process_that_dies_is_replaced() -> None:
    decoders = Decoders()
    process = decoders.take()
    os.kill(process.pid, signal.SIGSEGV)
    with pytest.raises(ImageError, match=r"^damaged: its decoder crashed$"):
        process.decode(DATA, BUDGET)
    assert not process.runs
    assert decoders.decode(DATA, TIFF, BUDGET).size == (24, 16)
    decoders.close()


@posix
def test_ctrl_c_is_not_for_the_process() -> None:
    process = DecoderProcess()
    process.decode(DATA, BUDGET)
    os.kill(process.pid, signal.SIGINT)
    assert process.decode(DATA, BUDGET).size == (24, 16)
    process.close()


def test_pictures_are_decoded_side_by_side() -> None:
    decoders, together = Decoders(), threading.Barrier(3)

    def decode(_: int) -> bytes:
        process = decoders.take()
        together.wait(60)
        pixels = process.decode(DATA, BUDGET).tobytes()
        process.close()
        return pixels

    with ThreadPoolExecutor(3) as pool:
        assert set(pool.map(decode, range(3))) == {gradient().tobytes()}


@posix
def test_a_fork_decodes_with_processes_of_its_own() -> None:
    load_image(DATA)
    code = os.fork()
    if code == 0:
        same = load_image(DATA).tobytes() == gradient().tobytes()
        DECODERS.close()
        os._exit(0 if same else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(code, 0)[1]) == 0
    assert load_image(DATA).tobytes() == gradient().tobytes()


def test_a_damaged_tiff_prints_nothing(tmp_path: Path) -> None:
    data = bytearray(encoded(gradient(200, 200), "TIFF", compression="tiff_adobe_deflate"))
    data[8 + 40 : 8 + 60] = bytes(20)
    (tmp_path / "a.tif").write_bytes(data)
    code = (
        "import sys; from pathlib import Path; from openmmb.errors import ImageError\n"
        "from openmmb.vision.decoders import DECODERS; from openmmb.vision.decoding import Budget\n"
        "from openmmb.vision.formats import TIFF\n"
        "try: DECODERS.decode(Path(sys.argv[1]).read_bytes(), TIFF, Budget(10**6, 2**26, 10))\n"
        "except ImageError as error: print(error)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.tif")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.startswith("damaged TIFF: ")
    assert done.stderr == ""


def test_no_process_is_left_when_the_program_ends() -> None:
    code = (
        "import sys; from openmmb.vision.decoders import DECODERS as d\n"
        "p = d.take(); print(p.pid); d.give_back(p)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert done.stderr == ""
    if os.name != "nt":
        with pytest.raises(ProcessLookupError):
            os.kill(int(done.stdout), 0)


def test_a_process_that_cannot_be_started_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(ImageError, match=r"no process to decode it can be started: No such file"):
        Decoders().decode(DATA, TIFF, BUDGET)
