"""What runs: the contract documents, the model server, the failover router, artifacts, and the command line.

The base install has no dependency; each part names its own as an extra (`server`, `router`, `artifacts`, `cli`).
"""
