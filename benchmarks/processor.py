"""What a measurement ran on, in words: ``python benchmarks/processor.py``."""

import os
import platform
import re
from pathlib import Path

INFO = Path("/proc/cpuinfo")
ABILITIES = {
    "AVX-512": "avx512f",
    "AVX-512 bf16": "avx512_bf16",
    "VNNI": "avx512_vnni",
    "AMX": "amx_tile",
}
"""What decides which kernels run -> the name that Linux has for it."""
ZEN = {23: "Zen to Zen 2", 25: "Zen 3 or Zen 4", 26: "Zen 5"}
"""AMD's families; a virtual machine's name for its processor may say no more than "EPYC"."""


def processor() -> str:
    """Return maker, model, number of cores, and what it can do."""
    cores = f"{os.cpu_count()} cores"
    if not INFO.exists():
        return f"{platform.processor() or platform.machine()}, {cores}"
    info = INFO.read_text(encoding="utf-8")
    name = _field("model name", info) or platform.machine()
    if _field("vendor_id", info) == "AuthenticAMD":
        name += f" ({ZEN.get(int(_field('cpu family', info)), 'AMD')})"
    flags = _field("flags", info).split()
    able = [title for title, flag in ABILITIES.items() if flag in flags]
    unable = [title for title, flag in ABILITIES.items() if flag not in flags]
    lacks = f"; no {', '.join(unable)}" if unable else ""
    return f"{name}, {cores}, {', '.join(able)}{lacks}"


def _field(name: str, info: str) -> str:
    match = re.search(rf"^{name}\s*:\s*(.*)$", info, flags=re.MULTILINE)
    return match[1].strip() if match else ""


if __name__ == "__main__":
    print(processor())
