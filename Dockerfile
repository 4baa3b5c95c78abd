# syntax=docker/dockerfile:1
# Inchworm in one image: `inchworm serve` with gateway, server and pages. Data live in the volume /app.
#   docker build -t inchworm . && docker run --rm -p 127.0.0.1:4140:4140 -p 127.0.0.1:4141:4141 -v inchworm:/app inchworm

FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE hatch_build.py package.json package-lock.json ./
COPY requirements requirements
COPY src src
# The build hook fetches the pages' two scripts from npm, at the versions that package-lock.json pins.
RUN python -m venv /opt/inchworm \
 && /opt/inchworm/bin/pip install --no-cache-dir --constraint requirements/constraints.txt ".[server]"

FROM python:3.13-slim
COPY --from=build /opt/inchworm /opt/inchworm
ENV PATH=/opt/inchworm/bin:$PATH PYTHONUNBUFFERED=1
RUN useradd --uid 10001 --create-home --home-dir /app inchworm
USER inchworm
WORKDIR /app
VOLUME /app
EXPOSE 4140 4141
# Both parts answer, or the container is unhealthy.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD ["python", "-c", "import urllib.request as r; [r.urlopen(f'http://127.0.0.1:{p}/-/health', timeout=2).read() for p in (4140, 4141)]"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["inchworm"]
CMD ["serve", "--host", "0.0.0.0"]
