"""What a run will take before it is begun: ``openmmb estimate``."""

from dataclasses import replace
from typing import Annotated, Literal, get_args

from tyro.conf import Positional, arg

from openmmb.cli.flags import load_recipe, require_count, require_positive
from openmmb.errors import ConfigError

GB = 1e9
Size = Literal["checkpoint", "tiny", "90M", "400M", "2.7B"]


def estimate(
    recipe: Annotated[Positional[str], arg(metavar="RECIPE")],
    *,
    size: Size = "checkpoint",
    devices: int = 1,
    tflops: float = 989.0,
    use: float = 0.3,
    link: float = 200.0,
) -> None:
    """Compute the memory and the time that an update of a recipe takes on each device.

    Nothing is run: the network is built without its memory, and what it takes is counted. Attention
    is counted as written out, with its weights kept; a graphics card's own kernel keeps less.

    Args:
        recipe: A TOML file, or the name of a bundled recipe.
        size: Network to compute for; checkpoint: that of the recipe's start or of its [model].
        devices: Number of devices.
        tflops: Most TFLOP/s of a device; by default those of an H100 in bf16.
        use: Share of the TFLOP/s that is reached; an assumption.
        link: GB a second that a device sends to others; an assumption.
    """
    from openmmb import config
    from openmmb.checkpoint import CONFIG, CheckpointConfig
    from openmmb.model.config import SIZES, ModelConfig
    from openmmb.model.shapes import Shape
    from openmmb.training.estimate import Hardware
    from openmmb.training.estimate import estimate as compute
    from openmmb.training.start import find_given_start

    require_count("--devices", devices)
    require_positive("--tflops", tflops)
    require_positive("--use", use, most=1)
    require_positive("--link", link)
    settings = load_recipe(recipe)
    shape: Shape
    if size != "checkpoint":
        shape = SIZES[size]
    elif settings.start is None:
        shape = replace(settings.model or ModelConfig(), vocab_size=settings.vocab_size)
    else:
        file = find_given_start(settings.start, settings.start_command) / CONFIG
        if not file.is_file():
            sizes = ", ".join(get_args(Size)[1:])
            raise ConfigError(f"start: {settings.start}: no checkpoint here; use --size ({sizes})")
        shape = config.load(CheckpointConfig, file).model
    cost = compute(settings, shape, devices=devices)
    products, exchange = cost.seconds(Hardware(flops=tflops * 1e12, use=use, link=link * GB))
    print(f"{cost.parameters:,} parameters, {devices} x {tflops:g} TFLOP/s, of which {use:.0%}")
    for name in ("weights", "gradients", "moments", "gathered", "activations", "logits", "total"):
        print(f"{name:12} {getattr(cost, name) / GB:8.2f} GB a device")
    print(f"{'products':12} {products:8.3f} s an update")
    print(f"{'exchange':12} {exchange:8.3f} s an update, in part at the same time")
