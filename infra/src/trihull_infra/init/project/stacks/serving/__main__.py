from trihull_infra.serving import run

run()
