"""Clouds that are not there: one daemon that owns all emulated state, and plugins the real Pulumi engine talks to.

client.py    start, find and stop the daemon; what its users import
daemon.py    the process; api.py its HTTP interface; world.py what it owns: store, sites, moto
shims.py     the executables `pulumi-resource-<package>` that the engine finds on PATH
plugins/     the plugin protocol, and one provider per kind of package
recorder/    what any type of a cloud's SDK looks like: its checks, names, differences and outputs
aws/         the AWS types that are carried out for real, by moto
cluster/     Kubernetes objects as supervised processes
mocks.py     the same recorder behind `pulumi.runtime.set_mocks`
"""
