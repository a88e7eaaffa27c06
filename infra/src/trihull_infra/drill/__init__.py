"""Drills: break a site, or its router alone, under steady load, measure what the callers saw, put it back.

`plan` says what is to happen, `load` sends the requests, `callers` chooses the router, `faults` breaks and heals,
`measures` and `router_loss` (pure) make a report of the recorded samples, `picture` draws it; `rehearsal` runs them in
order.
"""
