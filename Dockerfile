# docker build -t assay . && docker run -p 127.0.0.1:8000:8000 -v assay:/home/assay/var --read-only --tmpfs /tmp assay
FROM python:3.11-slim AS build
WORKDIR /opt/assay
COPY pyproject.toml constraints.txt README.md ./
ARG EXTRAS=postgres,telemetry,dashboard
RUN python -m venv .venv && .venv/bin/python -m pip install -q --no-cache-dir -c constraints.txt -e ".[$EXTRAS]"
COPY data data
COPY prompts prompts
COPY retrieval retrieval
COPY serving serving
COPY evals evals
COPY finetune finetune
COPY app app
RUN .venv/bin/python -m compileall -q data prompts retrieval serving evals finetune app

FROM python:3.11-slim
RUN useradd --create-home --uid 10001 assay && install -d -o assay /home/assay/var
COPY --from=build /opt/assay /opt/assay
ENV PATH=/opt/assay/.venv/bin:$PATH \
    PYTHONPATH=/opt/assay \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HF_HUB_OFFLINE=1 \
    ASSAY_HOME=/home/assay \
    ASSAY_HOST=0.0.0.0
WORKDIR /opt/assay
USER assay
VOLUME /home/assay/var
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=3)"]
STOPSIGNAL SIGTERM
CMD ["python", "-m", "app", "serve"]
