# The board over a store of runs: docker build -t assay-board . (docs/board.md; compose.yaml puts PostgreSQL beside it).
# Any Python from 3.11 on, with pip, does as BASE. Where a proxy inspects TLS, put its certificates into ca-bundle.pem
# beside this file: they serve the first stage and are not in the image.
ARG BASE=python:3.11-slim
FROM ${BASE} AS build
ENV PIP_BREAK_SYSTEM_PACKAGES=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
COPY constraints.txt pyproject.toml ca-bundle.pe[m] /build/
RUN if [ -s /build/ca-bundle.pem ]; then export PIP_CERT=/build/ca-bundle.pem; fi; \
    python3 -c "import tomllib; p = tomllib.load(open('/build/pyproject.toml', 'rb'))['project']; \
        print(*p['dependencies'], *p['optional-dependencies']['board'], sep='\n')" > /build/requirements.txt \
    && python3 -m pip install --only-binary=:all: -c /build/constraints.txt -r /build/requirements.txt
COPY . /build
RUN if [ -s /build/ca-bundle.pem ]; then export PIP_CERT=/build/ca-bundle.pem; fi; \
    python3 -m pip install --no-deps /build

FROM ${BASE}
ENV LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
COPY --from=build /usr/local /usr/local
WORKDIR /srv
USER 65534:65534
EXPOSE 8501
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["python3", "-c", \
    "import urllib.request as u; assert u.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4).read() == b'ok'"]
ENTRYPOINT ["assay"]
CMD ["board", "--store", "/runs", "--host", "0.0.0.0", "--no-index"]
