"""How fast picture encoders are: ``python benchmarks/features.py --images photos.tar``.

Prints a Markdown table of pictures a second, from file to shard. The first column is what one
would write without this package: read a picture, turn it into pixels, call the network, keep the
vectors in memory. The others are ``extract`` with several sizes of batch, and in two processes
that share the same threads. Every cell is the median of several rounds, in which all cells take
turns, so that a machine that slows down does so for all of them.

An encoder that does not come with its weights needs ``--weights NAME=PATH``; random ones are as
fast. Without it, the encoder is left out of the table and named below it.
"""

import argparse
import multiprocessing
import multiprocessing.process
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from openmmb.errors import ConfigError, OpenMMBError
from openmmb.vision import efficientnet
from openmmb.vision.encoders import ENCODERS, open_encoder
from openmmb.vision.features.extract import extract
from openmmb.vision.features.pictures import SUFFIXES, list_pictures
from openmmb.vision.features.share import WHOLE, Share
from openmmb.vision.image_encoder import ImageEncoder

BATCHES = (1, 8, 16, 64)
PROCESSES = 2

Encode = Callable[[Image.Image], Tensor]


def main() -> None:
    """Measure the encoders that were asked for."""
    args = _parse_args()
    torch.set_num_threads(args.threads)
    weights = dict(pair.split("=", 1) for pair in args.weights)
    bare = [name for name in args.encoders if _needs_weights(name) and name not in weights]
    left_out = [f"without --weights NAME=PATH: {', '.join(bare)}"] if bare else []
    print(f"{args.pictures} pictures, {_machine(args.device)}, {args.threads} threads")
    print()
    cells = ["encoder", "loop", *(f"batch {size}" for size in BATCHES)]
    cells.append(f"batch {args.batch}, {PROCESSES} processes")
    print(f"| {' | '.join(cells)} |")
    print(f"|---|{'---:|' * (len(cells) - 1)}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "pictures")
        _take(args.images, folder, args.pictures)
        for encoder in (name for name in args.encoders if name not in bare):
            try:
                rates = list(_rates(encoder, weights.get(encoder), folder, args))
            except OpenMMBError as error:
                left_out.append(str(error))
                continue
            first = rates[0]
            row = [f"{first:.1f}", *(f"{rate:.1f} ({rate / first:.2f}x)" for rate in rates[1:])]
            print(f"| {encoder} | {' | '.join(row)} |", flush=True)
    for line in left_out:
        print(f"\nleft out: {line}")


def _needs_weights(name: str) -> bool:
    return name in ENCODERS and bool(ENCODERS[name].published)


def _parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("encoders", nargs="*", default=list(ENCODERS), help="all by default")
    parser.add_argument("--images", required=True, help="folder, .txt list or .tar of pictures")
    parser.add_argument("--pictures", type=int, default=128, help="how many of them")
    parser.add_argument("--weights", action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="in all")
    parser.add_argument("--batch", type=int, default=16, help="of the processes")
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def _machine(device: str) -> str:
    if device != "cpu":
        return torch.cuda.get_device_name(device)
    lines = Path("/proc/cpuinfo").read_text().splitlines() if sys.platform == "linux" else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _take(source: str, folder: Path, count: int) -> None:
    """Copy the first pictures of ``source`` into ``folder``."""
    folder.mkdir()
    pictures, _ = list_pictures([source])
    if len(pictures) < count:
        sys.exit(f"{source}: {len(pictures)} pictures; --pictures {count} needs more")
    for picture in pictures[:count]:
        suffix = next(end for end in SUFFIXES if picture.name.lower().endswith(end))
        data = picture.location.read(picture.offset, picture.size)
        (folder / f"{picture.image_id}{suffix}").write_bytes(data)


def _rates(
    name: str, weights: str | None, folder: Path, args: argparse.Namespace
) -> Iterator[float]:
    """Yield the pictures a second of each cell of an encoder's row."""
    encoder = open_encoder(name, weights=weights, device=args.device)
    plain = _plain(encoder, torch.device(args.device))
    times: dict[str, list[float]] = {}
    with _Processes(name, weights, folder, args) as processes:
        for _ in range(args.rounds):
            times.setdefault("loop", []).append(_loop(plain, folder))
            for size in BATCHES:
                times.setdefault(f"{size}", []).append(_extract(encoder, folder, size, WHOLE))
            times.setdefault("processes", []).append(processes.run())
    yield from (args.pictures / statistics.median(seconds) for seconds in times.values())


def _plain(encoder: ImageEncoder, device: torch.device) -> Encode:
    """Return what one would write: the network as it is published, a picture at a time."""
    if encoder.name != "efficientnet_lite0":
        return lambda image: encoder.encode([image])
    network = efficientnet.load_efficientnet().to(device)

    def encode(image: Image.Image) -> Tensor:
        with torch.inference_mode():
            pixels = efficientnet.preprocess([image]).contiguous().to(device)
            vectors: Tensor = network(pixels).cpu()
        return vectors

    return encode


def _loop(encode: Encode, folder: Path) -> float:
    """Encode all pictures one by one; return the seconds."""
    begun = time.perf_counter()
    vectors = {}
    for path in sorted(folder.iterdir()):
        with Image.open(path) as image:
            vectors[path.stem] = encode(image.convert("RGB"))[0].half()
    return time.perf_counter() - begun


def _extract(encoder: ImageEncoder, folder: Path, batch_size: int, share: Share) -> float:
    """Write the share into a fresh folder; return the seconds."""
    with tempfile.TemporaryDirectory() as out:
        begun = time.perf_counter()
        extract(encoder, [folder], out, batch_size=batch_size, share=share)
        return time.perf_counter() - begun


class _Processes:
    """Processes that wait with an open encoder, and extract together when told to.

    Each is asked and answers through a pipe of its own, which ends with either side: none waits
    for one that has failed.
    """

    def __init__(
        self, name: str, weights: str | None, folder: Path, args: argparse.Namespace
    ) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._task = (name, weights, folder, args)
        self._workers: list[tuple[multiprocessing.process.BaseProcess, Connection]] = []

    def __enter__(self) -> "_Processes":
        try:
            for rank in range(PROCESSES):
                ours, theirs = self._context.Pipe()
                share = Share(rank, PROCESSES)
                worker = self._context.Process(
                    target=_work, args=(theirs, share, *self._task), daemon=True
                )
                worker.start()
                theirs.close()
                self._workers.append((worker, ours))
            self._wait()  # all have opened their encoder
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for worker, connection in self._workers:
            worker.terminate()
            connection.close()

    def run(self) -> float:
        """Let each do its share; return the seconds until the last is done."""
        begun = time.perf_counter()
        for _, connection in self._workers:
            connection.send("go")
        self._wait()
        return time.perf_counter() - begun

    def _wait(self) -> None:
        for worker, connection in self._workers:
            try:
                problem = connection.recv()
            except (EOFError, OSError):
                worker.join()
                problem = f"one of {PROCESSES} processes ended with {worker.exitcode}"
            if problem:
                raise ConfigError(problem)


def _work(
    connection: Connection,
    share: Share,
    name: str,
    weights: str | None,
    folder: Path,
    args: argparse.Namespace,
) -> None:
    try:
        torch.set_num_threads(max(1, args.threads // PROCESSES))
        encoder = open_encoder(name, weights=weights, device=args.device)
        _extract(encoder, folder, args.batch, Share(share.rank, 8 * PROCESSES))  # to warm up
        connection.send("")
        while connection.recv():
            _extract(encoder, folder, args.batch, share)
            connection.send("")
    except OpenMMBError as error:
        connection.send(str(error))
    except EOFError:  # the process that asked is gone
        pass


if __name__ == "__main__":
    main()
