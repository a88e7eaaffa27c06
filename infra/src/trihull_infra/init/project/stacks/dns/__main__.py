from trihull_infra.dns import run

run()
