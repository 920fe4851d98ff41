FROM python:3.13-slim AS build
COPY . /src
RUN python -m venv /opt/mailer && /opt/mailer/bin/pip install --no-cache-dir '/src[demo,fast,text,tables]'

FROM python:3.13-slim
COPY --from=build /opt/mailer /opt/mailer
ENV PATH=/opt/mailer/bin:$PATH PYTHONUNBUFFERED=1
RUN useradd --system --create-home --uid 10001 mailer && mkdir /campaigns /certs && chown mailer /campaigns /certs
USER mailer
WORKDIR /campaigns
CMD ["mailer", "worker"]
