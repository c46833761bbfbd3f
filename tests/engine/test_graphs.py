"""A search of fixed sizes finds the replies of the plain engine, token for token, in buffers that
are used again; a graphics card records its steps.

What cannot run here is the recording alone: the same steps run as they are.
"""

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import Tensor

from openmmb.checkpoint import Checkpoint, new_network
from openmmb.data.encode import EncodeConfig
from openmmb.engine.generate import generate
from openmmb.engine.graphs import (
    FIRST_VIEW,
    GraphEngine,
    IdleStages,
    Stage,
    open_cuda,
    open_cuda_fp32,
    open_static,
    view_of,
)
from openmmb.engine.open import Engine, Opener
from openmmb.errors import ConfigError
from openmmb.model.config import Fusion, Variant
from openmmb.model.network import Memory
from openmmb.model.static_cache import StaticSizes
from openmmb.model.static_search import static_search
from openmmb.search.config import Method, SearchConfig
from openmmb.search.decode import search
from openmmb.search.hypothesis import Hypothesis
from tests.build import (
    TINY_F,
    TINY_I,
    plain_engine,
    tiny_checkpoint,
    tiny_config,
    tiny_example,
    tiny_model,
    tiny_tokenizer,
)
from tests.model.causal import SHAPES, network

CPU = torch.device("cpu")
END = 2


def seq2seq(variant: Variant = "prelayernorm", fusion: Fusion = "early") -> Checkpoint:
    """A model whose replies end at different lengths; an untrained one hardly ever ends any."""
    shape = tiny_config(variant=variant, fusion=fusion)
    made = tiny_checkpoint(encoder="tiny", image_vectors=TINY_I, image_dim=TINY_F)
    made = replace(made, config=replace(made.config, model=shape), model=tiny_model(shape))
    with torch.no_grad():
        made.model.embeddings.weight[END] *= 3
    return made


def causal(name: str) -> Checkpoint:
    config = replace(
        tiny_checkpoint().config,
        model=SHAPES[name],
        encode=EncodeConfig(max_context=8, max_pinned=4, max_reply=8),
    )
    made = network(SHAPES[name])
    return Checkpoint(config=config, model=made, tokenizer=tiny_tokenizer())


CHECKPOINTS: dict[str, Callable[[], Checkpoint]] = {
    "prelayernorm": seq2seq,
    "xlm": partial(seq2seq, "xlm"),
    "bart": partial(seq2seq, "bart"),
    "late fusion": partial(seq2seq, fusion="late"),
    **{name: partial(causal, name) for name in SHAPES},
}


def static(checkpoint: Checkpoint, dtype: torch.dtype = torch.float32) -> GraphEngine:
    return open_static(checkpoint, CPU, dtype, recorded=False)


def read(engine: Engine, rows: int, *, length: int = 7, picture: bool = True) -> Memory:
    """Contexts of different lengths; every other row has a picture."""
    source = torch.Generator().manual_seed(rows + length)
    context = torch.randint(4, engine.vocab_size, (rows, length), generator=source)
    mask = torch.arange(length) < torch.arange(length, length - rows, -1).clamp(min=1)[:, None]
    vectors, features = engine.config.model.image_vectors, engine.config.model.image_dim
    image = torch.randn(rows, vectors, features, generator=source).to(engine.dtype)
    has_image = torch.arange(rows) % 2 == 0
    return engine.read(context, mask, image if picture else None, has_image if picture else None)


def replies(engine: Engine, memory: Memory, settings: SearchConfig) -> list[list[Hypothesis]]:
    step = engine.stepper(memory, num_beams=settings.num_beams, max_tokens=settings.max_length)
    context = torch.zeros(len(memory), 1, dtype=torch.int64)
    return search(step, context, settings, start_id=1, end_id=END)


def tokens_of(hypotheses: list[list[Hypothesis]]) -> list[list[tuple[int, ...]]]:
    return [[one.tokens for one in row] for row in hypotheses]


@pytest.mark.parametrize("name", CHECKPOINTS)
@pytest.mark.parametrize("picture", [True, False])
@torch.no_grad()
def test_replies_are_those_of_the_plain_engine(name: str, *, picture: bool) -> None:
    checkpoint = CHECKPOINTS[name]()
    plain, fixed = plain_engine(checkpoint), static(checkpoint)
    for rows, beams in ((1, 1), (1, 4), (3, 2), (5, 3)):
        settings = SearchConfig(beam_size=beams, min_length=2, max_length=20)
        expected = replies(plain, read(plain, rows, picture=picture), settings)
        found = replies(fixed, read(fixed, rows, picture=picture), settings)
        assert tokens_of(found) == tokens_of(expected)
        for row, wanted in zip(found, expected, strict=True):
            scores = [one.score for one in wanted]
            assert [one.score for one in row] == pytest.approx(scores, abs=1e-4)


@torch.no_grad()
def test_beams_that_end_early_and_inputs_that_are_done_disturb_nobody() -> None:
    checkpoint = seq2seq()
    plain, fixed = plain_engine(checkpoint), static(checkpoint)
    settings = SearchConfig(beam_size=3, min_length=1, max_length=40)
    expected = replies(plain, read(plain, 6), settings)
    lengths = {len(one.tokens) for row in expected for one in row}
    assert min(lengths) < 5 < FIRST_VIEW < max(lengths)
    assert tokens_of(replies(fixed, read(fixed, 6), settings)) == tokens_of(expected)


@pytest.mark.parametrize("method", ["greedy", "topk", "nucleus", "delayed_beam"])
@torch.no_grad()
def test_every_method_finds_the_same(method: Method) -> None:
    checkpoint = seq2seq()
    settings = SearchConfig(method=method, beam_size=2, min_length=2, max_length=20, beam_delay=4)
    examples = [tiny_example(), tiny_example(context=("I like bread.", "And cheese?"))]
    images = [None, torch.arange(TINY_I * TINY_F).view(TINY_I, TINY_F) / 10]

    def drawn(engine: Engine) -> list[list[str]]:
        sources = [torch.Generator().manual_seed(seed) for seed in (1, 2)]
        found = generate(engine, examples, images, settings, generators=sources)
        return [[one.text for one in row] for row in found]

    assert drawn(static(checkpoint)) == drawn(plain_engine(checkpoint))


@pytest.mark.parametrize("name", ["prelayernorm", "smollm2"])
@torch.no_grad()
def test_logits_are_those_of_the_plain_engine_whatever_beams_follow(name: str) -> None:
    checkpoint = CHECKPOINTS[name]()
    rows, beams, steps = 3, 4, 2 * FIRST_VIEW + 5
    source = torch.Generator().manual_seed(0)
    engines = (plain_engine(checkpoint), static(checkpoint))
    plain, fixed = (e.stepper(read(e, rows), num_beams=beams, max_tokens=steps) for e in engines)
    for _ in range(steps):
        tokens = torch.randint(4, engines[0].vocab_size, (rows, beams), generator=source)
        parents = torch.randint(0, beams, (rows, beams), generator=source)
        logits = fixed(tokens, parents)
        assert logits.dtype == torch.float32
        torch.testing.assert_close(logits, plain(tokens, parents), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["prelayernorm", "smollm2"])
@torch.inference_mode()
def test_a_search_leaves_nothing_behind_for_the_next_in_its_buffers(name: str) -> None:
    engine = static(CHECKPOINTS[name]())
    settings = SearchConfig(beam_size=3, min_length=2, max_length=20)
    expected = replies(engine, read(engine, 3, length=4, picture=False), settings)
    fresh = static(CHECKPOINTS[name]())
    replies(fresh, read(fresh, 4, length=7), settings)
    memory = read(fresh, 4, length=7)
    step = fresh.stepper(memory, num_beams=3, max_tokens=20)
    stage = step.stage
    for buffer in (*stage.search.cache.keys, *stage.search.cache.values):
        buffer.fill_(torch.nan)
    del step
    found = replies(fresh, read(fresh, 3, length=4, picture=False), settings)
    assert found == expected
    assert fresh._idle.take(stage.sizes) is stage


@torch.no_grad()
def test_searches_at_the_same_time_have_buffers_of_their_own() -> None:
    engine = static(seq2seq())
    settings = SearchConfig(beam_size=3, min_length=2, max_length=20)
    expected = [replies(engine, read(engine, rows), settings) for rows in (1, 2, 3, 4)]
    found: dict[int, list[list[Hypothesis]]] = {}

    def answer(rows: int) -> None:
        for _ in range(3):
            found[rows] = replies(engine, read(engine, rows), settings)

    threads = [threading.Thread(target=answer, args=(rows,)) for rows in (1, 2, 3, 4, 4, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[rows] for rows in (1, 2, 3, 4)] == expected


@pytest.mark.parametrize("name", ["prelayernorm", "late fusion", "smollm2", "qwen3"])
@torch.no_grad()
def test_a_step_asks_the_device_for_nothing(name: str) -> None:
    """On the ``meta`` device there is nothing to be had: whatever asked would fail."""
    with torch.device("meta"):
        made = new_network(CHECKPOINTS[name]().config.model)
        running = static_search(made.eval(), StaticSizes(2, 3, 8, 64))
        tokens = torch.zeros(2, 3, dtype=torch.int64)
        shapes = {running.step(tokens, tokens).shape for _ in range(3)}
    assert len(shapes) == 1


@pytest.mark.parametrize("name", ["prelayernorm", "smollm2"])
@torch.no_grad()
def test_a_step_finds_every_tensor_where_the_one_before_did(name: str) -> None:
    engine = static(CHECKPOINTS[name]())
    step = engine.stepper(read(engine, 3), num_beams=2, max_tokens=4)
    cache = step.stage.search.cache

    def where() -> list[int]:
        own = [value for value in vars(cache).values() if isinstance(value, Tensor)]
        return [one.data_ptr() for one in (*cache.keys, *cache.values, *own)]

    tokens = torch.zeros(3, 2, dtype=torch.int64)
    before = step(tokens, tokens).data_ptr(), where()
    assert (step(tokens, tokens).data_ptr(), where()) == before


@pytest.mark.parametrize("name", ["prelayernorm", "smollm2"])
@torch.inference_mode()
def test_a_step_can_be_undone_as_recording_one_does(name: str) -> None:
    checkpoint = CHECKPOINTS[name]()
    engine = static(checkpoint)
    expected = engine.stepper(read(engine, 2), num_beams=3, max_tokens=6)
    undone = engine.stepper(read(engine, 2), num_beams=3, max_tokens=6)
    stage = undone.stage
    tokens, parents = torch.tensor([[5, 6, 7]] * 2), torch.tensor([[2, 0, 0]] * 2)
    for at in range(4):
        cache = stage.search.cache
        masks = cache.masks()
        stage._run()
        cache.restore(masks, at)
        assert undone(tokens, parents).equal(expected(tokens, parents))


@pytest.mark.parametrize("name", ["prelayernorm", "smollm2"])
@torch.no_grad()
def test_in_bfloat16_the_logits_are_near(name: str) -> None:
    checkpoint = CHECKPOINTS[name]()
    plain, fixed = plain_engine(checkpoint), static(checkpoint, torch.bfloat16)
    assert fixed.dtype == torch.bfloat16
    steps = [e.stepper(read(e, 3), num_beams=2, max_tokens=4) for e in (plain, fixed)]
    tokens, parents = torch.tensor([[5, 6]] * 3), torch.tensor([[1, 0]] * 3)
    for _ in range(4):
        expected, found = (step(tokens, parents).clone() for step in steps)
        assert found.dtype == torch.float32
        assert (found - expected).norm() < 0.05 * expected.norm()


@torch.no_grad()
def test_more_steps_than_there_are_buffers_for_are_refused() -> None:
    engine = static(seq2seq())
    step = engine.stepper(read(engine, 1), num_beams=1, max_tokens=2)
    tokens = torch.zeros(1, 1, dtype=torch.int64)
    for _ in range(2):
        step(tokens, tokens)
    with pytest.raises(ValueError, match="step 3 of a search begun for fewer"):
        step(tokens, tokens)
    with pytest.raises(ValueError, match="65 tokens, but the network has 64 positions"):
        engine.stepper(read(engine, 1), num_beams=1, max_tokens=65)


@pytest.mark.parametrize("kind", [open_cuda, open_cuda_fp32])
def test_without_a_graphics_card_it_is_refused_in_one_line(kind: Opener) -> None:
    with pytest.raises(ConfigError, match=r"^engine: cuda.* is for a graphics card, .* 'cpu'; use"):
        kind(tiny_checkpoint(), CPU)


def test_the_slots_looked_at_are_few_in_the_beginning_and_never_too_few() -> None:
    assert [view_of(step, 100) for step in (1, 16, 17, 32, 33, 65, 100)] == [
        16, 16, 32, 32, 64, 100, 100,
    ]  # fmt: skip
    assert view_of(1, 5) == 5


@torch.no_grad()
def test_the_oldest_buffers_go_where_there_are_too_many() -> None:
    model = tiny_model()
    stages = [Stage(model, StaticSizes(rows, 1, 4, 64), recorded=False) for rows in (1, 2, 4)]
    idle = IdleStages(limit=stages[1].num_bytes + stages[2].num_bytes)
    for stage in stages:
        idle.give(stage)
    assert idle.take(StaticSizes(8, 1, 4, 64)) is None
    assert [idle.take(stage.sizes) for stage in stages] == [None, *stages[1:]]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no graphics card")
@pytest.mark.parametrize("name", CHECKPOINTS)
@torch.no_grad()
def test_recorded_steps_are_the_steps(name: str) -> None:
    checkpoint, card = CHECKPOINTS[name](), torch.device("cuda")
    settings = SearchConfig(beam_size=3, min_length=2, max_length=40)
    found = []
    for recorded in (False, True, True):
        engine = open_static(checkpoint, card, torch.float32, recorded=recorded)
        context = torch.tensor([[5, 6, 7], [8, 9, 0]], device=card)
        memory = engine.read(context, context > 0)
        step = engine.stepper(memory, num_beams=3, max_tokens=40)
        found.append(search(step, context, settings, start_id=1, end_id=END))
    assert tokens_of(found[0]) == tokens_of(found[1]) == tokens_of(found[2])
