"""OTLP as it comes over HTTP: protobuf and JSON (opentelemetry-proto, OTLP 1.x)."""
