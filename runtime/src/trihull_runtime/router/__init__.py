"""The failover router: Envoy carries the traffic, this package decides where it goes.

Reading order: `plan` (fleet + policy + overrides -> traffic plan) and `envoy` (traffic plan -> Envoy's configuration)
are pure; `process` runs Envoy, `control` joins them, `admin` shows what is going on and takes orders.
"""
