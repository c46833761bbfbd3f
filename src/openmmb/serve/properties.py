"""What a server says of itself and of its model."""

from importlib.metadata import version
from typing import Any

from openmmb.data.styles import known_styles
from openmmb.serve.config import ServeConfig
from openmmb.serve.messages import MAX_PERSONA
from openmmb.serve.service import Ready
from openmmb.text.gender import GENDER_TOKENS

PRIVATE = ("api_key", "origin", "allow_host", "ping_every")
"""Settings that are nobody's business."""


def describe_model(ready: Ready) -> dict[str, Any]:
    """Return what ``/v1/models`` says of the model."""
    return {
        "id": ready.name,
        "object": "model",
        "created": ready.created,
        "owned_by": "openmmb",
        "architecture": {
            "input_modalities": ["text", "image"] if ready.sees else ["text"],
            "output_modalities": ["text"],
        },
        "context_length": ready.bot.engine.config.encode.max_context,
    }


def describe_server(ready: Ready, config: ServeConfig) -> dict[str, Any]:
    """Return what ``/props`` says: of llama.cpp's fields those that there are here, and ours."""
    bot = ready.bot
    search, checkpoint = bot.search, bot.engine.config
    names = set(vars(config)) - set(PRIVATE)
    limits = {name: getattr(config, name) for name in sorted(names)}
    return {
        "model": ready.name,
        "models": [ready.name],
        "model_name": checkpoint.name,
        "model_card": ready.card,
        "modalities": {"vision": ready.sees, "audio": False},
        "total_slots": max(1, config.max_rows // search.num_beams),
        "default_generation_settings": {
            "n_ctx": checkpoint.encode.max_context,
            "params": {name: getattr(search, name) for name in vars(search)},
        },
        "defaults": {
            "style": ready.frame.style,
            "image_style": checkpoint.image_style,
            "persona": list(ready.frame.persona),
            "gender": bot.gender or "none",
            "n": 1,
        },
        "styles": list(known_styles()),
        "genders": ["none", *GENDER_TOKENS],
        "guard": bool(bot.guard.checks),
        "limits": {**limits, "max_persona": MAX_PERSONA, "max_stop": 4},
        "build_info": f"openmmb {version('openmmb')}",
    }
