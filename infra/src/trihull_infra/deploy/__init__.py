"""Deploys an environment: many stacks side by side, each in a process of its own.

command.py     the commands of the command line
flow.py        up, preview, refresh, destroy, fleet: which stacks in which order, and the documents between them
releasing.py   what each site shall serve: `<env>.releases.json`
publishing.py  copies images to the sites' registries
context.py     one environment of one stacks folder: its files, its engine, its process environment
stacks.py      Task and Result: what a child process is asked and what it answers
operations.py  the protocol that flow.py runs stacks through
children.py    implements it: starts the processes, reads what they report, stops them
child.py       the process of one stack; running.py the engine as it runs it, reporting.py what it tells its parent:
               the only modules here that import pulumi
locks.py       whose lock a stack's state has; pending.py what was cut off in the middle
readiness.py   waits until routers accept
stopping.py    turns SIGINT and SIGTERM into a request to stop
progress.py    the protocol of displays; display.py a table on a terminal, lines elsewhere
report.py      what a command did, step by step; answer.py prints it at the end
"""
