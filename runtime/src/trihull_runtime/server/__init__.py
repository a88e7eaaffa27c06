"""The model server: Open Inference Protocol V2 over HTTP, ONNX Runtime below.

Layers, top to bottom: `app` knows HTTP, `dataplane` knows requests, `model` knows tensors; `codecs` translates bytes to
tensors and back; `process` wires them to sockets, TLS and signals.
"""
