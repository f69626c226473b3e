# Images of the kind demo, one target each: docker build --file kind/images.Dockerfile --target <target> .
FROM python:3.13-slim AS base
ENV PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /app
COPY requirements.lock ./
RUN pip install --require-hashes --requirement requirements.lock
COPY shim shim
COPY ledger ledger
COPY demo demo
RUN pip install --no-deps --no-build-isolation ./shim ./ledger ./demo
USER 10001:10001

# The model server and the protected system; the manifests name the module.
FROM base AS dependencies
ENTRYPOINT ["python", "-m"]

FROM base AS security-agent
ENTRYPOINT ["midwatch-run", "python", "-m", "security_agent"]

FROM base AS retail-simulation
ENTRYPOINT ["python", "-m", "retail_simulation"]

FROM base AS ledger
ENTRYPOINT ["midwatch-ledger"]
