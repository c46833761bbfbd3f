"""The cuda engine: the step of a search is recorded on a graphics card once, and then replayed.

A step is hundreds of small kernels, and launching them one by one takes the processor longer than
they take the card. A CUDA graph launches them all at once, where every step does the same to the
same tensors: as ``model.static_search`` does. What differs is rounded up: rows, what was read, and
the slots that are looked at, for each of which there is a graph.

Sizes: B rows, K beams a row, V vocabulary.
"""

import threading
import weakref
from collections import deque
from collections.abc import Callable

import torch
from torch import Tensor

from openmmb.checkpoint import Checkpoint, SavedCheckpoint, new_network
from openmmb.engine.plain import NetworkEngine
from openmmb.errors import ConfigError
from openmmb.model.network import Memory, TrainableNetwork
from openmmb.model.static_cache import StaticSizes
from openmmb.model.static_search import memory_length, static_search

LENGTHS = 64
"""What was read is rounded up to a multiple of so many."""
FIRST_VIEW = 16
"""Steps whose slots are looked at in the beginning; then twice as many, and so on."""
IDLE = 1 / 8
"""Share of a card's memory for the buffers of searches that are over."""
IDLE_ELSEWHERE = 2**28
"""Bytes of them where there is no card."""

_recording = threading.Lock()


def is_card(device: torch.device) -> bool:
    """Whether CUDA graphs can be had on a device."""
    return device.type == "cuda"


def open_cuda(checkpoint: Checkpoint | SavedCheckpoint, device: torch.device) -> NetworkEngine:
    """Open the engine for graphics cards: weights in bfloat16, steps as CUDA graphs.

    Raises:
        ConfigError: The device is none.
    """
    return _open_recorded("cuda", checkpoint, device, torch.bfloat16)


def open_cuda_fp32(checkpoint: Checkpoint | SavedCheckpoint, device: torch.device) -> NetworkEngine:
    """Open that engine with weights in float32, as exact as training.

    Raises:
        ConfigError: The device is none.
    """
    return _open_recorded("cuda-fp32", checkpoint, device, torch.float32)


def _open_recorded(
    kind: str, checkpoint: Checkpoint | SavedCheckpoint, device: torch.device, dtype: torch.dtype
) -> NetworkEngine:
    if not is_card(device):
        raise ConfigError(
            f"engine: {kind} is for a graphics card, and the device is {str(device)!r}; use fp32"
        )
    return open_static(checkpoint, device, dtype, recorded=True)


def open_static(
    checkpoint: Checkpoint | SavedCheckpoint,
    device: torch.device,
    dtype: torch.dtype,
    *,
    recorded: bool,
) -> "GraphEngine":
    """Open an engine whose searches are of fixed sizes, on any device.

    Args:
        checkpoint: The model.
        device: Where it computes.
        dtype: Precision of the weights, and of all but the logits.
        recorded: Replay steps as CUDA graphs, or run them as they are: the same work, in the same
            tensors.
    """
    with torch.device("meta"):
        network = new_network(checkpoint.config.model)
    with checkpoint.weights() as weights:
        state = {name: weight.read().to(device, dtype) for name, weight in weights.items()}
    network.load_state_dict(state, assign=True)
    return GraphEngine(network, checkpoint, recorded=recorded)


class GraphEngine(NetworkEngine):
    """A network whose searches run in buffers that the next one of the same sizes uses again.

    Args:
        network: With weights that nobody trains or saves any more.
        checkpoint: What it was opened from.
        recorded: See ``open_static``.
    """

    def __init__(
        self,
        network: TrainableNetwork,
        checkpoint: Checkpoint | SavedCheckpoint,
        *,
        recorded: bool,
    ) -> None:
        super().__init__(network, checkpoint)
        self._recorded = recorded
        self._idle = IdleStages(idle_bytes(network.device))

    def stepper(self, memory: Memory, *, num_beams: int, max_tokens: int) -> "RunningSearch":
        """Begin a search and return its step, as ``Network.stepper`` says.

        Its buffers go to another search as soon as nothing holds the step any more.
        """
        sizes = StaticSizes(
            rows=1 << (len(memory) - 1).bit_length(),
            num_beams=num_beams,
            max_tokens=max_tokens,
            length=max(1, -(-memory_length(memory) // LENGTHS)) * LENGTHS,
        )
        stage = self._idle.take(sizes)
        if stage is None:
            stage = Stage(self._network, sizes, recorded=self._recorded)
        stage.begin(memory)
        return RunningSearch(stage, self._idle.give)


class Stage:
    """The buffers of a search, and its step recorded for each number of slots looked at.

    Attributes:
        sizes: Those of its searches.
        search: What runs in them.
        num_bytes: What it takes.
    """

    @torch.inference_mode()
    def __init__(self, network: TrainableNetwork, sizes: StaticSizes, *, recorded: bool) -> None:
        self.sizes = sizes
        self._network = network
        self.search = static_search(network, sizes)
        shape, device = (sizes.rows, sizes.num_beams), network.device
        self._tokens = torch.zeros(shape, dtype=torch.int64, device=device)
        self._parents = torch.zeros(shape, dtype=torch.int64, device=device)
        self._logits = torch.zeros(*shape, network.vocab_size, device=device)
        self._recorded = recorded
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}
        self._steps = 0
        self.num_bytes = self.search.cache.num_bytes + self._logits.nbytes

    @torch.inference_mode()
    def begin(self, memory: Memory) -> None:
        """Begin a search."""
        self.search.begin(memory)
        self._steps = 0

    @torch.inference_mode()
    def step(self, tokens: Tensor, parents: Tensor) -> Tensor:
        """Do what ``Step`` says.

        Raises:
            ValueError: There were more steps than the search was begun for.
        """
        if self._steps == self.sizes.max_tokens:
            raise ValueError(f"step {self._steps + 1} of a search begun for fewer")
        self._tokens[: len(tokens)] = tokens
        self._parents[: len(parents)] = parents
        view = view_of(self._steps + 1, self.sizes.max_tokens)
        self.search.cache.look_at(view)
        if self._recorded:
            if view not in self._graphs:
                self._graphs[view] = self._record()
            self._graphs[view].replay()
        else:
            self._run()
        self._steps += 1
        return self._logits[: len(tokens)]

    def _run(self) -> None:
        """One step: from buffers to buffers, and the device is asked for nothing."""
        hidden = self.search.step(self._tokens, self._parents)
        self._logits.copy_(self._network.logits(hidden))

    def _record(self) -> torch.cuda.CUDAGraph:
        """Record the step that comes next, without doing it."""
        device, cache = self._network.device, self.search.cache
        with torch.cuda.device(device), _recording:
            masks = cache.masks()
            self._run()  # libraries choose and load their kernels, which cannot be recorded
            cache.restore(masks, self._steps)
            graph = torch.cuda.CUDAGraph()
            stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            # Only this thread is kept from what a recording does not allow: others answer too.
            with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
                self._run()
        return graph


class RunningSearch:
    """The step of one search; its buffers go with it.

    Attributes:
        stage: Its buffers.
    """

    def __init__(self, stage: Stage, give: Callable[[Stage], None]) -> None:
        self.stage = stage
        weakref.finalize(self, give, stage).atexit = False

    def __call__(self, tokens: Tensor, parents: Tensor) -> Tensor:
        """Take it."""
        return self.stage.step(tokens, parents)


class IdleStages:
    """Buffers of searches that are over, the latest last.

    Args:
        limit: Most bytes that are kept.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._stages: list[Stage] = []
        # A finalizer may run anywhere, also where this thread has the lock: it only appends.
        self._given: deque[Stage] = deque()

    def give(self, stage: Stage) -> None:
        """Keep what a search no longer needs."""
        self._given.append(stage)

    def take(self, sizes: StaticSizes) -> Stage | None:
        """Return what a search of these sizes can use, which is then its own."""
        with self._lock:
            while self._given:
                self._stages.append(self._given.popleft())
            for at in reversed(range(len(self._stages))):
                if self._stages[at].sizes == sizes:
                    return self._stages.pop(at)
            while sum(stage.num_bytes for stage in self._stages) > self._limit:
                self._stages.pop(0)
            return None


def view_of(steps: int, max_tokens: int) -> int:
    """Return how many steps' slots are looked at in step ``steps``, counted from 1."""
    view = FIRST_VIEW
    while view < steps:
        view *= 2
    return min(view, max_tokens)


def idle_bytes(device: torch.device) -> int:
    """Return how many bytes the buffers of searches that are over may take."""
    if device.type != "cuda":
        return IDLE_ELSEWHERE
    return int(torch.cuda.get_device_properties(device).total_memory * IDLE)
