"""The three commands of Multi-Modal BlenderBot's published model card, word by word."""

import shlex

SHARED = shlex.split(
    "--include-image-token False --activation gelu --attention-dropout 0.0 --batchsize 128 "
    "--dropout 0.1 --fp16 True --gradient-clip 0.1 --label-truncate 128 --log-every-n-secs 30 "
    "--lr-scheduler reduceonplateau --max-train-time 169344.0 --model-parallel True "
    "--model image_seq2seq --dict-file zoo:blender/reddit_3B/model.dict --embedding-size 2560 "
    "--ffn-size 10240 --n-decoder-layers 24 --n-encoder-layers 2 --n-heads 32 --n-positions 128 "
    "--variant prelayernorm --text-truncate 128 --truncate 128 --dict-tokenizer bytelevelbpe "
    "--fp16-impl mem_efficient --optimizer adam --update-freq 2 "
    "--history-add-global-end-token end --lr-scheduler-patience 3 --warmup-updates 100 "
    "--relu-dropout 0.0 --save-after-valid True --skip-generation True -vmm min -vmt ppl -vp 10 "
    "--image-fusion-type early --n-segments 2 --n-image-channels 100"
)
"""What the two training commands have in common."""
TEACHERS = (
    "blended_skill_talk",
    "convai2:normalized",
    "empathetic_dialogues",
    "wizard_of_wikipedia",
    "image_chat:Generation",
)


def coco(*, out: str) -> list[str]:
    """Return the command of the domain-adaptive pre-training."""
    own = shlex.split(
        "--init-model zoo:blender/reddit_3B/model --delimiter '  ' --multitask-weights 1,1 "
        "-lr 7e-06 -vtim 1800 -vme 24000"
    )
    task = shlex.split("parlai tm -t coco_caption --include-rest-val True")
    return [*task, *SHARED, *own, "--model-file", out]


def degenpos(*, start: str, out: str) -> list[str]:
    """Return the command of the fine-tuning."""
    task = ",".join(f"genderation_bias:controllable_task:{teacher}" for teacher in TEACHERS)
    data = shlex.split(
        "--prepend-personality True --image-mode faster_r_cnn_152_32x8d --category-frac 0.75"
    )
    own = shlex.split("--multitask-weights stochastic -lr 1e-06 -veps 0.25")
    files = ["--delimiter", "\n", "--init-model", start, "--model-file", out]
    return ["parlai", "tm", "-t", task, *data, *SHARED, *own, *files]


def chat(*, model: str) -> list[str]:
    """Return the command of the chat."""
    script = shlex.split("python parlai/scripts/safe_interactive.py -t blended_skill_talk")
    own = shlex.split(
        "--model projects.multimodal_blenderbot.agents:BiasAgent --beam-block-ngram 3 "
        "--beam-context-block-ngram 3 --beam-min-length 20 --beam-size 10 --inference beam "
        "--model-parallel False"
    )
    return [*script, "-mf", model, "--delimiter", "\n", *own]
