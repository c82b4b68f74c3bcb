# One image for every process: `leaver serve`, `leaver worker`, `leaver db upgrade`.
# Everything is installed from the locks, by hash and as it is (--no-deps: pip never resolves).
# The build tools (hatchling) stay in the first stage.

FROM python:3.11-slim AS wheel
WORKDIR /source
COPY locks/build.txt locks/build.txt
RUN python -m pip install --no-cache-dir --no-deps --require-hashes -r locks/build.txt
COPY . .
RUN python -m pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels .

FROM python:3.11-slim
RUN useradd --system --create-home --uid 10001 leaver
WORKDIR /home/leaver
COPY locks/runtime.txt /tmp/runtime.txt
RUN python -m pip install --no-cache-dir --no-deps --require-hashes -r /tmp/runtime.txt && rm /tmp/runtime.txt
COPY --from=wheel /wheels /wheels
RUN python -m pip install --no-cache-dir --no-deps /wheels/*.whl && rm -r /wheels && python -m pip check
USER leaver
ENV PYTHONUNBUFFERED=1
EXPOSE 8080
ENTRYPOINT ["leaver"]
CMD ["serve", "--host", "0.0.0.0"]
