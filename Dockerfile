# docker build -t karaoke .                              for CPUs
# docker build -t karaoke --build-arg TORCH=cu128 .      for NVIDIA GPUs
FROM python:3.12-slim
ARG TORCH=cpu
RUN pip install --no-cache-dir "torch<=2.13.0" --index-url https://download.pytorch.org/whl/${TORCH}
COPY . /src
RUN pip install --no-cache-dir /src && rm -r /src
WORKDIR /music
ENTRYPOINT ["karaoke"]
