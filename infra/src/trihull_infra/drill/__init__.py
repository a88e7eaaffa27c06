"""Drills: break a site under steady load, measure what the callers saw, put it back.

`plan` says what is to happen, `load` sends the requests, `faults` breaks and heals, `measures` (pure) makes a report of
the recorded samples, `picture` draws it; `rehearsal` runs them in order.
"""
