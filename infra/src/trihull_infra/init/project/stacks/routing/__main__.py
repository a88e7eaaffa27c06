from trihull_infra.routing import run

run()
