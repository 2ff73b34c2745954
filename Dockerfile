# One image for every stage; the command says which.
FROM python:3.11.14-slim-bookworm AS build
WORKDIR /opt/neuroflux
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
COPY requirements-pip.lock requirements.lock ./
RUN pip install --no-cache-dir --require-hashes --no-deps -r requirements-pip.lock && pip uninstall --yes setuptools
RUN pip install --no-cache-dir --require-hashes --no-deps -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY neuroflux neuroflux
RUN pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11.14-slim-bookworm
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /opt/neuroflux
COPY producers producers
COPY streams streams
COPY consumers consumers
RUN useradd --system --home /data neuroflux && mkdir /data && chown neuroflux /data
USER neuroflux
VOLUME /data
CMD ["neuroflux", "--help"]
