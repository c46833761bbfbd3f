"""The three commands of Multi-Modal BlenderBot's published model card, word by word."""

SHARED = (
    *("--include-image-token", "False", "--activation", "gelu", "--attention-dropout", "0.0"),
    *("--batchsize", "128", "--dropout", "0.1", "--fp16", "True", "--gradient-clip", "0.1"),
    *("--label-truncate", "128", "--log-every-n-secs", "30"),
    *("--lr-scheduler", "reduceonplateau", "--max-train-time", "169344.0"),
    *("--model-parallel", "True", "--model", "image_seq2seq"),
    *("--dict-file", "zoo:blender/reddit_3B/model.dict", "--embedding-size", "2560"),
    *("--ffn-size", "10240", "--n-decoder-layers", "24", "--n-encoder-layers", "2"),
    *("--n-heads", "32", "--n-positions", "128", "--variant", "prelayernorm"),
    *("--text-truncate", "128", "--truncate", "128", "--dict-tokenizer", "bytelevelbpe"),
    *("--fp16-impl", "mem_efficient", "--optimizer", "adam", "--update-freq", "2"),
    *("--history-add-global-end-token", "end", "--lr-scheduler-patience", "3"),
    *("--warmup-updates", "100", "--relu-dropout", "0.0", "--save-after-valid", "True"),
    *("--skip-generation", "True", "-vmm", "min", "-vmt", "ppl", "-vp", "10"),
    *("--image-fusion-type", "early", "--n-segments", "2", "--n-image-channels", "100"),
)
"""What the two training commands have in common."""


def coco(*, out: str) -> list[str]:
    """Return the command of the domain-adaptive pre-training."""
    return [
        *("parlai", "tm", "-t", "coco_caption", "--include-rest-val", "True", *SHARED),
        *("--init-model", "zoo:blender/reddit_3B/model", "--delimiter", "  "),
        *("--multitask-weights", "1,1", "-lr", "7e-06", "-vtim", "1800", "-vme", "24000"),
        *("--model-file", out),
    ]


TEACHERS = (
    *("blended_skill_talk", "convai2:normalized", "empathetic_dialogues", "wizard_of_wikipedia"),
    "image_chat:Generation",
)


def degenpos(*, start: str, out: str) -> list[str]:
    """Return the command of the fine-tuning."""
    task = ",".join(f"genderation_bias:controllable_task:{teacher}" for teacher in TEACHERS)
    return [
        *("parlai", "tm", "-t", task, "--prepend-personality", "True"),
        *("--image-mode", "faster_r_cnn_152_32x8d", "--category-frac", "0.75", *SHARED),
        *("--delimiter", "\n", "--multitask-weights", "stochastic", "-lr", "1e-06"),
        *("-veps", "0.25", "--init-model", start, "--model-file", out),
    ]


def chat(*, model: str) -> list[str]:
    """Return the command of the chat."""
    return [
        *("python", "parlai/scripts/safe_interactive.py", "-t", "blended_skill_talk"),
        *("-mf", model, "--model", "projects.multimodal_blenderbot.agents:BiasAgent"),
        *("--delimiter", "\n", "--beam-block-ngram", "3", "--beam-context-block-ngram", "3"),
        *("--beam-min-length", "20", "--beam-size", "10", "--inference", "beam"),
        *("--model-parallel", "False"),
    ]
